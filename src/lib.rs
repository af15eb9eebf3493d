//! Green threads for Rust: plain blocking code, ten thousand of it at once.
//!
//! You write `read`, `write`, `connect`, `sleep`, `lock`, `recv`, `join`. Where such a call would block,
//! only the green thread that made it is suspended; a hub on the same OS thread runs the others, and
//! resumes it when what it waits for has come. There is no `async` and no `await`, and the names are
//! std's: replace `use std::{thread, net, sync}` by `use sylvan::{thread, net, sync}`.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use sylvan::thread;
//!
//! let start = Instant::now();
//! sylvan::run(|| {
//!     let tasks: Vec<_> = (0..1000)
//!         .map(|n| {
//!             thread::spawn(move || {
//!                 thread::sleep(Duration::from_millis(20));
//!                 n
//!             })
//!         })
//!         .collect();
//!     let sum: u32 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
//!     assert_eq!(sum, 499_500);
//! });
//! assert!(start.elapsed() < Duration::from_secs(10)); // not 20 s
//! ```

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("sylvan runs on Linux on x86-64 and aarch64 only, so far");

// 1: the machine
mod sys;
// 2: the kernel
mod rt;
// 3: primitives
pub mod runtime;
pub mod sync;
pub mod task;
pub mod thread;
pub mod time;
// 4: resources
pub mod io;
pub mod net;
pub mod os;
// 5: services
#[cfg(feature = "http")]
pub mod http;

pub use rt::{offload, run};
pub use thread::{spawn, spawn_local};
