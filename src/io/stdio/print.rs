//! `print!`, `println!`, `eprint!`, `eprintln!`.

use std::fmt::{self, Write as _};
use std::io::Write;

use super::{stderr, stdout};

/// Prints to [standard output](crate::io::stdout). Suspends, if need be; one call's text is never mixed with another's.
///
/// Different from std's, it is not captured by `cargo test`.
///
/// ```
/// let name = "world";
/// sylvan::print!("Hello, {name}!\n");
/// ```
///
/// # Panics
///
/// If it cannot be written.
#[macro_export]
macro_rules! print {
    ($($arg:tt)*) => {
        $crate::io::_print(::core::format_args!($($arg)*))
    };
}

/// [`print!`](crate::print), and the end of the line.
///
/// ```
/// use sylvan::println;
///
/// println!();
/// println!("{} + {} = {sum}", 1, 2, sum = 3);
/// ```
///
/// # Panics
///
/// If it cannot be written.
#[macro_export]
macro_rules! println {
    () => {
        $crate::print!("\n")
    };
    ($($arg:tt)*) => {
        $crate::print!("{}\n", ::core::format_args!($($arg)*))
    };
}

/// Prints to [standard error](crate::io::stderr). Suspends, if need be; one call's text is written at once.
///
/// Different from std's, it is not captured by `cargo test`.
///
/// ```
/// sylvan::eprint!("50 %\r");
/// ```
///
/// # Panics
///
/// If it cannot be written.
#[macro_export]
macro_rules! eprint {
    ($($arg:tt)*) => {
        $crate::io::_eprint(::core::format_args!($($arg)*))
    };
}

/// [`eprint!`](crate::eprint), and the end of the line.
///
/// ```
/// sylvan::eprintln!("{}: no such file", "main.c");
/// ```
///
/// # Panics
///
/// If it cannot be written.
#[macro_export]
macro_rules! eprintln {
    () => {
        $crate::eprint!("\n")
    };
    ($($arg:tt)*) => {
        $crate::eprint!("{}\n", ::core::format_args!($($arg)*))
    };
}

/// What `print!` calls.
#[doc(hidden)]
pub fn _print(args: fmt::Arguments<'_>) {
    if let Err(error) = stdout().write_fmt(args) {
        panic!("failed printing to stdout: {error}");
    }
}

/// What `eprint!` calls. The stream has no buffer: so the text is put together first.
#[doc(hidden)]
pub fn _eprint(args: fmt::Arguments<'_>) {
    let mut text = String::new();
    let written = match args.as_str() {
        Some(text) => stderr().write_all(text.as_bytes()),
        None => match text.write_fmt(args) {
            Ok(()) => stderr().write_all(text.as_bytes()),
            Err(fmt::Error) => panic!("a formatting trait returned an error"),
        },
    };
    if let Err(error) = written {
        panic!("failed printing to stderr: {error}");
    }
}
