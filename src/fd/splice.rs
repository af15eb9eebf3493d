//! Bytes that go from one descriptor to another without coming to us: `splice`, by way of a pipe.
//!
//! Who waits for a source has no pipe: it is taken when there is something to put into it, and given back when it is
//! empty. A pipe belongs to one transfer at a time; if that ends with something in it, it is closed.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::sync::{Mutex, PoisonError};

use super::any::AnyFd;
use super::handle::Handle;
use super::pipe::{PipeReader as OurReader, PipeWriter as OurWriter};
use crate::rt::{Reason, fork, signal_is_default};

/// So many empty pipes are kept.
const MOST_KEPT: usize = 16;
/// What is asked for; more than the default, and no more than everybody may have. A pipe that does not get it has what it
/// has.
const CAPACITY: libc::c_int = 1 << 20;

static KEPT: Mutex<Vec<Ends>> = Mutex::new(Vec::new());

struct Ends {
    reader: PipeReader,
    writer: PipeWriter,
    /// Of the process that has made it: one that was forked since shares it with that one.
    generation: u32,
}

/// A pipe, and how much is in it.
pub(crate) struct Transit {
    ends: Option<Ends>,
    filled: usize,
}

/// What the kernel can move bytes out of by itself.
pub(crate) trait Source {
    /// Moves what is there into a pipe. One that stays empty says that there is no more. Suspends.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](io::ErrorKind::Unsupported), if it cannot be done in this way; and those of reading.
    fn fill(&self) -> io::Result<Transit>;

    /// It, if it is a file: from one file to another there are better ways.
    fn as_stored(&self) -> Option<&AnyFd> {
        None
    }
}

/// What the kernel can move bytes into by itself.
pub(crate) trait Sink {
    /// Moves something out of the pipe. Suspends.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](io::ErrorKind::Unsupported), if it cannot be done in this way; and those of writing.
    fn drain(&self, transit: &mut Transit) -> io::Result<()>;

    /// It, if it is a file.
    fn as_stored(&self) -> Option<&AnyFd> {
        None
    }
}

impl Transit {
    fn take() -> io::Result<Transit> {
        let kept = kept(|kept| {
            kept.retain(|ends| ends.generation == fork::generation());
            kept.pop()
        });
        let ends = match kept {
            Some(ends) => ends,
            None => Ends::new()?,
        };
        Ok(Transit {
            ends: Some(ends),
            filled: 0,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0
    }

    pub(crate) fn filled(&self) -> usize {
        self.filled
    }

    /// What is in it, for who can move it no further.
    pub(crate) fn into_bytes(mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.filled];
        if let Some(ends) = &mut self.ends {
            ends.reader.read_exact(&mut bytes)?;
            self.filled = 0;
        }
        Ok(bytes)
    }

    fn fill_from(&mut self, source: BorrowedFd<'_>, flags: libc::c_uint) -> io::Result<()> {
        if let Some(ends) = &self.ends {
            let most = usize::try_from(CAPACITY).unwrap_or(usize::MAX);
            self.filled += splice(source, ends.writer.as_fd(), most, flags)?;
        }
        Ok(())
    }

    fn drain_to(&mut self, sink: BorrowedFd<'_>, flags: libc::c_uint) -> io::Result<()> {
        if let Some(ends) = &self.ends {
            match splice(ends.reader.as_fd(), sink, self.filled, flags)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => self.filled -= count,
            }
        }
        Ok(())
    }
}

impl Drop for Transit {
    fn drop(&mut self) {
        if self.is_empty()
            && let Some(ends) = self.ends.take()
        {
            kept(|kept| {
                if kept.len() < MOST_KEPT {
                    kept.push(ends);
                }
            });
        }
    }
}

impl Ends {
    fn new() -> io::Result<Ends> {
        fork::watch();
        let (reader, writer) = io::pipe()?;
        // SAFETY: it only sets a size. Who may have no more keeps what is there.
        unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, CAPACITY) };
        Ok(Ends {
            reader,
            writer,
            generation: fork::generation(),
        })
    }
}

