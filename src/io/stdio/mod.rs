//! Standard input, output and error: [`stdin`], [`stdout`], [`stderr`], and what `print!` and its kin call.

mod exit;
mod print;
mod raw;
mod stderr;
mod stdin;
mod stdout;

pub use print::{_eprint, _print};
pub use stderr::{Stderr, StderrLock, stderr};
pub use stdin::{Stdin, StdinLock, stdin};
pub use stdout::{Stdout, StdoutLock, stdout};

/// What all of them, and their locks, have besides reading or writing: the descriptor behind them.
macro_rules! standard_stream {
    ($raw:expr => $($ours:ty),+) => {$(
        impl $ours {
            /// Is it a terminal? (std's trait of this name is sealed.)
            #[must_use]
            pub fn is_terminal(&self) -> bool {
                ::std::io::IsTerminal::is_terminal(&::std::os::fd::AsFd::as_fd(self))
            }
        }

        impl ::std::os::fd::AsFd for $ours {
            fn as_fd(&self) -> ::std::os::fd::BorrowedFd<'_> {
                $raw.as_fd()
            }
        }

        impl ::std::os::fd::AsRawFd for $ours {
            fn as_raw_fd(&self) -> ::std::os::fd::RawFd {
                ::std::os::fd::AsRawFd::as_raw_fd(&$raw.as_fd())
            }
        }

        impl ::std::fmt::Debug for $ours {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!($ours).trim_end_matches("<'_>"))
                    .finish_non_exhaustive()
            }
        }
    )+};
}

/// Writing to a stream that has `lock`: each call locks it once.
macro_rules! write_locked {
    ($($ours:ty),+) => {$(
        impl ::std::io::Write for $ours {
            fn write(&mut self, buf: &[u8]) -> ::std::io::Result<usize> {
                self.lock().write(buf)
            }

            fn write_vectored(
                &mut self,
                bufs: &[::std::io::IoSlice<'_>],
            ) -> ::std::io::Result<usize> {
                self.lock().write_vectored(bufs)
            }

            fn write_all(&mut self, buf: &[u8]) -> ::std::io::Result<()> {
                self.lock().write_all(buf)
            }

            fn write_fmt(&mut self, args: ::std::fmt::Arguments<'_>) -> ::std::io::Result<()> {
                self.lock().write_fmt(args)
            }

            fn flush(&mut self) -> ::std::io::Result<()> {
                self.lock().flush()
            }
        }
    )+};
}

use {standard_stream, write_locked};
