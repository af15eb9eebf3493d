//! What `src/sync/lock.rs` names of the rest, besides what a wait queue needs.

/// The kernel's door.
pub(crate) mod rt {
    use std::cell::Cell;

    pub(crate) use crate::clock::Instant;
    pub(crate) use crate::reason::Reason;
    pub(crate) use crate::wait_queue::{WaitQueue, Waited};

    thread_local! {
        /// Whether a model's tasks are suspended while they hold the lock. (A model's threads are all on one of the
        /// system's.)
        static ARE_SUSPENDED: Cell<bool> = const { Cell::new(false) };
        static RUNS: Cell<u32> = const { Cell::new(1) };
    }

    /// In `model`, each run is another one than the last.
    pub(crate) fn while_suspended(model: impl FnOnce()) {
        ARE_SUSPENDED.set(true);
        model();
        ARE_SUSPENDED.set(false);
    }

    pub(crate) fn current_run() -> u32 {
        if ARE_SUSPENDED.get() {
            RUNS.set(RUNS.get() + 1);
        }
        RUNS.get()
    }

    /// Who holds a lock is for people.
    pub(crate) struct Holder;

    impl Holder {
        pub(crate) const fn new() -> Holder {
            Holder
        }

        pub(crate) fn set(&self) {}

        pub(crate) fn clear(&self) {}

        pub(crate) fn while_waiting<R>(&self, _reason: Reason, wait: impl FnOnce() -> R) -> R {
            wait()
        }
    }
}

/// The atomics of `sync`.
pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::Ordering;

    use std::sync::OnceLock;

    /// Made by `new`, which is `const` as loom's is not, it becomes loom's own at its first use; the model
    /// must use it before it is shared.
    pub(crate) struct AtomicU32 {
        inner: OnceLock<loom::sync::atomic::AtomicU32>,
        initial: u32,
    }

    impl AtomicU32 {
        pub(crate) const fn new(initial: u32) -> AtomicU32 {
            AtomicU32 {
                inner: OnceLock::new(),
                initial,
            }
        }

        #[track_caller]
        pub(crate) fn load(&self, ordering: Ordering) -> u32 {
            self.inner().load(ordering)
        }

        #[track_caller]
        pub(crate) fn store(&self, value: u32, ordering: Ordering) {
            self.inner().store(value, ordering);
        }

        #[track_caller]
        pub(crate) fn compare_exchange(
            &self,
            current: u32,
            new: u32,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u32, u32> {
            self.inner()
                .compare_exchange(current, new, success, failure)
        }

        #[track_caller]
        pub(crate) fn fetch_update(
            &self,
            success: Ordering,
            failure: Ordering,
            change: impl FnMut(u32) -> Option<u32>,
        ) -> Result<u32, u32> {
            self.inner().fetch_update(success, failure, change)
        }

        fn inner(&self) -> &loom::sync::atomic::AtomicU32 {
            let make = || loom::sync::atomic::AtomicU32::new(self.initial);
            self.inner.get_or_init(make)
        }
    }
}
