//! [`stdout`].

use std::cell::RefCell;
use std::io::{self, IoSlice, LineWriter, Write};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::process::Stdio;
use std::sync::LazyLock;

use super::raw::{self, Raw};
use super::{exit, standard_stream, write_locked};
use crate::sync::{ReentrantMutex, ReentrantMutexGuard};

/// All write to one buffer.
type Buffer = RefCell<LineWriter<&'static Raw>>;

static BUFFER: LazyLock<ReentrantMutex<Buffer>> = LazyLock::new(|| {
    exit::call_at_exit(end);
    ReentrantMutex::new(RefCell::new(LineWriter::new(&raw::STDOUT)))
});

/// The standard output of the process.
///
/// ```
/// use sylvan::io::{self, Write};
///
/// let mut out = io::stdout().lock();
/// write!(out, "one line, ")?;
/// writeln!(out, "whoever else prints")?;
/// # io::Result::Ok(())
/// ```
#[must_use]
pub fn stdout() -> Stdout {
    Stdout { buffer: &BUFFER }
}

/// What [`stdout`] gives. It is buffered up to the end of a line; what is left is written when the process ends in the
/// usual way.
///
/// # Differences from std
///
/// Writing suspends the green thread, and so does waiting for the lock. The lock belongs to the green thread, which
/// may lock it again. The buffer is another one than [`std::io::stdout`]'s, which `std::println!` writes to: lines of both
/// keep their order, parts of lines may not.
///
/// A write that the kernel has begun is waited for even by who is cancelled meanwhile: so nothing is written twice.
pub struct Stdout {
    buffer: &'static ReentrantMutex<Buffer>,
}

/// What [`Stdout::lock`] gives: the stream to oneself, until it is dropped.
#[clippy::has_significant_drop]
pub struct StdoutLock<'a> {
    buffer: ReentrantMutexGuard<'a, Buffer>,
}

impl Stdout {
    /// Waits until no other thread, green or not, writes, and locks it. Suspends.
    pub fn lock(&self) -> StdoutLock<'static> {
        StdoutLock {
            buffer: self.buffer.lock(),
        }
    }
}

impl Write for StdoutLock<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.buffer.borrow_mut().write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.buffer.borrow_mut().write_vectored(bufs)
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.buffer.borrow_mut().write_all(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.buffer.borrow_mut().flush()
    }
}

write_locked!(Stdout, &Stdout);
standard_stream!(raw::STDOUT => Stdout, StdoutLock<'_>);

// A panic leaves the buffer as it was before the write, or after it.
impl UnwindSafe for Stdout {}
impl RefUnwindSafe for Stdout {}
impl UnwindSafe for StdoutLock<'_> {}
impl RefUnwindSafe for StdoutLock<'_> {}

impl From<Stdout> for Stdio {
    /// A child's stream that is this process' standard output.
    fn from(_: Stdout) -> Stdio {
        io::stdout().into()
    }
}

/// The process ends: writes what is left, and makes others write through from here on. One who stands in the midst of a
/// write keeps what it has.
fn end() {
    raw::stop_suspending();
    if let Some(buffer) = BUFFER.try_lock()
        && let Ok(mut buffer) = buffer.try_borrow_mut()
    {
        // An error has nobody left to be told. (A buffer whose write was unwound does not flush when it is dropped.)
        let _ = buffer.flush();
        *buffer = LineWriter::with_capacity(0, &raw::STDOUT);
    }
}
