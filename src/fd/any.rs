//! [`AnyFd`]: reading and writing what may be a file, a pipe, a terminal, a socket or a device.
//!
//! No mode of the descriptor is changed, for others may share it. Each operation is tried in place with `RWF_NOWAIT`,
//! which tells the kernel not to block this one call. What then?
//!
//! | it says | a *stored* thing: file, folder, disk | a *stream*: pipe, socket, terminal, device |
//! |---|---|---|
//! | done | done | done |
//! | it would block | offloaded: the disk has to be asked | waits for readiness, and again |
//! | that it knows no such flag | offloaded | waits for readiness, then offloaded |
//!
//! The flag is known to caches of most file systems for reading, to pipes (Linux 6.5), sockets and some devices; not to
//! terminals, nor to files for writing, nor to `/proc`. That a terminal is ready is no promise that it will not block, for
//! another process may take what was there; so the call is made on an OS thread of the pool even then.
//!
//! An offloaded call owns its buffer and a count of the descriptor: whoever is cancelled leaves at once. The call may be
//! done all the same. Only of a [lent](AnyFd::lent) one it is waited for, for what it transfers is everybody's.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use super::description::Description;
use super::handle::Handle;
use super::message::{MOST_BUFFERS, poll_ready};
use super::stream::total;
use crate::rt::{self, Direction, Reason};

/// The most bytes that one offloaded call transfers.
const MOST_OFFLOADED: usize = 1 << 20;

/// So many bytes count as one operation.
const WORTH_A_TURN: usize = 16 << 10;
/// Of a larger buffer no more are counted: it will hardly be filled at once.
const MOST_COUNTED: usize = 4 << 20;

/// See the module's text.
pub(crate) struct AnyFd {
    io: Handle<Arc<File>>,
    kind: Kind,
    /// Reading, or writing, in place is not possible here.
    no_reads_in_place: AtomicBool,
    no_writes_in_place: AtomicBool,
    /// A call that was begun is waited for, also by who is cancelled meanwhile.
    is_patient: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Stored,
    Stream,
}

/// Where to read or write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// Where the descriptor stands, which moves on.
    Current,
    /// So many bytes from the beginning.
    At(u64),
}

use Position::{At, Current};

impl AnyFd {
    /// Whatever this is.
    pub(crate) fn new(fd: OwnedFd) -> AnyFd {
        AnyFd::of(Arc::new(File::from(fd)))
    }

    /// A file or a folder.
    pub(crate) fn stored(file: File) -> AnyFd {
        AnyFd::of_stored(Arc::new(file))
    }

    /// Whatever this is, of which the caller has one for good: it is not closed here.
    pub(crate) fn lent(file: Arc<File>) -> AnyFd {
        AnyFd {
            is_patient: true,
            ..AnyFd::of(file)
        }
    }

    fn of(file: Arc<File>) -> AnyFd {
        // A descriptor that is not open tells when it is used.
        let is_stream = file.metadata().is_ok_and(|metadata| {
            let kind = metadata.file_type();
            // Events, timers and their like are of no type at all.
            !(kind.is_file() || kind.is_dir() || kind.is_block_device())
        });
        if is_stream {
            AnyFd::with(Handle::adopt(file), Kind::Stream)
        } else {
            AnyFd::of_stored(file)
        }
    }

    fn of_stored(file: Arc<File>) -> AnyFd {
        AnyFd::with(Handle::new(file, Description::new_plain()), Kind::Stored)
    }

    fn with(io: Handle<Arc<File>>, kind: Kind) -> AnyFd {
        AnyFd {
            io,
            kind,
            no_reads_in_place: AtomicBool::new(kind == Kind::Stored && tells_false_ends()),
            no_writes_in_place: AtomicBool::new(false),
            is_patient: false,
        }
    }

    /// Another descriptor of the same description.
    pub(crate) fn try_clone(&self) -> io::Result<AnyFd> {
        let duplicate = self.file().try_clone()?;
        Ok(AnyFd::with(self.io.share(Arc::new(duplicate)), self.kind))
    }

    /// The file, for what is quick, or is to be offloaded.
    pub(crate) fn file(&self) -> &Arc<File> {
        self.io.get()
    }

