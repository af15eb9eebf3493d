//! To wait for whichever of several things comes first: [`select!`], and [`Select`] for a number of them that is
//! not known when the program is written.
//!
//! ```
//! use sylvan::sync::{mpsc, select};
//! use sylvan::thread;
//!
//! sylvan::run(|| {
//!     let (sender, numbers) = mpsc::channel();
//!     let (_quit, quits) = mpsc::channel::<()>();
//!     thread::spawn(move || sender.send(42).unwrap());
//!     select! {
//!         recv(numbers) -> number => assert_eq!(number, Ok(42)),
//!         recv(quits) -> _ => panic!("nobody quits"),
//!     }
//! });
//! ```
//!
//! The syntax is crossbeam-channel's, and the macro is imported as that one is: `use sylvan::select`. The name
//! `sylvan::sync::select` means the macro as well as this module.
//!
//! # The cases
//!
//! | case | is done when | gives |
//! |---|---|---|
//! | `recv(r) -> message => …` | there is a message, or will never be one | what `r.recv()` returns |
//! | `send(s, value) -> result => …` | the message is sent, or can never be | what `s.send(value)` returns |
//! | `send_from(s, slot) -> result => …` | as `send`; the message is that of an `Option`, where it stays if it is not sent | the same |
//! | `join(handle) => …` | the thread has ended, so `handle.join()` will not wait | `()` |
//! | `acquire(semaphore) -> permit => …` | there is a permit | a [`SemaphorePermit`](super::SemaphorePermit) |
//! | `wait(event) => …` | the [`Event`](super::Event) is set, or was since the wait began | `()` |
//! | `wait(promise) => …` | the [`Promise`](super::Promise) is kept or broken, so `promise.get()` will not wait | `()` |
//! | `wait(x) -> value => …` | the same as `join` and `acquire`, for whatever can be waited for | |
//! | `after(duration) => …`, `at(instant) => …` | the time has come | the moment it was to be |
//! | `default => …` | none of the others can be done at once | |
//! | `default(duration) => …` | none of the others can be done for so long | |
//!
//! `-> pattern` may be left out of each. `get` and `put`, `put_from` are other names of `recv` and `send`, `send_from`, and all of them are for the
//! queues of [`queue`](super::queue) as well. Operands are
//! borrowed for the time of the wait, through references and smart pointers as by a method call, and not any more when the
//! case's own code runs.
//!
//! * If several cases can be done, any of them is, each equally likely. With `biased;` in front it is the first one.
//! * Exactly one is done. The others leave nothing behind: no message is taken, no place in a line kept, and if something
//!   was on its way to another one it goes to the next in line.
//! * A wait that is cancelled, or ended by a [`timeout`](crate::time::timeout), does none of them.
//! * With `default` it never suspends.
//! * Two selects that meet at a channel without capacity, one to send and one to receive, serve each other; a select does not
//!   serve itself.
//!
//! # Differences from crossbeam-channel
//!
//! A message is made *before* the wait, and is dropped if its case is not done: a waiting receiver can then take it without waiting
//! for the sender's code. crossbeam makes it after. Use `send_from` where it must not be lost:
//!
//! ```
//! use sylvan::select;
//! use sylvan::sync::mpsc::sync_channel;
//!
//! let (sender, receiver) = sync_channel(1);
//! let mut waiting: Vec<i32> = vec![3, 2, 1];
//! let mut next = None;
//! loop {
//!     next = next.or_else(|| waiting.pop());
//!     select! {
//!         send_from(sender, next) -> sent => sent.unwrap(),
//!         default => break, // full, and `next` has what was not sent; or all is sent
//!     }
//! }
//! assert_eq!(receiver.recv(), Ok(1));
//! assert_eq!((next, waiting), (Some(2), vec![3]));
//! ```
//!
//! A `send_from` whose slot is `None` is never done: so a case is switched off.

mod builder;
mod macros;
mod operation;

use crate::rt::Case;

pub use builder::Select;
pub use macros::select;
pub use operation::{After, Outgoing, after, at};

/// What can be received from in a select: `recv(x)`.
///
/// It cannot be implemented for others.
#[diagnostic::on_unimplemented(
    message = "a select cannot receive from `{Self}`",
    label = "nothing to receive from"
)]
pub trait Receive: sealed::Sealed {
    /// What the case gives.
    type Output;

    #[doc(hidden)]
    type Operation<'queue>: Operation<'queue, Output = Self::Output>
    where
        Self: 'queue;

    #[doc(hidden)]
    fn to_receive(&self) -> Self::Operation<'_>;
}

/// What can be sent into in a select: `send(x, message)`.
///
/// It cannot be implemented for others.
#[diagnostic::on_unimplemented(
    message = "a select cannot send into `{Self}`",
    label = "nothing to send into"
)]
pub trait Transmit: sealed::Sealed {
    /// What is sent.
    type Message;
    /// What the case gives.
    type Output;

    #[doc(hidden)]
    type Operation<'queue>: Operation<'queue, Output = Self::Output>
    where
        Self: 'queue;

    #[doc(hidden)]
    fn to_send<'queue>(
        &'queue self,
        message: Outgoing<'queue, Self::Message>,
    ) -> Self::Operation<'queue>;
}

/// What can be waited for in a select: `wait(x)`.
///
/// It cannot be implemented for others.
#[diagnostic::on_unimplemented(
    message = "a select cannot wait for `{Self}`",
    label = "nothing to wait for"
)]
pub trait Await: sealed::Sealed {
    /// What the case gives.
    type Output<'queue>
    where
        Self: 'queue;

    #[doc(hidden)]
    type Operation<'queue>: Operation<'queue, Output = Self::Output<'queue>>
    where
        Self: 'queue;

    #[doc(hidden)]
    fn to_wait(&self) -> Self::Operation<'_>;
}

/// A case, and what comes of it.
///
/// To give a type one, implement `Case` of the kernel for a type that borrows it (`rt/select.rs` says how), this for the same
/// type, [`Receive`], [`Transmit`] or [`Await`] for the type itself, and `sealed::Sealed`. The implementation in
/// `sync/semaphore.rs` is the shortest.
#[doc(hidden)]
pub trait Operation<'queue>: Case<'queue> {
    type Output;

    /// What came of it, if it was done.
    ///
    /// # Panics
    ///
    /// May do so if it was not.
    fn finish(self) -> Self::Output;
}

pub(crate) mod sealed {
    /// Only this crate can name it.
    pub trait Sealed {}
}

/// What [`select!`] is made of.
#[doc(hidden)]
pub mod private {
    pub use super::operation::{Order, Selected, Until, nothing_else, run};
}
