//! The first hub of a `Runtime`, which lives on the OS thread that made it.
//!
//! That thread must not end before the hub's tasks: one that is parked may have lent the thread's own
//! thread-locals to tasks on other hubs. So if a `Runtime` was leaked, its tasks are unwound when the thread
//! ends.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr::NonNull;

use super::hub::Hub;
use super::{current, report};
use crate::sys::process::{at_thread_exit, is_main_thread};

/// A hub that can be moved while others point to it, which a `Box` does not promise. Not freed by its
/// drop.
pub(super) struct OwnHub(NonNull<Hub>);

impl OwnHub {
    pub(super) fn new(hub: Hub) -> OwnHub {
        OwnHub(NonNull::from(Box::leak(Box::new(hub))))
    }

    /// # Safety
    ///
    /// Nobody points to it, and it is not used again.
    pub(super) unsafe fn free(&mut self) {
        // SAFETY: made by `Box::leak`; the rest by the caller's promise.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl std::ops::Deref for OwnHub {
    type Target = Hub;

    fn deref(&self) -> &Hub {
        // SAFETY: valid until freed.
        unsafe { self.0.as_ref() }
    }
}

struct Owned(RefCell<Vec<NonNull<Hub>>>);

thread_local! {
    static OWNED: Owned = const { Owned(RefCell::new(Vec::new())) };
}

/// The hub is not freed before it leaves.
pub(super) fn enter(hub: &Hub) {
    // An error: the thread ends already, and thread-locals that are gone cannot be lent.
    let _ = OWNED.try_with(|owned| owned.0.borrow_mut().push(NonNull::from(hub)));
}

pub(super) fn leave(hub: &Hub) {
    let _ = OWNED.try_with(|owned| owned.0.borrow_mut().retain(|&it| it != NonNull::from(hub)));
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.unwind_all();
    }
}

impl Owned {
    /// The OS thread ends.
    fn unwind_all(&self) {
        // With the main thread the whole process ends. The same if a green thread calls `exit`, which
        // destroys the thread-locals of its OS thread: its hub cannot be driven from there.
        if is_main_thread() || current::hub().is_some() {
            return;
        }
        // One at a time: a task that is unwound may own another runtime of this thread, and free its hub.
        while let Some(hub) = self.pop() {
            // SAFETY: it has not left, so it was not freed.
            let hub = unsafe { hub.as_ref() };
            let shared = hub.runtime();
            shared.start_closing();
            shared.unwind_all(hub);
            shared.end_hubs();
            hub.close();
        }
    }

    fn pop(&self) -> Option<NonNull<Hub>> {
        self.0.borrow_mut().pop()
    }
}

/// Tasks stay behind on a hub of the calling OS thread. If it ends before they do they are unwound while
/// the thread-locals are there that they may have lent.
///
/// Destructors of thread-locals run the youngest first, and tasks make new ones: so this is registered
/// anew each time. (Where that cannot be, only the thread-locals that are older than the first runtime
/// outlive the tasks.)
pub(super) fn guard_those_left() {
    extern "C" fn thread_ends(_: *mut c_void) {
        report::without_unwinding(|| {
            let _ = OWNED.try_with(Owned::unwind_all);
        });
    }
    at_thread_exit(thread_ends);
}
