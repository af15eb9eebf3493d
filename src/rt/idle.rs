//! Which hubs of a runtime sleep, and who looks for work: when to wake one for an unstarted task.
//!
//! Go's rule for its spinning threads: whoever queues an unstarted task wakes one sleeping hub if no
//! hub is searching already; a searcher that finds work, and was the last one, wakes the next. A hub
//! goes to sleep only after it has entered itself here *and then* found every queue empty. So a task
//! queued at any moment is seen by a queue check, or its queuer sees the sleeper. `README.md`, section
//! "Idle hubs", has the argument.

use crate::sys::sync::{AtomicUsize, Mutex, Ordering, fence};

/// The set of sleeping hubs and the number of searching ones.
pub(crate) struct Idle {
    state: Mutex<State>,
    /// A copy of `state` that can be read without the lock: sleepers * 2^16 + searchers.
    summary: AtomicUsize,
}

struct State {
    sleepers: Vec<usize>,
    searchers: usize,
}

const SLEEPER: usize = 1 << 16;

impl Idle {
    /// No hub sleeps, none searches.
    pub(crate) fn new() -> Idle {
        Idle {
            state: Mutex::new(State {
                sleepers: Vec::new(),
                searchers: 0,
            }),
            summary: AtomicUsize::new(0),
        }
    }

    /// An unstarted task was queued: which hub must be woken to search for it, if any?
    ///
    /// The hub returned counts as searching from now on.
    #[inline]
    pub(crate) fn wake_for_work(&self) -> Option<usize> {
        // Pairs with the fence of `sleep`: either we see the sleeper or it sees the task.
        fence(Ordering::SeqCst);
        let summary = self.summary.load(Ordering::Relaxed);
        if summary < SLEEPER || !summary.is_multiple_of(SLEEPER) {
            return None;
        }
        self.pick()
    }

    #[cold]
    fn pick(&self) -> Option<usize> {
        self.update(|state| {
            if state.searchers > 0 {
                return None;
            }
            let hub = state.sleepers.pop()?;
            state.searchers += 1;
            Some(hub)
        })
    }

    /// A hub ran out of work and begins to look at the other hubs' queues.
    pub(crate) fn start_search(&self) {
        self.update(|state| state.searchers += 1);
    }

    /// A searching hub stops. If it `found` work and was the last searcher there may be more: the
    /// hub returned must be woken to look.
    pub(crate) fn stop_search(&self, found: bool) -> Option<usize> {
        let last = self.update(|state| {
            state.searchers -= 1;
            state.searchers == 0
        });
        // Pairs with the fence of `wake_for_work`: a queuer that saw us search, or the caller's next
        // look at the queues sees its task.
        fence(Ordering::SeqCst);
        if found && last { self.pick() } else { None }
    }

    /// A hub enters itself as sleeping. It must look at every queue once more before it sleeps.
    ///
    /// Returns how many sleep now. What each of them did before it entered is seen by this one.
    pub(crate) fn sleep(&self, hub: usize) -> usize {
        let sleepers = self.update(|state| {
            state.sleepers.push(hub);
            state.sleepers.len()
        });
        fence(Ordering::SeqCst);
        sleepers
    }

    /// A hub is awake again. Returns whether somebody woke it to search, which it then counts as.
    pub(crate) fn wake(&self, hub: usize) -> bool {
        self.update(
            |state| match state.sleepers.iter().position(|&sleeper| sleeper == hub) {
                Some(place) => {
                    state.sleepers.remove(place);
                    false
                }
                None => true,
            },
        )
    }

    fn update<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let result = change(&mut state);
        let summary = state.sleepers.len() * SLEEPER + state.searchers;
        self.summary.store(summary, Ordering::SeqCst);
        result
    }
}
