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
//!
//! # The modules, in reading order
//!
//! * [`run`] runs a closure as the main green thread on the calling OS thread; [`runtime`] has runtimes of
//!   one's own, with several hubs. Spawning from a plain OS thread needs neither: a process-wide runtime
//!   starts by itself.
//! * [`thread`] is `std::thread`: [`spawn`], `scope`, `sleep`, `park`, [`thread_local!`]; and
//!   [`cancel`](thread::JoinHandle::cancel), which std has not.
//! * [`time`] has [`timeout`](time::timeout), which bounds whatever it is put around.
//! * [`task`] has what `std::thread` lacks: many green threads at once ([`gather`](task::gather),
//!   [`wait`](task::wait), [`race`](task::race)), those that end together ([`nursery`](task::nursery)), those with
//!   room for so many at once ([`Pool`](task::Pool)); a look at [all](task::all) that are alive; values that are
//!   handed on to what is spawned ([`ContextVar`](task::ContextVar)).
//! * [`future`] has [`block_on`](future::block_on), for crates that are async.
//! * [`select!`] waits for whichever of several things comes first.
//! * [`sync`] is `std::sync`; [`net`] is `std::net`; [`io`] has std's traits,
//!   and the standard streams that [`println!`] and its kin write to.
//! * [`signal`] waits for signals: ^C, SIGTERM and their like.
//! * [`fs`] is `std::fs`, [`process`] is `std::process`, [`os`] has what Unix and Linux add.
//! * [`server`] has servers: a green thread for each connection, at most so many at once.
//! * [`offload`] runs what blocks in the kernel on OS threads of its own; [`runtime::OffloadPool`] keeps one kind of
//!   such work apart.
#![cfg_attr(
    feature = "http",
    doc = "* [`http`] has what aiohttp has, sessions, and a server, over all of this."
)]
#![cfg_attr(
    feature = "process-pool",
    doc = "* [`process_pool`] calls functions in other processes, many at once in each."
)]
//!
//! Who knows asyncio or gevent finds what they have, row by row, in the [`guide`].
//!
//! Everything works from a green thread and from a plain OS thread, which it blocks as std would.
//!
//! # What to know
//!
//! * A green thread that computes keeps its hub until it waits. Operations that need not wait let others run
//!   every so often; code that calls none of them does not. [`offload`] takes long computations.
//! * A started green thread stays on its OS thread, so `Rc`, `RefCell`, `MutexGuard` and `thread_local!` of
//!   std may be held across a wait. A *std* lock that is held across a wait blocks all others of the hub that
//!   want it, for ever if its holder is one of them: use [`sync`]'s.
//! * Crates that keep a pointer into a stack frame in an OS thread's thread-local and restore it in
//!   last-in-first-out order (`scoped-tls` is the known one) are not sound with green threads.
//! * The initialiser of a `thread_local!` of *std's* must not wait: another green thread may make the value meanwhile, and
//!   std then drops that one, borrowed or not. [`thread_local!`] of this crate has a value for each green thread.
//! * A [`Runtime`](runtime::Runtime) with several hubs that is leaked on the main thread does not end with it: its
//!   green threads must not borrow the main thread's thread-locals.
//! * [`cancel`](thread::JoinHandle::cancel) and [`timeout`](time::timeout) unwind. Rust aborts when an unwinding
//!   meets a frame of C: put [`task::mask`] around the body of a callback that waits.
//! * A destructor that runs because of an unwinding may wait, undisturbed, and bound itself by a time-out. std
//!   counts panics per OS thread, so while one green thread waits in the midst of an unwinding
//!   `std::thread::panicking()` is true for its neighbours, and guards of *std's* locks that they drop poison;
//!   [`thread::panicking`] and [`sync`]'s locks know better. Meanwhile to lock costs its neighbours a look at their
//!   stacks, a microsecond or two. A panic hook must not wait: std aborts if another green thread of that OS
//!   thread panics meanwhile, and counts wrongly from then on if one is cancelled or runs out of time.
//! * A deadlock of all that is in a [`run`] is reported after a second: which green threads wait, for what, and who
//!   holds it. While one of them waits for a descriptor or a timer there is no telling: [`task::all`] shows at any time
//!   who waits for what. In a debug build a green thread that keeps its hub for a second is reported, too. See
//!   [`on_deadlock`](runtime::Builder::on_deadlock) and [`watchdog`](runtime::Builder::watchdog).
//! * All reports go to the `log` crate's logger, as errors of the target `sylvan`; to standard error if there is none.
//! * std's message of a panic names the OS thread, `main` or `sylvan-hub-1`, not the green thread; the report of a
//!   failure that nobody takes names that.
//! * A stack overflow ends the process with a message that names the green thread.

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
pub mod future;
pub mod runtime;
pub mod sync;
pub mod task;
pub mod thread;
pub mod time;
// 4: resources
mod fd;
pub mod fs;
pub mod io;
pub mod net;
pub mod os;
pub mod process;
pub mod signal;
// 5: services
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "process-pool")]
pub mod process_pool;
pub mod server;
// For people
pub mod guide;

pub use rt::{offload, run};
pub use thread::{spawn, spawn_local};
