//! The wake-up against the end of the waiter: a node is left alone once it is signalled, and a signal
//! is neither lost nor used twice.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::explore;
use crate::clock::Instant;
use crate::park::as_task;
use crate::reason::Reason;
use crate::task::{Record, Task};
use crate::wait_queue::{WaitQueue, Waited};

/// A semaphore whose permits are handed over: what a lock or a channel does with a wait queue.
pub(super) struct Semaphore {
    pub(super) queue: WaitQueue,
    /// Protected by the queue's lock.
    permits: UnsafeCell<usize>,
}

// SAFETY: the permits are behind the queue's lock; if they are not, loom says so.
unsafe impl Sync for Semaphore {}
// SAFETY: as above.
unsafe impl Send for Semaphore {}

/// What a handed over permit is signalled with.
pub(super) const PERMIT: usize = 7;

impl Semaphore {
    pub(super) fn new() -> Arc<Semaphore> {
        let semaphore = Semaphore {
            queue: WaitQueue::new(),
            permits: UnsafeCell::new(0),
        };
        // loom must know of its atomics before they are shared.
        assert_eq!(semaphore.queue.lock().len(), 0);
        Arc::new(semaphore)
    }

    /// Adds a permit: to the first in line, or to be found.
    pub(super) fn release(&self) {
        let woken = {
            let mut queue = self.queue.lock();
            let woken = queue.signal_first(PERMIT);
            if woken.is_none() {
                self.change(|permits| *permits += 1);
            }
            woken
        };
        if let Some(woken) = woken {
            woken.wake();
        }
    }

    fn acquire(&self, deadline: Instant) -> Waited {
        let pass_on = |token| {
            assert_eq!(token, PERMIT);
            self.release();
        };
        self.queue
            .wait_or_pass(Reason, deadline, || self.take(), pass_on)
    }

    /// Takes a permit if there is one; under the queue's lock.
    pub(super) fn take(&self) -> bool {
        let taken = self.change(|permits| permits.checked_sub(1).map(|left| *permits = left));
        taken.is_some()
    }

    fn change<R>(&self, change: impl FnOnce(&mut usize) -> R) -> R {
        // SAFETY: under the queue's lock; if not, loom says so.
        self.permits
            .with_mut(|permits| change(unsafe { &mut *permits }))
    }

    pub(super) fn permits(&self) -> usize {
        let _queue = self.queue.lock();
        self.change(|permits| *permits)
    }
}

/// A thread that is a task, and the memory of its record.
pub(super) struct Green<R> {
    pub(super) record: Record,
    thread: thread::JoinHandle<Option<R>>,
}

impl<R: 'static> Green<R> {
    pub(super) fn spawn(f: impl FnOnce() -> R + 'static) -> Green<R> {
        let record = Task::record();
        let its = record.clone();
        let thread = thread::spawn(move || as_task(&its, f));
        Green { record, thread }
    }

    /// Drops the handle before the end, as a detached task's is.
    pub(super) fn detached(self) -> Green<R> {
        self.record.release();
        self
    }

    /// What it returned; `None` if it was thrown out.
    pub(super) fn join(self) -> Option<R> {
        self.thread.join().unwrap()
    }
}

pub(super) fn acquirer(semaphore: &Arc<Semaphore>, deadline: Instant) -> Green<Waited> {
    let semaphore = semaphore.clone();
    Green::spawn(move || semaphore.acquire(deadline))
}

#[test]
fn a_waker_leaves_the_node_and_the_record_of_who_has_left() {
    explore(3, || {
        let semaphore = Semaphore::new();
        let waiter = acquirer(&semaphore, Instant::NEVER).detached();
        semaphore.release();
        let waited = waiter.join();
        assert!(matches!(
            waited,
            Some(Waited::Ready | Waited::Signalled(PERMIT))
        ));
        assert_eq!(semaphore.permits(), 0);
    });
}

/// The frame of the first wait is used again by the second.
#[test]
fn who_waits_again_at_once_is_not_disturbed_by_its_last_waker() {
    explore(3, || {
        let semaphore = Semaphore::new();
        let theirs = semaphore.clone();
        let waiter = Green::spawn(move || {
            theirs.acquire(Instant::NEVER);
            theirs.acquire(Instant::NEVER);
        })
        .detached();
        semaphore.release();
        semaphore.release();
        waiter.join().unwrap();
        assert_eq!(semaphore.permits(), 0);
    });
}

#[test]
fn all_who_wait_are_woken() {
    explore(3, || {
        let semaphore = Semaphore::new();
        let over = Arc::new(UnsafeCell::new(false));
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let (semaphore, over) = (semaphore.clone(), Shared(over.clone()));
                Green::spawn(move || {
                    let is_over = || over.get();
                    semaphore.queue.wait(Reason, Instant::NEVER, is_over)
                })
            })
            .collect();
        {
            let _queue = semaphore.queue.lock();
            Shared(over).set();
        }
        semaphore.queue.wake_all();
        for waiter in waiters {
            waiter.join().expect("nobody was cancelled");
        }
        assert!(semaphore.queue.is_empty());
    });
}

/// A flag behind the queue's lock.
struct Shared(Arc<UnsafeCell<bool>>);

// SAFETY: behind the queue's lock; if not, loom says so.
unsafe impl Send for Shared {}

impl Shared {
    fn get(&self) -> bool {
        // SAFETY: as above.
        self.0.with(|flag| unsafe { *flag })
    }

    fn set(&self) {
        // SAFETY: as above.
        self.0.with_mut(|flag| unsafe { *flag = true });
    }
}

#[test]
fn a_time_out_and_a_signal_agree_on_who_has_the_permit() {
    explore(3, || {
        let semaphore = Semaphore::new();
        let waiter = acquirer(&semaphore, Instant::SOON).detached();
        semaphore.release();
        let waited = waiter.join();
        let left = usize::from(waited == Some(Waited::TimedOut));
        assert_eq!(semaphore.permits(), left);
        assert!(semaphore.queue.is_empty());
    });
}

#[test]
fn a_permit_given_to_who_is_thrown_out_goes_to_the_next() {
    explore(3, || {
        let semaphore = Semaphore::new();
        let first = acquirer(&semaphore, Instant::NEVER);
        let second = acquirer(&semaphore, Instant::NEVER);
        first.record.cancel();
        semaphore.release();
        if first.join().is_some() {
            // It was quicker than the cancel, and gives the permit back.
            semaphore.release();
        }
        assert!(second.join().is_some());
        assert_eq!(semaphore.permits(), 0);
        assert!(semaphore.queue.is_empty());
    });
}

#[test]
fn who_leaves_from_the_middle_of_the_line_harms_no_neighbour() {
    explore(3, || {
        let semaphore = Semaphore::new();
        let hurried = acquirer(&semaphore, Instant::SOON);
        let patient = acquirer(&semaphore, Instant::NEVER);
        semaphore.release();
        if hurried.join() != Some(Waited::TimedOut) {
            semaphore.release();
        }
        assert!(patient.join().is_some());
        assert_eq!(semaphore.permits(), 0);
        assert!(semaphore.queue.is_empty());
    });
}
