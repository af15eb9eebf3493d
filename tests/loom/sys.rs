//! loom's atomics, cells and locks under the names of `src/sys/sync.rs`.
//!
//! Their drops count as writes. So loom reports whoever touches one without being ordered before its
//! end, and that is how a node that is touched after its waiter may have left is found.

use std::cell::{Cell, RefCell};
use std::thread;

std::thread_local! {
    /// A cancel of a model unwinds. (All threads of a model share one OS thread.)
    static THROWING: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn set_throwing(throwing: bool) {
    THROWING.set(throwing);
}

std::thread_local! {
    /// Addresses that were compared, in the order they were met; and whether the first ones are the lowest.
    static MET: RefCell<(Vec<usize>, bool)> = const { RefCell::new((Vec::new(), true)) };
}

/// Begins a model, in which what is compared first is the lower or the higher one.
pub(crate) fn forget_order(first_is_lower: bool) {
    MET.set((Vec::new(), first_is_lower));
}

/// A model has failed and is being torn down: there is nothing more to find.
fn has_failed() -> bool {
    thread::panicking() && !THROWING.get()
}

pub(crate) mod sync {
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence,
    };
    use loom::sync::mpsc;
    use std::cell::UnsafeCell;
    use std::ops::{Deref, DerefMut};
    use std::sync::OnceLock;

    /// Made by `new`, which is `const` as loom's is not, it becomes loom's own at its first use; the
    /// model must use it before it is shared. Made by `default` it is loom's at once.
    pub(crate) struct AtomicUsize {
        inner: OnceLock<loom::sync::atomic::AtomicUsize>,
        initial: usize,
    }

    impl AtomicUsize {
        pub(crate) const fn new(initial: usize) -> AtomicUsize {
            AtomicUsize {
                inner: OnceLock::new(),
                initial,
            }
        }

        #[track_caller]
        pub(crate) fn load(&self, ordering: Ordering) -> usize {
            self.inner().load(ordering)
        }

        #[track_caller]
        pub(crate) fn store(&self, value: usize, ordering: Ordering) {
            self.inner().store(value, ordering);
        }

        #[track_caller]
        pub(crate) fn compare_exchange(
            &self,
            from: usize,
            to: usize,
            success: Ordering,
            failure: Ordering,
        ) -> Result<usize, usize> {
            self.inner().compare_exchange(from, to, success, failure)
        }

        fn inner(&self) -> &loom::sync::atomic::AtomicUsize {
            let make = || loom::sync::atomic::AtomicUsize::new(self.initial);
            self.inner.get_or_init(make)
        }
    }

    impl Default for AtomicUsize {
        fn default() -> AtomicUsize {
            let atomic = AtomicUsize::new(0);
            atomic.inner();
            atomic
        }
    }

    impl Drop for AtomicUsize {
        fn drop(&mut self) {
            if let Some(inner) = self.inner.get_mut()
                && !super::has_failed()
            {
                inner.with_mut(|_| ());
            }
        }
    }

    /// A cell that finds out who uses it at the same time as others.
    pub(crate) struct Cell<T>(loom::cell::UnsafeCell<T>);

    impl<T: Copy> Cell<T> {
        pub(crate) fn new(value: T) -> Cell<T> {
            Cell(loom::cell::UnsafeCell::new(value))
        }

        #[track_caller]
        pub(crate) fn get(&self) -> T {
            // SAFETY: loom has looked for others, and runs one thread at a time.
            self.0.with(|value| unsafe { *value })
        }

        #[track_caller]
        pub(crate) fn set(&self, value: T) {
            // SAFETY: as above.
            self.0.with_mut(|place| unsafe { *place = value });
        }
    }

    impl<T> Drop for Cell<T> {
        fn drop(&mut self) {
            if !super::has_failed() {
                self.0.with_mut(|_| ());
            }
        }
    }

    /// A lock made of a channel with one token in it: loom's own would be poisoned by a neighbour that
    /// unwinds.
    pub(crate) struct Mutex<T> {
        token: OnceLock<(mpsc::Sender<()>, mpsc::Receiver<()>)>,
        value: UnsafeCell<T>,
    }

    // SAFETY: it is a lock, and loom runs one thread at a time.
    unsafe impl<T: Send> Sync for Mutex<T> {}

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Mutex<T> {
            Mutex {
                token: OnceLock::new(),
                value: UnsafeCell::new(value),
            }
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.token().1.recv().expect("the lock has the sender");
            MutexGuard(self)
        }

        fn token(&self) -> &(mpsc::Sender<()>, mpsc::Receiver<()>) {
            self.token.get_or_init(|| {
                let channel = mpsc::channel();
                channel.0.send(()).expect("the lock has the receiver");
                channel
            })
        }
    }

    /// An order that is the same in every run of a model, as that of addresses is not.
    pub(crate) fn precedes<T>(one: &T, other: &T) -> bool {
        super::MET.with_borrow_mut(|(met, first_is_lower)| {
            let mut place = |address: usize| {
                let known = met.iter().position(|other| *other == address);
                known.unwrap_or_else(|| {
                    met.push(address);
                    met.len() - 1
                })
            };
            let [one, other] = [one, other].map(|it| place(std::ptr::from_ref(it).addr()));
            (one < other) == *first_is_lower
        })
    }

    /// Lets the others go on, who must change what is waited for.
    pub(crate) fn pause(_attempt: u32) {
        loom::thread::yield_now();
    }

    /// To loom a lock is a lock, however it waits.
    pub(crate) use {Mutex as Spinlock, MutexGuard as SpinlockGuard};

    pub(crate) struct MutexGuard<'mutex, T>(&'mutex Mutex<T>);

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            // SAFETY: the lock is held.
            unsafe { &*self.0.value.get() }
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            // SAFETY: the lock is held.
            unsafe { &mut *self.0.value.get() }
        }
    }

    impl<T> Drop for MutexGuard<'_, T> {
        fn drop(&mut self) {
            let unlocked = self.0.token().0.send(());
            unlocked.expect("the lock has the receiver");
        }
    }
}
