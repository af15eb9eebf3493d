//! The own ends of the pipes to a child process.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::process::{self, Stdio};

use crate::fd::{PipeReader, PipeWriter, Sink, Source, Transit};

/// The own end of a child's standard input. Writing suspends the green thread while the pipe is full; to a child that
/// reads no more it is a [`BrokenPipe`](io::ErrorKind::BrokenPipe).
///
/// ```
/// use sylvan::io::Write;
/// use sylvan::process::{Command, Stdio};
///
/// let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
/// let mut stdin = cat.stdin.take().unwrap();
/// stdin.write_all(b"purr")?;
/// drop(stdin); // the end of its input
/// assert_eq!(cat.wait_with_output()?.stdout, b"purr");
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct ChildStdin(PipeWriter);

/// The own end of a child's standard output. Reading suspends the green thread.
///
/// ```
/// use sylvan::io::{BufRead, BufReader};
/// use sylvan::process::{Command, Stdio};
///
/// let mut echo = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
/// let lines = BufReader::new(echo.stdout.take().unwrap()).lines();
/// assert_eq!(lines.collect::<Result<Vec<_>, _>>()?, ["hello"]);
/// echo.wait()?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct ChildStdout(PipeReader);

/// The own end of a child's standard error. Reading suspends the green thread.
#[derive(Debug)]
pub struct ChildStderr(PipeReader);

impl Sink for ChildStdin {
    fn drain(&self, transit: &mut Transit) -> io::Result<()> {
        self.0.drain(transit)
    }
}

impl Source for ChildStdout {
    fn fill(&self) -> io::Result<Transit> {
        self.0.fill()
    }
}

impl Source for ChildStderr {
    fn fill(&self) -> io::Result<Transit> {
        self.0.fill()
    }
}

impl Write for ChildStdin {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for &ChildStdin {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&self.0).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&self.0).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reading, for both that are read from.
macro_rules! reads {
    ($($end:ident),+) => {$(
        impl Read for $end {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.0.read(buf)
            }

            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.0.read_vectored(bufs)
            }
        }
    )+};
}

/// The conversions that all three have.
macro_rules! conversions {
    ($($end:ident($pipe:ident)),+) => {$(
        impl From<process::$end> for $end {
            fn from(end: process::$end) -> Self {
                OwnedFd::from(end).into()
            }
        }

        impl From<OwnedFd> for $end {
            fn from(fd: OwnedFd) -> Self {
                Self($pipe::from(fd))
            }
        }

        impl From<$end> for OwnedFd {
            fn from(end: $end) -> Self {
                end.0.into()
            }
        }

        impl From<$end> for Stdio {
            fn from(end: $end) -> Self {
                end.0.into()
            }
        }

        impl IntoRawFd for $end {
            fn into_raw_fd(self) -> RawFd {
                self.0.into_raw_fd()
            }
        }

        impl AsFd for $end {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl AsRawFd for $end {
            fn as_raw_fd(&self) -> RawFd {
                self.0.as_raw_fd()
            }
        }
    )+};
}

reads!(ChildStdout, ChildStderr);
conversions!(
    ChildStdin(PipeWriter),
    ChildStdout(PipeReader),
    ChildStderr(PipeReader)
);