fn kept<R>(access: impl FnOnce(&mut Vec<Ends>) -> R) -> R {
    access(&mut KEPT.lock().unwrap_or_else(PoisonError::into_inner))
}

impl<T: AsFd> Handle<T> {
    /// See [`Source::fill`].
    pub(crate) fn fill(&self, reason: Reason) -> io::Result<Transit> {
        self.read_with(reason, |fd| {
            self.description().attempt_nonblocking(fd, || {
                let mut transit = Transit::take()?;
                transit.fill_from(fd, libc::SPLICE_F_NONBLOCK)?;
                Ok(transit)
            })
        })
    }

    /// See [`Sink::drain`].
    pub(crate) fn drain(&self, reason: Reason, transit: &mut Transit) -> io::Result<()> {
        // A write to a socket can do without the signal that somebody has gone, a splice cannot. Rust's programs ignore it;
        // those of others that are in part in Rust may die of it.
        if signal_is_default(libc::SIGPIPE) {
            return Err(unsupported());
        }
        self.write_with(reason, |fd| {
            self.description()
                .attempt_nonblocking(fd, || transit.drain_to(fd, libc::SPLICE_F_NONBLOCK))
        })
    }
}

/// Is it a pipe? Only of those the flag keeps a splice from blocking.
fn is_pipe(file: &File) -> bool {
    file.metadata()
        .is_ok_and(|metadata| metadata.file_type().is_fifo())
}

fn unsupported() -> io::Error {
    io::ErrorKind::Unsupported.into()
}

impl Source for AnyFd {
    fn fill(&self) -> io::Result<Transit> {
        if self.is_stored() {
            let file = self.file().clone();
            return crate::rt::offload(move || {
                let mut transit = Transit::take()?;
                transit.fill_from(file.as_fd(), 0)?;
                Ok(transit)
            });
        }
        if !is_pipe(self.file()) {
            return Err(unsupported());
        }
        self.handle().read_with(Reason::Readable, |fd| {
            let mut transit = Transit::take()?;
            transit.fill_from(fd, libc::SPLICE_F_NONBLOCK)?;
            Ok(transit)
        })
    }

    fn as_stored(&self) -> Option<&AnyFd> {
        self.is_stored().then_some(self)
    }
}

impl Sink for AnyFd {
    fn drain(&self, transit: &mut Transit) -> io::Result<()> {
        if self.is_stored() {
            let file = self.file().clone();
            let mut theirs = Transit {
                ends: transit.ends.take(),
                filled: std::mem::take(&mut transit.filled),
            };
            let result;
            (result, *transit) = crate::rt::offload(move || {
                let result = theirs.drain_to(file.as_fd(), 0);
                (result, theirs)
            });
            return result;
        }
        if !is_pipe(self.file()) {
            return Err(unsupported());
        }
        self.handle().write_with(Reason::Writable, |fd| {
            transit.drain_to(fd, libc::SPLICE_F_NONBLOCK)
        })
    }

    fn as_stored(&self) -> Option<&AnyFd> {
        self.is_stored().then_some(self)
    }
}

impl Source for OurReader {
    fn fill(&self) -> io::Result<Transit> {
        self.any().fill()
    }
}

impl Sink for OurWriter {
    fn drain(&self, transit: &mut Transit) -> io::Result<()> {
        self.any().drain(transit)
    }
}

/// Moves bytes from one descriptor to another, one of which is a pipe. 0: the end of the source.
fn splice(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    most: usize,
    flags: libc::c_uint,
) -> io::Result<usize> {
    // SAFETY: both are open, and no offsets are given.
    let moved = unsafe {
        libc::splice(
            from.as_raw_fd(),
            std::ptr::null_mut(),
            to.as_raw_fd(),
            std::ptr::null_mut(),
            most,
            flags | libc::SPLICE_F_MOVE,
        )
    };
    usize::try_from(moved).map_err(|_| {
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            // What the kernel does not know how to do: a terminal, /proc, a file that is only appended to.
            Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP) => unsupported(),
            _ => error,
        }
    })
}
