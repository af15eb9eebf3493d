//! Child processes, as [`std::process`] has them; to wait for one suspends the green thread.
//!
//! ```
//! use sylvan::process::Command;
//! use sylvan::thread;
//!
//! # fn main() -> std::io::Result<()> {
//! sylvan::run(|| {
//!     // A hundred at once, and not one OS thread that waits for them.
//!     let children: Vec<_> = (0..100)
//!         .map(|n| thread::spawn(move || Command::new("echo").arg(n.to_string()).output()))
//!         .collect();
//!     for (n, child) in children.into_iter().enumerate() {
//!         let output = child.join().unwrap()?;
//!         assert_eq!(output.stdout, format!("{n}\n").as_bytes());
//!     }
//!     Ok(())
//! })
//! # }
//! ```
//!
//! # What suspends
//!
//! [`Command`]'s `spawn`, `output` and `status`, [`Child`]'s `wait`, `wait_timeout` and `wait_with_output`, and reading and
//! writing its pipes. On an OS thread that runs no green threads the same calls block it, as std's would.
//!
//! # Signals
//!
//! A child belongs to the foreground as its parent does, and ^C goes to both. One that is not to see it gets a group of its
//! own ([`process_group`](crate::os::unix::process::CommandExt::process_group)). No handler of SIGCHLD is used, and a
//! program's own does no harm, unless it waits for children that are not its own. (Where SIGCHLD is *ignored* the kernel
//! forgets how children ended, and waiting fails, as std's does.)
//!
//! Where no descriptor of the process can be had (Linux before 5.3, a filter that forbids `pidfd_open`, no descriptor
//! left), a wait learns of the end up to 50 ms late.
//!
//! # Cancellation
//!
//! Whoever is cancelled while it waits leaves the child running, as when it is dropped: its pipes are closed, and it is
//! not killed. A wait that takes `&mut Child` can be made again.

pub use std::process::{
    CommandArgs, CommandEnvs, ExitCode, ExitStatus, Output, Stdio, Termination, abort, exit, id,
};

mod child;
mod command;
mod running;
mod stdio;

pub use child::Child;
pub use command::Command;
#[cfg(feature = "process-pool")]
pub(crate) use running::Running;
pub use stdio::{ChildStderr, ChildStdin, ChildStdout};
