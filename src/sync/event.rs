//! A flag that can be waited for.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use super::gate::{Gate, Passing};
use super::select::{Await, sealed::Sealed};
use crate::rt::{self, Instant, Reason};

/// A flag: who waits for it passes when it is set, and everybody passes as long as it is.
///
/// It is what gevent, Python's `threading` and asyncio call by this name. Whoever waits when it is set passes, also
/// if it is cleared before that one has run. For something that happens once and brings a value there is
/// [`Promise`](super::Promise).
///
/// ```
/// use sylvan::sync::{Arc, Event};
/// use sylvan::thread;
///
/// sylvan::run(|| {
///     let ready = Arc::new(Event::new());
///     let tasks: Vec<_> = (0..3)
///         .map(|number| {
///             let ready = ready.clone();
///             thread::spawn(move || {
///                 ready.wait();
///                 number
///             })
///         })
///         .collect();
///     thread::yield_now(); // they wait
///     ready.set();
///     let numbers = tasks.into_iter().map(|task| task.join().unwrap());
///     assert_eq!(numbers.sum::<i32>(), 3);
/// });
/// ```
pub struct Event {
    gate: Gate,
}

impl UnwindSafe for Event {}
impl RefUnwindSafe for Event {}

impl Event {
    /// One that is not set.
    ///
    /// ```
    /// static STOP: sylvan::sync::Event = sylvan::sync::Event::new();
    /// assert!(!STOP.is_set());
    /// ```
    #[must_use]
    #[inline]
    pub const fn new() -> Event {
        Event { gate: Gate::new() }
    }

    /// Sets it: all that wait pass. Never suspends.
    ///
    /// ```
    /// let event = sylvan::sync::Event::new();
    /// event.set();
    /// event.wait(); // it is set
    /// ```
    #[inline]
    pub fn set(&self) {
        self.gate.open();
    }

    /// Unsets it: who comes from now on waits. Never suspends.
    ///
    /// ```
    /// let event = sylvan::sync::Event::new();
    /// event.set();
    /// event.clear();
    /// assert!(!event.is_set());
    /// ```
    #[inline]
    pub fn clear(&self) {
        self.gate.close();
    }

    /// Is it set? Never suspends.
    ///
    /// ```
    /// assert!(!sylvan::sync::Event::new().is_set());
    /// ```
    #[must_use]
    #[inline]
    pub fn is_set(&self) -> bool {
        self.gate.is_open()
    }

    /// Waits until it is set.
    ///
    /// ```
    /// use sylvan::{sync::Event, thread};
    ///
    /// static READY: Event = Event::new();
    /// sylvan::run(|| {
    ///     thread::spawn(|| READY.set());
    ///     READY.wait();
    /// });
    /// ```
    #[inline]
    pub fn wait(&self) {
        rt::spend();
        self.gate.wait(Reason::Event, Instant::NEVER);
    }

    /// Waits until it is set, for so long at most. Returns whether it was.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let event = sylvan::sync::Event::new();
    /// assert!(!event.wait_timeout(Duration::from_millis(1)));
    /// ```
    #[inline]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        rt::spend();
        self.gate.is_open() || self.gate.wait(Reason::Event, Instant::limit(timeout))
    }
}

impl Default for Event {
    fn default() -> Event {
        Event::new()
    }
}

impl Sealed for Event {}

impl Await for Event {
    type Output<'queue>
        = ()
    where
        Self: 'queue;
    type Operation<'queue>
        = Passing<'queue>
    where
        Self: 'queue;

    fn to_wait(&self) -> Passing<'_> {
        Passing(&self.gate)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("is_set", &self.is_set())
            .finish_non_exhaustive()
    }
}
