//! The inbox of a hub: where other OS threads put what the hub must wake, and how they wake the hub.
//!
//! One word holds all of it: empty, asleep, or the head of a list of entries, newest first. It is a
//! Treiber stack that is only ever emptied whole, so there is no ABA problem (R. K. Treiber, 1986).
//! The hub may sleep only by turning "empty" into "asleep"; whoever turns "asleep" into anything else
//! owes the hub one wake-up. So however many entries arrive, one system call is made.

use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use crate::sys::sync::{AtomicPtr, Ordering, fence};

/// An entry with room for the list's link. It stands in at most one inbox at a time, at most once.
///
/// # Safety
///
/// `link` must return the same place every time.
pub(crate) unsafe trait Entry {
    /// The place for the link to the next entry.
    fn link(&self) -> &AtomicPtr<Self>
    where
        Self: Sized;
}

/// The inbox. It owns what its entries' pointers stand for, and forgets it when dropped.
pub(crate) struct Inbox<T> {
    head: AtomicPtr<T>,
}

/// The head of the list of a hub that sleeps: an address that is no entry's.
fn asleep<T>() -> *mut T {
    ptr::without_provenance_mut(1)
}

impl<T: Entry> Inbox<T> {
    /// An empty inbox of a hub that is awake.
    pub(crate) fn new() -> Inbox<T> {
        Inbox {
            head: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Adds an entry. Returns whether the caller must now wake the hub.
    ///
    /// # Safety
    ///
    /// The entry stays valid until the hub has taken it, and stands in no inbox now.
    #[must_use]
    pub(crate) unsafe fn push(&self, entry: NonNull<T>) -> bool {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            let next = if head == asleep() {
                ptr::null_mut()
            } else {
                head
            };
            // SAFETY: the entry is valid, and ours alone until it is published below.
            unsafe { entry.as_ref() }
                .link()
                .store(next, Ordering::Relaxed);
            match self.head.compare_exchange_weak(
                head,
                entry.as_ptr(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return head == asleep(),
                Err(now) => head = now,
            }
        }
    }

    /// Ends the hub's sleep without an entry, so that it looks again at what the caller has changed.
    /// Returns whether the caller must wake it.
    #[must_use]
    pub(crate) fn rouse(&self) -> bool {
        // Pairs with the fence of `fall_asleep`: either we see it asleep, or it sees the change.
        fence(Ordering::SeqCst);
        self.head
            .compare_exchange(
                asleep(),
                ptr::null_mut(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// The hub is about to sleep. `false`: something has arrived, it must not.
    ///
    /// If it sleeps for other things than entries, it must look at them once more after this.
    pub(crate) fn fall_asleep(&self) -> bool {
        let fell = self.head.compare_exchange(
            ptr::null_mut(),
            asleep(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        fence(Ordering::SeqCst);
        fell.is_ok()
    }

    /// Is nothing there? (One plain load; the hub asks this at every turn.)
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Relaxed).is_null()
    }

    /// The hub is awake and takes everything, oldest first.
    pub(crate) fn take(&self) -> Taken<T> {
        let mut head = self.head.swap(ptr::null_mut(), Ordering::AcqRel);
        if head == asleep() {
            head = ptr::null_mut();
        }
        let mut oldest_first = ptr::null_mut();
        while let Some(entry) = NonNull::new(head) {
            // SAFETY: entries are valid until taken, and this list is ours since the swap.
            let link = unsafe { entry.as_ref() }.link();
            head = link.load(Ordering::Relaxed);
            link.store(oldest_first, Ordering::Relaxed);
            oldest_first = entry.as_ptr();
        }
        Taken {
            head: oldest_first,
            marker: PhantomData,
        }
    }
}

/// The entries of one [`Inbox::take`].
pub(crate) struct Taken<T> {
    head: *mut T,
    marker: PhantomData<T>,
}

impl<T: Entry> Iterator for Taken<T> {
    type Item = NonNull<T>;

    fn next(&mut self) -> Option<NonNull<T>> {
        let entry = NonNull::new(self.head)?;
        // SAFETY: the entry is valid until it is handed out, and the link is read before that.
        self.head = unsafe { entry.as_ref() }.link().load(Ordering::Relaxed);
        Some(entry)
    }
}
