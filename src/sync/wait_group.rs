//! Waiting until all others are done.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use super::Arc;
use super::atomic::AtomicUsize;
use super::atomic::Ordering::{AcqRel, Relaxed};
use super::gate::Gate;
use crate::rt::{self, Instant, Reason};

/// A group of which one can wait until all others have left it: each that works has a clone, and
/// leaves by dropping it.
///
/// It is crossbeam's `WaitGroup`, not Go's, which is a number that is counted up and down by hand: here it cannot be
/// counted wrongly, and who panics or is cancelled leaves as well. Unlike a [`Barrier`](super::Barrier) it needs no
/// number in advance. (Threads whose results are wanted are joined; see also
/// [`task::Group`](crate::task::Group).)
///
/// ```
/// use sylvan::sync::WaitGroup;
/// use sylvan::sync::atomic::{AtomicUsize, Ordering::SeqCst};
/// use sylvan::thread;
///
/// static DONE: AtomicUsize = AtomicUsize::new(0);
///
/// sylvan::run(|| {
///     let group = WaitGroup::new();
///     for _ in 0..10 {
///         let group = group.clone();
///         thread::spawn(move || {
///             thread::yield_now();
///             DONE.fetch_add(1, SeqCst);
///             drop(group);
///         });
///     }
///     group.wait();
///     assert_eq!(DONE.load(SeqCst), 10);
/// });
/// ```
pub struct WaitGroup {
    members: Arc<Members>,
}

struct Members {
    count: AtomicUsize,
    /// Open when there is none left. That is so for good: a clone needs one to be cloned from.
    all_left: Gate,
}

impl UnwindSafe for WaitGroup {}
impl RefUnwindSafe for WaitGroup {}

impl WaitGroup {
    /// A group whose one member is the caller.
    #[must_use]
    pub fn new() -> WaitGroup {
        WaitGroup {
            members: Arc::new(Members {
                count: AtomicUsize::new(1),
                all_left: Gate::new(),
            }),
        }
    }

    /// Leaves the group, and waits until all others have left it, too, or wait likewise.
    ///
    /// ```
    /// sylvan::sync::WaitGroup::new().wait(); // there is nobody else
    /// ```
    pub fn wait(self) {
        rt::spend();
        let members = self.leave();
        members.all_left.wait(Reason::WaitGroup, Instant::NEVER);
    }

    /// As [`wait`](Self::wait), for so long at most.
    ///
    /// # Errors
    ///
    /// If others are left when the time is over. The group is in the error: the caller is a member again.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sylvan::sync::WaitGroup;
    ///
    /// let group = WaitGroup::new();
    /// let other = group.clone();
    /// let group = group.wait_timeout(Duration::from_millis(1)).unwrap_err();
    /// drop(other);
    /// assert!(group.wait_timeout(Duration::ZERO).is_ok());
    /// ```
    pub fn wait_timeout(self, timeout: Duration) -> Result<(), WaitGroup> {
        rt::spend();
        let members = self.leave();
        if members
            .all_left
            .wait(Reason::WaitGroup, Instant::limit(timeout))
        {
            return Ok(());
        }
        // Unless the last one has just left.
        let change = |count: usize| (count > 0).then(|| count + 1);
        match members.count.fetch_update(Relaxed, Relaxed, change) {
            Ok(_) => Err(WaitGroup { members }),
            Err(_) => {
                // It is about to open the gate, and what it did before is to be seen.
                members.all_left.wait(Reason::WaitGroup, Instant::NEVER);
                Ok(())
            }
        }
    }

    fn leave(self) -> Arc<Members> {
        let members = self.members.clone();
        drop(self);
        members
    }
}

impl Clone for WaitGroup {
    /// Another member.
    fn clone(&self) -> WaitGroup {
        self.members.count.fetch_add(1, Relaxed);
        WaitGroup {
            members: self.members.clone(),
        }
    }
}

impl Drop for WaitGroup {
    fn drop(&mut self) {
        if self.members.count.fetch_sub(1, AcqRel) == 1 {
            self.members.all_left.open();
        }
    }
}

impl Default for WaitGroup {
    fn default() -> WaitGroup {
        WaitGroup::new()
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup")
            .field("count", &self.members.count.load(Relaxed))
            .finish()
    }
}
