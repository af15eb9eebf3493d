//! Cancellation: scopes that can be told to end, and the unwinding that ends them.
//!
//! A task has a chain of scopes, innermost first: what `timeout` and nurseries entered, down to the
//! task itself, the root. A scope is marked (`cancel`) or its deadline passes; the next suspension
//! throws to the *outermost* such scope that is visible. The throw is an unwinding with a private
//! payload that the scope's frame recognises by identity; all other frames pass it on.
//!
//! Not visible are scopes outside of `mask`, and, while the task unwinds, scopes that were entered
//! before the unwinding began: a throw that left a destructor would abort the process. std's count of panics
//! does not tell whose they are, so the stack itself is asked: each scope notes the *place* of its frame, and
//! `sys::unwind` finds what stands between. `README.md`, section "Cancellation", says what is exact.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::clock::Instant;
#[cfg(panic = "unwind")]
use super::current;
use super::deadlock;
use super::group::Group;
use super::park;
use super::task::{Task, TaskRef};
use crate::sys::unwind::{self, Barriers};

/// What a cancelled task's handle gives instead of a result: the payload of the `Err` of `join`.
///
/// ```
/// sylvan::run(|| {
///     let task = sylvan::thread::spawn(|| {
///         sylvan::thread::sleep(std::time::Duration::from_secs(3600));
///     });
///     task.cancel();
///     let payload = task.join().unwrap_err();
///     assert!(payload.is::<sylvan::task::Cancelled>());
/// });
/// ```
///
/// # Programs that abort on panic
///
/// With `panic = "abort"` nothing can unwind. What is cancelled, or is out of time, then goes on like this:
///
/// * A call that returns an [`io::Result`] and would suspend fails, also if it is suspended already. The
///   error's kind is [`Other`](io::ErrorKind::Other), and it wraps this type.
/// * All other calls wait on and complete. [`cancel_requested`](crate::task::cancel_requested) tells that
///   the green thread should end.
/// * A green thread that has not started never runs.
/// * When a [`Runtime`](crate::runtime::Runtime) ends, its green threads get to see that they are cancelled;
///   those that are still suspended after that are leaked: their destructors do not run, their stacks are
///   never used again, and their handles give this type. Those of a [`run`](crate::run) inside of another live
///   on with the outer one.
///
/// ```
/// fn is_cancelled(error: &std::io::Error) -> bool {
///     error.get_ref().is_some_and(|cause| cause.is::<sylvan::task::Cancelled>())
/// }
/// # assert!(!is_cancelled(&std::io::ErrorKind::Other.into()));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cancelled(());

impl Cancelled {
    pub(crate) fn new() -> Cancelled {
        Cancelled(())
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the green thread was cancelled")
    }
}

impl std::error::Error for Cancelled {}

/// One cancel scope. All but the root lie on their task's stack.
pub(crate) struct Scope {
    id: u64,
    kind: Kind,
    /// Where its frame is: the stack pointer inside of what catches a throw.
    place: Cell<usize>,
    deadline: Instant,
    cancelled: AtomicBool,
    parent: Cell<*const Scope>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A frame that catches throws addressed to it.
    Frame,
    /// The end of what can be seen from inside.
    Mask,
}

impl Scope {
    /// Marks the scope; its task is to be interrupted afterwards.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    fn is_due(&self, now: Instant) -> bool {
        self.is_cancelled() || self.deadline <= now
    }

    /// Notes that its frame is the caller's, which is called inside of what catches a throw to it.
    #[inline(always)]
    pub(super) fn begin(&self) {
        self.place.set(unwind::stack_pointer());
    }
}

/// A task's chain of scopes.
pub(crate) struct Scopes {
    root: Scope,
    /// Null stands for the root: the record moves into its allocation after it was made.
    innermost: Cell<*const Scope>,
    last_id: Cell<u64>,
    /// Throws that were started and not yet caught by their frame or dropped by someone else.
    in_flight: AtomicU32,
    /// How often it was thrown to, as far as that is counted.
    #[cfg_attr(not(panic = "unwind"), expect(dead_code, reason = "nothing is thrown"))]
    thrown: Cell<u8>,
    /// It is to panic because of a deadlock.
    told_of_deadlock: AtomicBool,
    /// Where its stack begins: the stack pointer of the frame that calls all the others.
    base: Cell<usize>,
}

