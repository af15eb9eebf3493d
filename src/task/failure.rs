//! What fails of many green threads, and how.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::panic::{self, Location};

use super::{Cancelled, NoStack};
use crate::rt::{self, Failed, Returned, TaskRef};
use crate::thread::Thread;

/// One failure of a green thread, and whose it is.
pub struct Failure {
    thread: TaskRef,
    cause: Cause,
}

/// How a green thread failed.
#[derive(Debug)]
pub enum Cause {
    /// It panicked, with this payload.
    Panicked(Payload),
    /// It returned this error, in a nursery.
    Error(Box<dyn Error + Send + Sync>),
    /// It was cancelled.
    Cancelled,
    /// It could get no stack.
    NoStack(NoStack),
}

/// What a panic was started with: by value what [`JoinHandle::join`](crate::thread::JoinHandle::join) gives, by
/// reference its words only.
///
/// So it can be shared, whatever is in it, and a failure is an error that `?` takes anywhere.
pub struct Payload(Box<dyn Any + Send>);

// SAFETY: by reference it is only asked for its type, and shown if that is one of a few that are `Sync`: text, or
// an error of this crate.
unsafe impl Sync for Payload {}

impl Payload {
    /// The payload itself, to be resumed or looked into.
    #[must_use]
    pub fn into_inner(self) -> Box<dyn Any + Send> {
        self.0
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        rt::Message(&*self.0).fmt(f)
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Payload")
            .field(&format_args!("{self}"))
            .finish()
    }
}

/// A failure in words: what [`join`](crate::thread::JoinHandle::join), [`gather`](super::gather) and their like gave
/// as the error.
///
/// These are the words of the panic; that it was cancelled, or that there was no stack. Of a payload that is no text
/// nothing can be told but that.
///
/// ```
/// use sylvan::{task, thread};
///
/// sylvan::run(|| {
///     let failure = thread::spawn(|| panic!("no luck")).join().unwrap_err();
///     assert_eq!(task::describe(&failure).to_string(), "no luck");
///
///     let endless = thread::spawn(thread::park);
///     endless.cancel();
///     let failure = endless.join().unwrap_err();
///     assert_eq!(task::describe(&failure).to_string(), "the green thread was cancelled");
/// });
/// ```
pub fn describe(failure: &(dyn Any + Send)) -> impl fmt::Display {
    rt::Message(failure)
}

impl Failure {
    /// The thread that failed. It has ended.
    #[must_use]
    pub fn thread(&self) -> &Thread {
        Thread::of(&self.thread)
    }

    /// Where it was spawned.
    #[must_use]
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.thread.identity.spawned_at
    }

    /// How it failed.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// How it failed, by value.
    #[must_use]
    pub fn into_cause(self) -> Cause {
        self.cause
    }

    /// Goes on with this failure as the caller's own: unwinds with the panic's payload, with
    /// [`Cancelled`], or with the error.
    pub(super) fn resume(self) -> ! {
        panic::resume_unwind(match self.cause {
            Cause::Panicked(payload) => payload.into_inner(),
            Cause::Error(error) => Box::new(error),
            Cause::Cancelled => Box::new(Cancelled::new()),
            Cause::NoStack(no_stack) => Box::new(no_stack),
        })
    }
}

/// All that failed of a [`nursery`](super::nursery), a [`Group`](super::Group) or a [`Pool`](super::Pool), in
/// the order in which it came. Empty, if a nursery was ended by [`Nursery::cancel`](super::Nursery::cancel).
#[derive(Debug)]
pub struct Failures(pub(super) Vec<Failure>);

impl Failures {
    /// The failures by value.
    #[must_use]
    pub fn into_vec(self) -> Vec<Failure> {
        self.0
    }
}

impl From<Vec<Failed>> for Failures {
    fn from(failed: Vec<Failed>) -> Failures {
        Failures(failed.into_iter().map(Failure::from).collect())
    }
}

impl Deref for Failures {
    type Target = [Failure];

    fn deref(&self) -> &[Failure] {
        &self.0
    }
}

impl IntoIterator for Failures {
    type Item = Failure;
    type IntoIter = std::vec::IntoIter<Failure>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0[..] {
            [] => f.write_str("the green threads were cancelled"),
            [only] => only.fmt(f),
            [first, rest @ ..] => write!(f, "{first} (and {} more failed)", rest.len()),
        }
    }
}

impl Error for Failures {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.first()?.source()
    }
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Failure {
        let Failed { task, payload } = failed;
        let cause = payload
            .downcast::<Returned>()
            .map(|returned| Cause::Error(returned.0))
            .or_else(|payload| payload.downcast::<NoStack>().map(|it| Cause::NoStack(*it)))
            .or_else(|payload| payload.downcast::<Cancelled>().map(|_| Cause::Cancelled))
            .unwrap_or_else(|payload| Cause::Panicked(Payload(payload)));
        Failure {
            thread: task,
            cause,
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("thread", self.thread())
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.thread.display_name();
        let place = self.spawned_at();
        write!(
            f,
            "green thread '{name}' (spawned at {place}) {}",
            self.cause
        )
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            Cause::Error(error) => Some(&**error),
            Cause::NoStack(no_stack) => Some(no_stack),
            Cause::Panicked(_) | Cause::Cancelled => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Panicked(payload) => write!(f, "panicked: {payload}"),
            Cause::Error(error) => write!(f, "failed: {error}"),
            Cause::Cancelled => f.write_str("was cancelled"),
            Cause::NoStack(no_stack) => write!(f, "did not start: {no_stack}"),
        }
    }
}
