//! Many processes, each with many green threads: for work that needs more than one core, or a process that may die.
//!
//! * [`Pool`] has some processes and gives them jobs: `apply`, `map`, `imap`.
//! * [`Worker`] calls one function in a process of its own and has its result; [`Process`] only has its exit status.
//!
//! ```standalone_crate
//! use sylvan::process_pool::{self, Pool};
//!
//! fn is_prime(number: u64) -> bool {
//!     number > 1 && (2..).take_while(|d| d * d <= number).all(|d| number % d != 0)
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     process_pool::init(); // a process of the pool begins here, and ends here
//!
//!     let pool = Pool::builder().processes(2).build()?;
//!     let primes = pool.map(is_prime, 1..=1000)?;
//!     assert_eq!(primes.iter().filter(|prime| **prime).count(), 168);
//!     Ok(())
//! }
//! ```
//!
//! # The program, started again
//!
//! A process of a pool is the same program, started anew (`/proc/self/exe`, never a fork), with a socket to its parent as
//! its standard input. [`init`], at the top of `main`, sees that and does there what the pool wants. Where it was
//! forgotten the process ends when it would start processes itself, and the parent is told.
//!
//! In test binaries `main` is libtest's. There a test takes its place, and whoever starts processes names it:
//!
//! ```
//! use sylvan::process_pool;
//!
//! #[test]
//! fn worker_entry() {
//!     process_pool::init();
//! }
//!
//! #[test]
//! fn squares() {
//!     process_pool::use_test_entry("worker_entry"); // its path, `module::worker_entry` in a module
//!     let pool = process_pool::Pool::new().unwrap();
//!     assert_eq!(pool.map(|n: u32| n * n, 1..4).unwrap(), [1, 4, 9]);
//! }
//! ```
//!
//! (Or the test has a `main` of its own: `harness = false` in Cargo.toml.)
//!
//! # What travels
//!
//! Jobs are functions that capture nothing, `fn(A) -> R`; a closure without captures is one. The
//! argument and the result travel by serde, in the format of postcard, which does not describe itself: types whose
//! `Deserialize` asks what comes (`serde_json::Value`, untagged enums) cannot. A function is named by its place in the
//! program, which both sides share, for they are of one build, and that is checked.
//!
//! # What each process is
//!
//! A runtime of one hub, on which jobs are green threads: those that wait let others run, those that compute
//! keep it. It asks for its next job when it has room ([`concurrency`](Builder::concurrency)) and time. Its standard output is
//! the parent's; so is its standard error, by way of the parent, which keeps the last of it for
//! [`JobError::WorkerDied`]; its standard input is empty. It ignores ^C: that is for the parent to act upon. It ends
//! with its parent, however that ends, and whatever it is doing, within moments.
//!
//! # What can go wrong
//!
//! Each job that was taken ends once: with its result, or a [`JobError`]. A panic is one, with its message, and harms
//! nothing else; it is not printed. A process that dies fails the jobs that it has, unless they are
//! [repeatable](Jobs::repeatable), and is replaced: at once, or if it had done nothing, after a pause that grows from 10
//! milliseconds to a second. One that breaks the protocol is ended and counts as dead.
//!
//! # Cancellation
//!
//! [`Pool::apply`] and the maps cancel their jobs when they are cancelled. [`Job::cancel`] cancels one. The green
//! thread of the job is then cancelled where it waits, in its process; one that computes notices when it next waits.
//!
//! The model is Python's aiomultiprocess, for what users write.

// The documentation shows what a test binary needs.
#![allow(clippy::test_attr_in_doctest)]

mod builder;
mod call;
mod child;
mod core;
mod error;
mod job;
mod jobs;
mod link;
mod map;
mod pool;
mod seat;
mod single;
mod stats;
mod wire;
mod worker;

pub use builder::Builder;
pub use error::JobError;
pub use job::Job;
pub use jobs::Jobs;
pub use map::{Imap, ImapUnordered};
pub use pool::Pool;
pub use single::{Process, Worker};
pub use stats::{ProcessStats, Stats};
pub use worker::init;

/// Names the test that calls [`init`] in this test binary, for all processes that are started from here on. See [the
/// module](self#the-program-started-again).
///
/// # Panics
///
/// If another was named before.
#[track_caller]
pub fn use_test_entry(test: &str) {
    let arguments = [
        test,
        "--exact",
        "--nocapture",
        "--quiet",
        "--test-threads=1",
    ];
    let set = child::set_arguments(arguments.map(str::to_owned).to_vec());
    assert!(set, "another test was named before");
}