const ROOT: u64 = 0;

/// The unwinding payload of a throw.
struct Throw {
    task: TaskRef,
    scope: u64,
}

impl Drop for Throw {
    fn drop(&mut self) {
        // Caught by its frame, or swallowed by a `catch_unwind` of the user's: no unwinding any more.
        self.task.scopes.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// After this many throws to a task each further one lets the others run first.
#[cfg(panic = "unwind")]
const PATIENT_THROWS: u8 = 8;

/// While it is in doubt whether a throw would leave a destructor, it is tried again this often.
const DOUBT: Duration = Duration::from_millis(10);

impl Scopes {
    #[inline(always)]
    pub(super) fn new(deadline: Instant) -> Scopes {
        Scopes {
            root: Scope {
                id: ROOT,
                kind: Kind::Frame,
                place: Cell::new(usize::MAX),
                deadline,
                cancelled: AtomicBool::new(false),
                parent: Cell::new(ptr::null()),
            },
            innermost: Cell::new(ptr::null()),
            last_id: Cell::new(ROOT),
            in_flight: AtomicU32::new(0),
            thrown: Cell::new(0),
            told_of_deadlock: AtomicBool::new(false),
            base: Cell::new(usize::MAX),
        }
    }

    pub(super) fn root(&self) -> &Scope {
        &self.root
    }

    /// Is there more than a root without a deadline? If not, only an interruption can matter.
    fn is_eventful(&self) -> bool {
        !self.innermost.get().is_null() || self.root.deadline != Instant::NEVER
    }

    /// The task is to look at a deadlock when it would suspend next; the caller interrupts it.
    pub(super) fn tell_of_deadlock(&self) {
        self.told_of_deadlock.store(true, Ordering::Release);
    }

    /// Was it told to, and may panic now?
    fn takes_deadlock(&self) -> bool {
        self.told_of_deadlock.swap(false, Ordering::Acquire)
            && self.are_unmasked()
            && !thread::panicking()
    }

    /// Is no mask entered? The caller is the task's own OS thread.
    pub(super) fn are_unmasked(&self) -> bool {
        self.chain().any(|scope| scope.id == ROOT)
    }

    /// The scopes that are not behind a mask, innermost first.
    fn chain(&self) -> impl Iterator<Item = &Scope> {
        let mut next = Some(self.innermost.get());
        std::iter::from_fn(move || {
            let current = next?;
            // SAFETY: entered scopes are valid until they leave the chain; null is the root.
            let scope = unsafe { current.as_ref() }.unwrap_or(&self.root);
            next = (!current.is_null()).then(|| scope.parent.get());
            Some(scope)
        })
        .take_while(|scope| scope.kind == Kind::Frame)
    }

    /// The scopes that a throw could reach now, innermost first.
    fn visible(&self) -> impl Iterator<Item = &Scope> {
        let barriers = self.barriers();
        self.chain()
            .filter(move |scope| barriers.let_pass(scope.place.get()))
    }

    /// What stands in the way of a throw. Called by the task itself.
    fn barriers(&self) -> Barriers {
        if thread::panicking() {
            unwind::barriers(self.base.get())
        } else {
            Barriers::NO
        }
    }

    /// The task begins; the calling frame is the outermost.
    #[inline(always)]
    pub(super) fn begin(&self) {
        self.base.set(unwind::stack_pointer());
    }

    fn enter(&self, kind: Kind, deadline: Instant) -> Scope {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        Scope {
            id,
            kind,
            place: Cell::new(usize::MAX),
            deadline,
            cancelled: AtomicBool::new(false),
            parent: Cell::new(self.innermost.get()),
        }
    }

    /// What a task's own frame makes of how its closure ended.
    pub(super) fn settle<T>(&self, result: thread::Result<T>) -> thread::Result<T> {
        result.map_err(|payload| match payload.downcast::<Throw>() {
            Ok(_throw) => Box::new(Cancelled::new()) as Box<dyn Any + Send>,
            Err(payload) => payload,
        })
    }
}

/// Called before every suspension of a task that may have to end: throws if a visible scope was
/// cancelled or has expired; else returns the moment at which this must be asked again.
#[cold]
pub(super) fn checkpoint(task: &Task) -> Instant {
    let scopes = &task.scopes;
    let now = Instant::now();
    let due = scopes.chain().any(|scope| scope.is_due(now));
    let barriers = if due { scopes.barriers() } else { Barriers::NO };
    let mut again = Instant::NEVER;
    let mut outermost = None;
    for scope in scopes.chain() {
        let place = scope.place.get();
        if !scope.is_due(now) {
            again = again.min(scope.deadline);
        } else if barriers.let_pass(place) {
            outermost = Some(scope);
        } else if barriers.may_let_pass(place) {
            again = again.min(now.checked_add(DOUBT).unwrap_or(Instant::NEVER));
        }
    }
    if let Some(scope) = outermost {
        throw(task, scope);
    } else if scopes.takes_deadlock() {
        deadlock::panic_if_it_lasts();
    }
    again
}

#[cfg(panic = "unwind")]
fn throw(task: &Task, scope: &Scope) -> ! {
    // Who swallows throws again and again gets no further by it, but the others must.
    let thrown = task.scopes.thrown.get();
    task.scopes.thrown.set(thrown.saturating_add(1));
    if thrown >= PATIENT_THROWS {
        current::let_others_run();
    }
    task.scopes.in_flight.fetch_add(1, Ordering::Relaxed);
    panic::resume_unwind(Box::new(Throw {
        task: task.reference(),
        scope: scope.id,
    }))
}

/// Nothing can unwind: the wait goes on. Those that can fail ask [`may_wait`], and `is_requested` tells
/// whoever else asks.
#[cfg(not(panic = "unwind"))]
fn throw(_task: &Task, _scope: &Scope) {}

/// Asked by a call that can return an error where it would suspend. An error: the task is to end and cannot
/// be unwound, as the program is built with `panic = "abort"`.
///
/// The kind is not `Interrupted`, which the loops of std would try again for ever.
#[inline]
pub(super) fn may_wait() -> io::Result<()> {
    if cfg!(panic = "unwind") || !is_requested() {
        return Ok(());
    }
    Err(io::Error::other(Cancelled::new()))
}

/// Leaves a scope however its closure ends.
struct Entered<'scope> {
    task: &'scope Task,
    scope: &'scope Scope,
}

impl<'scope> Entered<'scope> {
    fn new(task: &'scope Task, scope: &'scope Scope) -> Entered<'scope> {
        task.scopes.innermost.set(scope);
        task.seat.eventful.set(true);
        Entered { task, scope }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let scopes = &self.task.scopes;
        scopes.innermost.set(self.scope.parent.get());
        self.task.seat.eventful.set(scopes.is_eventful());
    }
}

