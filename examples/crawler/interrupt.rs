//! ^C, and what `kill` sends.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::process;

/// The exit status of a program that ^C ended, as shells expect it.
pub const STATUS: u8 = 130;

/// Calls `stop` at the first ^C and ends the process at the second.
///
/// A plain OS thread waits for it: it must answer even when all green threads hang.
pub fn on_interrupt(stop: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let listen = move || {
        let mut waiting = signals.forever();
        if waiting.next().is_some() {
            stop();
        }
        if waiting.next().is_some() {
            process::exit(STATUS.into());
        }
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(listen)?;
    Ok(())
}