    /// The descriptor and what can be waited for.
    pub(super) fn handle(&self) -> &Handle<Arc<File>> {
        &self.io
    }

    /// Is it a file or a folder, to all appearance?
    pub(super) fn is_stored(&self) -> bool {
        self.kind == Kind::Stored
    }

    /// Lets the descriptor go.
    ///
    /// # Panics
    ///
    /// If an offloaded call, whose caller has left, still uses it, and the process has no other descriptor left.
    pub(crate) fn into_fd(self) -> OwnedFd {
        match Arc::try_unwrap(self.io.into_inner()) {
            Ok(file) => file.into(),
            Err(shared) => shared
                .as_fd()
                .try_clone_to_owned()
                .expect("a descriptor beside the one that an offloaded call still uses"),
        }
    }

    /// Reads into one buffer. Suspends.
    pub(crate) fn read(&self, buf: &mut [u8], position: Position) -> io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(buf)], position)
    }

    /// Reads into several buffers; perhaps only into the first that is not empty. Suspends.
    pub(crate) fn read_vectored(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        position: Position,
    ) -> io::Result<usize> {
        let count = bufs.len().min(MOST_BUFFERS);
        let bufs = &mut bufs[..count];
        let wanted = total(bufs.iter().map(|buf| buf.len()));
        let wait = || self.wait(Direction::Read);
        let in_place = |fd: BorrowedFd<'_>| read_now(fd, bufs, position);
        if let Some(count) =
            self.in_place(&self.no_reads_in_place, wanted, Direction::Read, in_place)?
        {
            return Ok(count);
        }
        let Some(buf) = bufs.iter_mut().find(|buf| !buf.is_empty()) else {
            return Ok(0);
        };
        if self.kind == Kind::Stream {
            wait()?;
        }
        let wanted = buf.len().min(MOST_OFFLOADED);
        loop {
            let file = self.file().clone();
            let (read, bytes) = self.offload(Direction::Read, move || {
                let mut bytes = vec![0; wanted];
                let read = match position {
                    Current => (&*file).read(&mut bytes),
                    At(offset) => file.read_at(&mut bytes, offset),
                };
                (read, bytes)
            });
            match read {
                Ok(count) => {
                    buf[..count].copy_from_slice(&bytes[..count]);
                    return Ok(count);
                }
                // Somebody has made it non-blocking, or was faster.
                Err(error) if self.waits_for(&error) => wait()?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes one buffer, or the beginning of it. Suspends.
    pub(crate) fn write(&self, buf: &[u8], position: Position) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)], position)
    }

    /// Writes several buffers; perhaps only the beginning. Suspends.
    pub(crate) fn write_vectored(
        &self,
        bufs: &[IoSlice<'_>],
        position: Position,
    ) -> io::Result<usize> {
        let bufs = &bufs[..bufs.len().min(MOST_BUFFERS)];
        let wanted = total(bufs.iter().map(|buf| buf.len()));
        let wait = || self.wait(Direction::Write);
        let in_place = |fd: BorrowedFd<'_>| write_now(fd, bufs, position);
        match self.in_place(&self.no_writes_in_place, wanted, Direction::Write, in_place)? {
            Some(count) => return Ok(count),
            None if self.kind == Kind::Stream => wait()?,
            None => {}
        }
        loop {
            let mut bytes = Vec::new();
            for buf in bufs {
                let room = MOST_OFFLOADED - bytes.len();
                bytes.extend_from_slice(&buf[..buf.len().min(room)]);
            }
            let file = self.file().clone();
            let written = self.offload(Direction::Write, move || match position {
                Current => (&*file).write(&bytes),
                At(offset) => file.write_at(&bytes, offset),
            });
            match written {
                Err(error) if self.waits_for(&error) => wait()?,
                result => return result,
            }
        }
    }

    /// Makes attempts that do not block. `None`: none can be made, or it would have to be waited for in another way.
    fn in_place(
        &self,
        impossible: &AtomicBool,
        wanted: usize,
        direction: Direction,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<Option<usize>> {
        if impossible.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let result = match self.kind {
            Kind::Stored => {
                // To copy much takes long: others are to have their turn as beside many small reads. It is before the
                // attempt, for whoever is cancelled here must not have read.
                (0..=wanted.min(MOST_COUNTED) / WORTH_A_TURN).for_each(|_| rt::spend());
                attempt(self.file().as_fd())
            }
            Kind::Stream => self.perform(direction, attempt),
        };
        match result {
            Ok(count) => Ok(Some(count)),
            Err(error) if self.kind == Kind::Stored && error.kind() == ErrorKind::WouldBlock => {
                Ok(None)
            }
            Err(error) if is_impossible(&error) => {
                impossible.store(true, Ordering::Relaxed);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Suspends until a stream is ready. What has no readiness always is.
    fn wait(&self, direction: Direction) -> io::Result<()> {
        match self.perform(direction, |fd| poll_ready(fd, direction)) {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(()),
            result => result,
        }
    }

    fn perform<R>(
        &self,
        direction: Direction,
        attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        match direction {
            Direction::Read => self.io.read_with(Reason::Readable, attempt),
            Direction::Write => self.io.write_with(Reason::Writable, attempt),
        }
    }

    /// Lets an OS thread call. To read is not broken off: what it has read would be lost.
    fn offload<R: Send + 'static>(
        &self,
        direction: Direction,
        call: impl FnOnce() -> R + Send + 'static,
    ) -> R {
        let is_ready_to_be_read = self.kind == Kind::Stream && direction == Direction::Read;
        if self.is_patient || is_ready_to_be_read {
            rt::mask(|| rt::offload(call))
        } else {
            rt::offload(call)
        }
    }

    /// Is this an error that waiting helps against, and may we wait?
    fn waits_for(&self, error: &io::Error) -> bool {
        error.kind() == ErrorKind::WouldBlock
            && self.kind == Kind::Stream
            && !self.io.is_nonblocking()
    }
}

impl fmt::Debug for AnyFd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file().fmt(f)
    }
}

/// Does this kernel say that a file has ended where it only had to wait? Linux 5.9 and 5.10 do (`preadv2`'s page, BUGS).
fn tells_false_ends() -> bool {
    static TELLS: LazyLock<bool> = LazyLock::new(|| {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        ["5.9.", "5.10."].iter().any(|it| release.starts_with(it))
    });
    *TELLS
}

/// Is it the call that is not possible here, whatever there is to transfer?
pub(crate) fn is_impossible(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        // By the second name a seccomp filter, or a kernel that knows the call but not the flag.
        Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EPERM)
    )
}

