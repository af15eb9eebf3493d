//! [`Raw`]: the descriptors 0, 1 and 2, without buffers and locks.
//!
//! They belong to nobody: whoever likes puts another file behind one (`dup2`) or closes it, and others, the shell first of
//! all, have the same open file. So nothing is kept from one call to the next, neither what kind of thing it is nor that a
//! kernel was told to watch it, and the mode is left as it is.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::fd::{
    AnyFd, MOST_BUFFERS, Position::Current, is_impossible, read_now, total, write_now,
};
use crate::rt;

/// One of the three.
pub(super) struct Raw {
    number: RawFd,
    file: OnceLock<Arc<File>>,
}

pub(super) static STDIN: Raw = Raw::new(libc::STDIN_FILENO);
pub(super) static STDOUT: Raw = Raw::new(libc::STDOUT_FILENO);
pub(super) static STDERR: Raw = Raw::new(libc::STDERR_FILENO);

/// The process ends: what is written now blocks, for nobody may be left to switch to.
static ENDS: AtomicBool = AtomicBool::new(false);

/// From here on writing blocks the OS thread.
pub(super) fn stop_suspending() {
    ENDS.store(true, Ordering::Relaxed);
}

impl Raw {
    const fn new(number: RawFd) -> Raw {
        Raw {
            number,
            file: OnceLock::new(),
        }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.file().as_fd()
    }

    fn file(&self) -> &Arc<File> {
        self.file.get_or_init(|| {
            // SAFETY: it is never closed here: this static keeps one count of it for ever.
            Arc::new(unsafe { File::from_raw_fd(self.number) })
        })
    }

    /// Whatever it is now, for a call that cannot be made in place.
    fn lent(&self) -> AnyFd {
        AnyFd::lent(self.file().clone())
    }
}

/// Is it in another way that the transfer has to be made? This one does not block the hub.
fn has_to_wait(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock || is_impossible(error)
}

/// A descriptor that is not open is an empty stream to read from and a sink to write to, as in std.
fn unless_closed(result: io::Result<usize>, otherwise: usize) -> io::Result<usize> {
    match result {
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => Ok(otherwise),
        result => result,
    }
}

impl Read for &Raw {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(buf)])
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let count = bufs.len().min(MOST_BUFFERS);
        let bufs = &mut bufs[..count];
        rt::spend();
        let read = match read_now(self.as_fd(), bufs, Current) {
            Err(error) if has_to_wait(&error) => self.lent().read_vectored(bufs, Current),
            result => result,
        };
        unless_closed(read, 0)
    }
}

impl Write for &Raw {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bufs = &bufs[..bufs.len().min(MOST_BUFFERS)];
        let written = if ENDS.load(Ordering::Relaxed) {
            (&**self.file()).write_vectored(bufs)
        } else {
            rt::spend();
            match write_now(self.as_fd(), bufs, Current) {
                Err(error) if has_to_wait(&error) => self.lent().write_vectored(bufs, Current),
                result => result,
            }
        };
        unless_closed(written, total(bufs.iter().map(|buf| buf.len())))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
