//! [`stdin`].

use std::io::{self, BufRead, BufReader, IoSliceMut, Lines, Read};
use std::sync::{LazyLock, PoisonError};

use super::raw::{self, Raw};
use super::standard_stream;
use crate::sync::{Mutex, MutexGuard};

/// All read from one buffer.
static BUFFER: LazyLock<Mutex<BufReader<&'static Raw>>> =
    LazyLock::new(|| Mutex::new(BufReader::new(&raw::STDIN)));

/// The standard input of the process.
///
/// ```no_run
/// use sylvan::io::{self, BufRead};
///
/// sylvan::run(|| {
///     for line in io::stdin().lines() {
///         sylvan::println!("{} letters", line?.chars().count());
///     }
///     io::Result::Ok(())
/// })?;
/// # io::Result::Ok(())
/// ```
#[must_use]
pub fn stdin() -> Stdin {
    Stdin { buffer: &BUFFER }
}

/// What [`stdin`] gives.
///
/// # Differences from std
///
/// Reading suspends the green thread, and so does waiting for the lock; a terminal's line editing is the terminal's, as
/// ever. The buffer is another one than [`std::io::stdin`]'s: what one of them has read ahead the other never sees.
///
/// Who is cancelled while it waits has taken nothing out of the stream. One that has the first part of a line already
/// loses that part, as with any reader: only from a terminal lines come whole.
pub struct Stdin {
    buffer: &'static Mutex<BufReader<&'static Raw>>,
}

/// What [`Stdin::lock`] gives: the stream to oneself, until it is dropped.
#[clippy::has_significant_drop]
pub struct StdinLock<'a> {
    buffer: MutexGuard<'a, BufReader<&'static Raw>>,
}

impl Stdin {
    /// Waits until nobody else reads, and locks it. Suspends.
    pub fn lock(&self) -> StdinLock<'static> {
        // Whoever panicked did so outside of the buffer's code.
        let buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        StdinLock { buffer }
    }

    /// Reads a line, with the character that ends it, and appends it. 0 is the end of the stream. Suspends.
    ///
    /// # Errors
    ///
    /// [As std's](std::io::BufRead::read_line).
    pub fn read_line(&self, buf: &mut String) -> io::Result<usize> {
        self.lock().read_line(buf)
    }

    /// The lines that are still to come, while nobody else reads. Each suspends.
    pub fn lines(self) -> Lines<StdinLock<'static>> {
        self.lock().lines()
    }
}

impl Read for &Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.lock().read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.lock().read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.lock().read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        self.lock().read_to_string(buf)
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        self.lock().read_exact(buf)
    }
}

impl Read for Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        (&*self).read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        (&*self).read_to_string(buf)
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        (&*self).read_exact(buf)
    }
}

impl Read for StdinLock<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.buffer.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.buffer.read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.buffer.read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        self.buffer.read_to_string(buf)
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        self.buffer.read_exact(buf)
    }
}

impl BufRead for StdinLock<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.buffer.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.buffer.consume(amount);
    }
}

standard_stream!(raw::STDIN => Stdin, StdinLock<'_>);