/// Runs `f` in a scope of its own that ends at `deadline`. `None`: its deadline passed, and `f` was
/// unwound.
pub(crate) fn with_deadline<T>(deadline: Instant, f: impl FnOnce() -> T) -> Option<T> {
    in_scope(deadline, |_, _| {}, f)
}

/// Runs `f`, the body of a nursery, in a scope of its own that the end of the nursery cancels. `None`: that
/// happened, and `f` was unwound.
pub(crate) fn with_group<T>(group: &Group, f: impl FnOnce() -> T) -> Option<T> {
    struct Clear<'group>(&'group Group);
    impl Drop for Clear<'_> {
        fn drop(&mut self) {
            self.0.clear_body();
        }
    }
    let result = in_scope(
        Instant::NEVER,
        |task, scope| group.set_body(task, scope),
        || {
            // Before the scope ends, which is a frame further out.
            let _clear = Clear(group);
            f()
        },
    );
    park::with_current(|task| {
        // SAFETY: the current task's record outlives its own frames.
        unsafe { task.as_ref() }.calm();
    });
    result
}

/// Runs `f` in a scope that is shown to `enter` first. `None`: the scope was cancelled, or its deadline
/// passed, and `f` was unwound.
///
/// Not inlined: two scopes in one frame would have one place, and a destructor between them would not show.
#[inline(never)]
fn in_scope<T>(
    deadline: Instant,
    enter: impl FnOnce(&Task, &Scope),
    f: impl FnOnce() -> T,
) -> Option<T> {
    park::with_current(|task| {
        // SAFETY: the current task's record outlives its own frames.
        let task = unsafe { task.as_ref() };
        let scope = task.scopes.enter(Kind::Frame, deadline);
        let entered = Entered::new(task, &scope);
        enter(task, &scope);
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            scope.begin();
            f()
        }));
        drop(entered);
        match result {
            Ok(value) => Some(value),
            Err(payload) => {
                let ours = payload.downcast_ref::<Throw>().is_some_and(|throw| {
                    ptr::eq(&raw const *throw.task, task) && throw.scope == scope.id
                });
                if !ours {
                    panic::resume_unwind(payload);
                }
                None
            }
        }
    })
}

