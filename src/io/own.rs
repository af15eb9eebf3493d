//! [`Io`]: descriptors of kinds that this library has no type for.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use crate::fd::{Description, Handle, is_nonblocking, is_standard_stream, poll_ready, set_mode};
use crate::rt::{Direction, Reason};

/// A descriptor of one's own, whatever it is, whose operations are to suspend the green thread: an eventfd, a timerfd,
/// an inotify queue, a serial port, another library's socket.
///
/// You say how one attempt is made. If it says [`WouldBlock`](io::ErrorKind::WouldBlock), the green thread is suspended
/// until the kernel reports the descriptor ready, and it is made again.
///
/// ```
/// use std::fs::File;
/// use std::os::fd::{FromRawFd, OwnedFd};
/// use sylvan::io::{self, Io, Read, Write};
/// use sylvan::thread;
///
/// // SAFETY: a plain call; the descriptor that it returns is nobody else's.
/// let counter = unsafe {
///     let fd = libc::eventfd(0, libc::EFD_CLOEXEC);
///     assert!(fd >= 0);
///     File::from_raw_fd(fd)
/// };
/// let counter = Io::new(counter)?;
/// let count = sylvan::run(|| {
///     thread::scope(|scope| {
///         let reader = scope.spawn(|| {
///             let mut count = [0; 8];
///             counter.read_with(|mut file| file.read(&mut count))?; // waits for the writer
///             io::Result::Ok(u64::from_ne_bytes(count))
///         });
///         thread::yield_now();
///         counter.write_with(|mut file| file.write(&7_u64.to_ne_bytes()))?;
///         reader.join().unwrap()
///     })
/// })?;
/// assert_eq!(count, 7);
/// # io::Result::Ok(())
/// ```
///
/// As long as it is in here the descriptor is in non-blocking mode, which all its duplicates share. One that is a
/// standard stream, or a duplicate of one, is left as it is, for others would be surprised: it is then asked whether it
/// is ready before each attempt, which may block all the same if others were faster.
///
/// There is no `get_mut`: to put another descriptor in its place while the kernel watches it would leave its waiters
/// waiting. For the same reason `T` must give one and the same descriptor all its life, as all types of std do.
///
/// What is a regular file, to the kernel, is always ready, and blocks: [`fs::File`](crate::fs::File) knows better.
pub struct Io<T> {
    handle: Handle<T>,
    /// The mode it came with was another.
    is_mode_ours: bool,
    /// Its mode is others' and not changed.
    asks_first: bool,
}

impl<T: AsFd> Io<T> {
    /// Takes a descriptor, and puts it into non-blocking mode.
    ///
    /// # Errors
    ///
    /// If it is not open, or its mode cannot be set.
    pub fn new(inner: T) -> io::Result<Io<T>> {
        let fd = inner.as_fd();
        let was_nonblocking = is_nonblocking(fd)?;
        let asks_first = !was_nonblocking && is_standard_stream(fd);
        let is_mode_ours = !was_nonblocking && !asks_first;
        if is_mode_ours {
            set_mode(fd, true)?;
        }
        Ok(Io {
            handle: Handle::new(inner, Description::new_plain()),
            is_mode_ours,
            asks_first,
        })
    }

    /// What was taken.
    pub fn get_ref(&self) -> &T {
        self.handle.get()
    }

    /// Gives it back, in the mode in which it came.
    pub fn into_inner(self) -> T {
        let inner = self.handle.into_inner();
        if self.is_mode_ours {
            // It can only fail for a descriptor that is not open, which its next owner will notice.
            let _ = set_mode(inner.as_fd(), false);
        }
        inner
    }

    /// Reads, by an attempt that does not block. Suspends as often as that says [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// The attempt must not wait for anything itself. It is not made again after it has succeeded: so who is cancelled
    /// while this waits has read nothing.
    ///
    /// # Errors
    ///
    /// Those of the attempt, but for that one.
    pub fn read_with<R>(&self, attempt: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.perform(Direction::Read, attempt)
    }

    /// Writes, by an attempt that does not block; as [`read_with`](Self::read_with).
    ///
    /// # Errors
    ///
    /// Those of the attempt, but for [`WouldBlock`](io::ErrorKind::WouldBlock).
    pub fn write_with<R>(&self, attempt: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.perform(Direction::Write, attempt)
    }

    /// Suspends until there is something to read, the end, or an error. When this returns somebody else may have been
    /// faster.
    ///
    /// ```
    /// use sylvan::io::{self, Io, Write};
    ///
    /// let (reader, mut writer) = std::io::pipe()?;
    /// let reader = Io::new(reader)?;
    /// writer.write_all(b"!")?;
    /// reader.readable()?;
    /// # io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn readable(&self) -> io::Result<()> {
        self.handle
            .read_with(Reason::Readable, |fd| poll_ready(fd, Direction::Read))
    }

    /// Suspends until there is room to write, or an error. When this returns somebody else may have been faster.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn writable(&self) -> io::Result<()> {
        self.handle
            .write_with(Reason::Writable, |fd| poll_ready(fd, Direction::Write))
    }

    fn perform<R>(
        &self,
        direction: Direction,
        mut attempt: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let attempt = |fd: BorrowedFd<'_>| {
            if self.asks_first {
                poll_ready(fd, direction)?;
            }
            attempt(self.get_ref())
        };
        match direction {
            Direction::Read => self.handle.read_with(Reason::Readable, attempt),
            Direction::Write => self.handle.write_with(Reason::Writable, attempt),
        }
    }
}

impl<T: AsFd> Read for &Io<T>
where
    for<'a> &'a T: Read,
{
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_with(|mut inner| inner.read(buf))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.read_with(|mut inner| inner.read_vectored(bufs))
    }
}

impl<T: AsFd> Read for Io<T>
where
    for<'a> &'a T: Read,
{
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

impl<T: AsFd> Write for &Io<T>
where
    for<'a> &'a T: Write,
{
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_with(|mut inner| inner.write(buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_with(|mut inner| inner.write_vectored(bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_with(|mut inner| inner.flush())
    }
}

impl<T: AsFd> Write for Io<T>
where
    for<'a> &'a T: Write,
{
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

impl<T: AsFd> AsFd for Io<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsFd> AsRawFd for Io<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Io<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Io").field(self.get_ref()).finish()
    }
}
