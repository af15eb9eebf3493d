//! What the kernel has to say to people: through `log`, and to stderr when no logger is set.

use std::any::Any;
use std::fmt::{self, Write as _};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{OnceLock, mpsc};
use std::{mem, process, thread};

use super::cancel;
use super::current;
use super::group::Returned;
use super::task::Task;
use crate::sys::fault::Stderr;

/// Tells of something that must not be lost.
///
/// A logger is user code: from a hub's own stack, where it may not run, a helper thread calls it.
pub(crate) fn error(message: fmt::Arguments<'_>) {
    if log::max_level() == log::LevelFilter::Off {
        // In one write, so that the lines of several threads do not mix.
        let _ = Stderr.write_str(&format!("sylvan: {message}\n"));
        return;
    }
    let on_hub = current::hub().is_some_and(|hub| !hub.is_running_task());
    if !on_hub {
        contain(|| log::error!(target: "sylvan", "{message}"));
        return;
    }
    if let Err(mpsc::SendError(text)) = helper().send(message.to_string()) {
        let _ = writeln!(Stderr, "sylvan: {text}");
    }
}

/// The way to the OS thread that calls the logger for the hubs. If it could not be started nobody
/// receives.
fn helper() -> &'static mpsc::Sender<String> {
    static HELPER: OnceLock<mpsc::Sender<String>> = OnceLock::new();
    HELPER.get_or_init(|| {
        let (sender, texts) = mpsc::channel::<String>();
        let helper = thread::Builder::new().name("sylvan-report".into());
        let _ = helper.spawn(move || {
            for text in texts {
                contain(|| log::error!(target: "sylvan", "{text}"));
            }
        });
        sender
    })
}

/// Runs what may panic where no panic may pass: a logger, the drop of a panic's payload.
pub(super) fn contain(f: impl FnOnce()) {
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(f)) {
        let _ = writeln!(Stderr, "sylvan: a report or a panic's payload panicked");
        // Its drop may panic as well.
        mem::forget(payload);
    }
}

/// Runs `f`; aborts the process if it unwinds. Past this point that would leave a hub half-way, and
/// what tasks borrow without an owner.
#[inline]
pub(super) fn without_unwinding<R>(f: impl FnOnce() -> R) -> R {
    struct Abort;
    impl Drop for Abort {
        fn drop(&mut self) {
            fatal(format_args!(
                "a panic has got past the end of a green thread"
            ));
        }
    }
    let abort = Abort;
    let result = f();
    mem::forget(abort);
    result
}

/// Tells of a broken invariant of our own and ends the process.
#[cold]
pub(crate) fn fatal(message: fmt::Arguments<'_>) -> ! {
    let _ = writeln!(Stderr, "sylvan: fatal: {message}");
    process::abort()
}

/// Tells, without a logger, who is left when the process ends now: a logger may be what hangs.
pub(super) fn last_words(text: &str) {
    let _ = Stderr.write_str(&format!("sylvan: {text}\n"));
}

/// A task has failed, and no handle can receive it any more: its group does, or people are told.
pub(super) fn lost_failure(task: &Task, payload: Box<dyn Any + Send>) {
    let payload = match &task.group {
        Some(group) => group.lost(task, payload),
        None => Some(payload),
    };
    if let Some(payload) = payload {
        failure(task, payload);
    }
}

/// Tells of a failure that nobody can receive any more. A cancellation is none.
pub(super) fn failure(task: &Task, payload: Box<dyn Any + Send>) {
    if !cancel::is_cancellation(payload.as_ref()) {
        contain(|| {
            error(format_args!(
                "green thread '{}' (spawned at {}) failed, and nobody has taken its result: {}",
                task.display_name(),
                task.identity.spawned_at,
                Message(payload.as_ref()),
            ));
        });
    }
    catch_panic(task, "dropping its result", move || drop(payload));
}

/// Runs destructors of the user's that may panic with nobody to catch it.
pub(super) fn catch_panic(task: &Task, doing: &str, f: impl FnOnce()) {
    contain(|| {
        if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(f)) {
            error(format_args!(
                "green thread '{}' (spawned at {}) panicked while {doing}: {}",
                task.display_name(),
                task.identity.spawned_at,
                Message(payload.as_ref()),
            ));
        }
    });
}

/// A panic's payload in words.
pub(crate) struct Message<'payload>(pub(crate) &'payload (dyn Any + Send));

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.0.downcast_ref::<&str>() {
            f.write_str(text)
        } else if let Some(text) = self.0.downcast_ref::<String>() {
            f.write_str(text)
        } else if let Some(no_stack) = self.0.downcast_ref::<super::no_stack::NoStack>() {
            no_stack.fmt(f)
        } else if let Some(cancelled) = self.0.downcast_ref::<cancel::Cancelled>() {
            cancelled.fmt(f)
        } else if let Some(inner) = self.0.downcast_ref::<Box<dyn Any + Send>>() {
            // A reference to a box is soon taken for one to what is in it.
            Message(&**inner).fmt(f)
        } else if let Some(returned) = self.0.downcast_ref::<Returned>() {
            returned.0.fmt(f)
        } else {
            f.write_str("(a payload that is not a string)")
        }
    }
}

/// Reports the overflow of the running task's stack; inside a signal handler.
pub(super) fn overflow(stack_size: usize, out: &mut Stderr) {
    let Some(hub) = current::hub_of_task() else {
        let _ = writeln!(
            out,
            "\na green thread's guard page was hit from outside ({stack_size} bytes of stack)"
        );
        return;
    };
    // SAFETY: the running task's record is alive.
    let task = unsafe { hub.current_task().as_ref() };
    let _ = writeln!(
        out,
        "\ngreen thread '{}' has overflowed its stack ({stack_size} bytes)\nit was spawned at {}",
        task.display_name(),
        task.identity.spawned_at,
    );
}