/// Reads what is there, without waiting, at the risk of [`is_impossible`].
pub(crate) fn read_now(
    fd: BorrowedFd<'_>,
    bufs: &mut [IoSliceMut<'_>],
    position: Position,
) -> io::Result<usize> {
    let (vector, count) = (bufs.as_mut_ptr().cast::<libc::iovec>(), bufs.len());
    // SAFETY: `IoSliceMut` has the layout of `iovec`, there are `count` of them, and the kernel writes only to the
    // bytes they cover, which we may write to.
    let read = unsafe {
        libc::syscall(
            libc::SYS_preadv2,
            fd.as_raw_fd(),
            vector,
            count,
            raw(position),
            0,
            libc::RWF_NOWAIT,
        )
    };
    transferred(read)
}

/// Writes what there is room for, without waiting, at the risk of [`is_impossible`].
pub(crate) fn write_now(
    fd: BorrowedFd<'_>,
    bufs: &[IoSlice<'_>],
    position: Position,
) -> io::Result<usize> {
    let (vector, count) = (bufs.as_ptr().cast::<libc::iovec>(), bufs.len());
    // SAFETY: `IoSlice` has the layout of `iovec`, there are `count` of them, and the kernel only reads what they
    // cover.
    let written = unsafe {
        libc::syscall(
            libc::SYS_pwritev2,
            fd.as_raw_fd(),
            vector,
            count,
            raw(position),
            0,
            libc::RWF_NOWAIT,
        )
    };
    transferred(written)
}

/// As the kernel has it: all ones are the current position. (Its second half is of no use on 64 bits.)
fn raw(position: Position) -> libc::c_long {
    match position {
        Current => -1,
        At(offset) => libc::c_long::try_from(offset).unwrap_or(libc::c_long::MAX),
    }
}

fn transferred(count: libc::c_long) -> io::Result<usize> {
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}
