//! [`pipe`], and its two ends.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::process::Stdio;

use super::any::{AnyFd, Position::Current};

/// A pipe: what is written to the one end is read from the other.
///
/// Both ends are closed when this program starts another, unless they are given to it as a standard stream.
///
/// ```
/// use sylvan::io::{self, Read, Write};
/// use sylvan::thread;
///
/// sylvan::run(|| {
///     let (mut reader, mut writer) = io::pipe()?;
///     thread::spawn(move || writer.write_all(b"by and by"));
///     let mut text = String::new();
///     reader.read_to_string(&mut text)?; // waits
///     assert_eq!(text, "by and by");
///     io::Result::Ok(())
/// })?;
/// # io::Result::Ok(())
/// ```
///
/// # Errors
///
/// If the process has no descriptors left.
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    Ok((OwnedFd::from(reader).into(), OwnedFd::from(writer).into()))
}

/// The end of a [`pipe`] that is read from.
///
/// # Differences from std
///
/// Reading suspends the green thread.
#[derive(Debug)]
pub struct PipeReader(AnyFd);

/// The end of a [`pipe`] that is written to.
///
/// # Differences from std
///
/// Writing suspends the green thread while the pipe is full. A write that finds room for a part writes that part, as on
/// a pipe in non-blocking mode.
#[derive(Debug)]
pub struct PipeWriter(AnyFd);

impl PipeReader {
    /// Another descriptor of the same end.
    ///
    /// ```
    /// use sylvan::io::{self, Read, Write};
    ///
    /// let (reader, mut writer) = io::pipe()?;
    /// writer.write_all(b"!")?;
    /// let mut byte = [0];
    /// reader.try_clone()?.read_exact(&mut byte)?;
    /// assert_eq!(byte, *b"!");
    /// # io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the process has no descriptors left.
    pub fn try_clone(&self) -> io::Result<PipeReader> {
        self.0.try_clone().map(PipeReader)
    }

    pub(super) fn any(&self) -> &AnyFd {
        &self.0
    }
}

impl PipeWriter {
    /// Another descriptor of the same end. Readers see the end of the pipe when all of them are closed.
    ///
    /// ```
    /// use sylvan::io::{self, Read, Write};
    ///
    /// let (mut reader, writer) = io::pipe()?;
    /// writer.try_clone()?.write_all(b"through either")?;
    /// drop(writer);
    /// assert_eq!(io::read_to_string(&mut reader)?, "through either");
    /// # io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the process has no descriptors left.
    pub fn try_clone(&self) -> io::Result<PipeWriter> {
        self.0.try_clone().map(PipeWriter)
    }

    pub(super) fn any(&self) -> &AnyFd {
        &self.0
    }
}

impl Read for PipeReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

impl Read for &PipeReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf, Current)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.0.read_vectored(bufs, Current)
    }
}

impl Write for PipeWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for &PipeWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf, Current)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(bufs, Current)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The conversions that both ends have.
macro_rules! conversions {
    ($($end:ident),+) => {$(
        impl From<OwnedFd> for $end {
            fn from(fd: OwnedFd) -> Self {
                Self(AnyFd::new(fd))
            }
        }

        impl From<$end> for OwnedFd {
            fn from(end: $end) -> Self {
                end.0.into_fd()
            }
        }

        impl From<$end> for Stdio {
            fn from(end: $end) -> Self {
                end.0.into_fd().into()
            }
        }

        impl FromRawFd for $end {
            unsafe fn from_raw_fd(fd: RawFd) -> Self {
                // SAFETY: the caller hands over an open descriptor that nobody else owns.
                Self::from(unsafe { OwnedFd::from_raw_fd(fd) })
            }
        }

        impl IntoRawFd for $end {
            fn into_raw_fd(self) -> RawFd {
                self.0.into_fd().into_raw_fd()
            }
        }

        impl AsFd for $end {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.file().as_fd()
            }
        }

        impl AsRawFd for $end {
            fn as_raw_fd(&self) -> RawFd {
                self.0.file().as_raw_fd()
            }
        }
    )+};
}

conversions!(PipeReader, PipeWriter);
