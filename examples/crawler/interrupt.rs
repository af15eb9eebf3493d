//! ^C, and what `kill` sends.

use std::io;
use std::process;
use sylvan::signal::{Signal, Signals};

/// The exit status of a program that ^C ended, as shells expect it.
pub const STATUS: u8 = 130;

/// Calls `stop` at the first ^C and ends the process at the second.
///
/// A plain OS thread waits for it: it must answer even when all green threads hang.
pub fn on_interrupt(stop: impl Fn() + Send + 'static) -> io::Result<()> {
    let signals = Signals::new([Signal::INTERRUPT, Signal::TERMINATE])?;
    let listen = move || {
        if signals.wait().is_ok() {
            stop();
        }
        if signals.wait().is_ok() {
            process::exit(STATUS.into());
        }
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(listen)?;
    Ok(())
}
