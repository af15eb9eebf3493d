//! [`stderr`].

use std::io::{self, IoSlice, Write};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::process::Stdio;

use super::raw::{self, Raw};
use super::{standard_stream, write_locked};
use crate::sync::{ReentrantMutex, ReentrantMutexGuard};

static LOCK: ReentrantMutex<&'static Raw> = ReentrantMutex::new(&raw::STDERR);

/// The standard error stream of the process.
///
/// ```
/// use sylvan::io::{self, Write};
///
/// writeln!(io::stderr(), "at once")?;
/// # io::Result::Ok(())
/// ```
#[must_use]
pub fn stderr() -> Stderr {
    Stderr { lock: &LOCK }
}

/// What [`stderr`] gives. It is not buffered.
///
/// # Differences from std
///
/// Writing suspends the green thread, and so does waiting for the lock. The lock belongs to the green thread, which
/// may lock it again.
///
/// A write that the kernel has begun is waited for even by who is cancelled meanwhile: so nothing is written twice.
pub struct Stderr {
    lock: &'static ReentrantMutex<&'static Raw>,
}

/// What [`Stderr::lock`] gives: the stream to oneself, until it is dropped.
#[clippy::has_significant_drop]
pub struct StderrLock<'a> {
    raw: ReentrantMutexGuard<'a, &'static Raw>,
}

impl Stderr {
    /// Waits until no other thread, green or not, writes, and locks it. Suspends.
    pub fn lock(&self) -> StderrLock<'static> {
        StderrLock {
            raw: self.lock.lock(),
        }
    }
}

impl Write for StderrLock<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&**self.raw).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&**self.raw).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

write_locked!(Stderr, &Stderr);
standard_stream!(raw::STDERR => Stderr, StderrLock<'_>);

// There is nothing that a panic could leave half done.
impl UnwindSafe for Stderr {}
impl RefUnwindSafe for Stderr {}
impl UnwindSafe for StderrLock<'_> {}
impl RefUnwindSafe for StderrLock<'_> {}

impl From<Stderr> for Stdio {
    /// A child's stream that is this process' standard error stream.
    fn from(_: Stderr) -> Stdio {
        io::stderr().into()
    }
}