/// Runs `f` with all cancellation and deadlines from outside held back until it returns.
pub(crate) fn mask<T>(f: impl FnOnce() -> T) -> T {
    park::with_current(|task| {
        // SAFETY: the current task's record outlives its own frames.
        let task = unsafe { task.as_ref() };
        let scope = task.scopes.enter(Kind::Mask, Instant::NEVER);
        let _entered = Entered::new(task, &scope);
        f()
    })
}

/// The soonest deadline of the scopes that a throw could reach now; [`Instant::NEVER`] if none.
pub(crate) fn deadline() -> Instant {
    park::with_current(|task| {
        // SAFETY: the current task's record outlives its own frames.
        let scopes = &unsafe { task.as_ref() }.scopes;
        let deadlines = scopes.visible().map(|scope| scope.deadline);
        deadlines.min().unwrap_or(Instant::NEVER)
    })
}

/// Would the next suspension throw?
pub(crate) fn is_requested() -> bool {
    park::with_current(|task| {
        // SAFETY: the current task's record outlives its own frames.
        let scopes = &unsafe { task.as_ref() }.scopes;
        let now = Instant::now();
        scopes.visible().any(|scope| scope.is_due(now))
    })
}

/// Is the current task unwinding because of a panic? (`true` in doubt.)
///
/// A throw of ours is no panic: it does not poison.
#[inline]
pub(crate) fn is_panicking() -> bool {
    thread::panicking() && unwinds_by_panic(Barriers::may_exist)
}

/// As [`is_panicking`], but `false` in doubt.
///
/// This is what poisons a lock. A lock that is let go while a neighbour is suspended in the middle of
/// its own unwinding must not be poisoned by that: the neighbour may be the very one that waits for it,
/// in a destructor, where the panic of an `unwrap` would abort the process.
#[inline]
pub(crate) fn is_certainly_panicking() -> bool {
    thread::panicking() && unwinds_by_panic(Barriers::exist)
}

/// Something on this OS thread unwinds. Is it the current task, and by a panic, and does `exist` think so?
#[cold]
fn unwinds_by_panic(exist: fn(Barriers) -> bool) -> bool {
    park::with_current(|task| {
        // SAFETY: the current task's record outlives its own frames.
        let scopes = &unsafe { task.as_ref() }.scopes;
        // A plain OS thread has std's count for itself.
        scopes.in_flight.load(Ordering::Relaxed) == 0
            && (!park::on_green_thread() || exist(scopes.barriers()))
    })
}

/// Is this unwinding payload one of ours, a request to end rather than a failure?
pub(crate) fn is_cancellation(payload: &(dyn Any + Send)) -> bool {
    payload.is::<Throw>() || payload.is::<Cancelled>()
}
