//! Those who serve: at most so many green threads, counted, and told when the server stops.
//!
//! A slot is taken *before* the next peer is looked for, and so nobody is accepted for whom there is no room.
//!
//! *Stopping.* Who wants to be told leaves a waker. `stop` sets the flag, then takes the wakers, under their lock;
//! who comes later finds the flag set, under that lock. So each is told, by the one or the other.

use std::any::Any;
use std::collections::HashMap;
use std::fmt::Display;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;

use super::serving::Stats;
use crate::rt;
use crate::sync::Semaphore;
use crate::task::{Group, Outcome};
use crate::thread;
use crate::time::{self, Duration};

/// See the module's text.
pub(crate) struct Crew {
    slots: Semaphore,
    members: Group,
    stopping: AtomicBool,
    to_be_told: rt::Mutex<HashMap<u64, Waker>>,
    accepted: AtomicU64,
    active: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    panicked: AtomicU64,
    cancelled: AtomicU64,
}

/// Room for one peer, free again when this is dropped.
pub(super) struct Slot(Arc<Crew>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.slots.release(1);
    }
}

impl Crew {
    pub(super) fn new(most: usize) -> Arc<Crew> {
        Arc::new(Crew {
            slots: Semaphore::new(most.min(Semaphore::MAX_PERMITS)),
            members: Group::new(),
            stopping: AtomicBool::new(false),
            to_be_told: rt::Mutex::default(),
            accepted: AtomicU64::new(0),
            active: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            panicked: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
        })
    }

    /// Suspends until there is room for one more.
    pub(super) fn slot(self: &Arc<Self>) -> Slot {
        self.slots.acquire().forget();
        Slot(self.clone())
    }

    /// Somebody came, but was gone before he was served.
    pub(super) fn count_refused(&self) {
        count(&self.refused);
    }

    /// Serves one peer in a green thread of its own. An error: it could not be spawned.
    pub(super) fn serve<R: Outcome>(
        self: &Arc<Self>,
        slot: Slot,
        peer: impl Display + Send + 'static,
        handler: impl FnOnce() -> R + Send + 'static,
    ) -> io::Result<()> {
        // Its end is counted wherever its captures are dropped: it may be cancelled before it starts.
        let served = Served::begin(slot);
        thread::Builder::new()
            .name(format!("peer {peer}"))
            .spawn_in_group(&self.members, move || served.run(&peer, handler))?;
        Ok(())
    }

    pub(super) fn stats(&self) -> Stats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Stats {
            accepted: read(&self.accepted),
            active: read(&self.active),
            refused: read(&self.refused),
            failed: read(&self.failed),
            panicked: read(&self.panicked),
            cancelled: read(&self.cancelled),
        }
    }

    /// Is the server to end, so that nothing new should be begun?
    #[cfg(feature = "http")]
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Wakes `waker` when the server is to end; at once if it is already. The number takes it back.
    #[cfg(feature = "http")]
    pub(crate) fn tell_of_stop(&self, waker: Waker) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        {
            let mut to_be_told = self.to_be_told.lock();
            if !self.is_stopping() {
                to_be_told.insert(number, waker);
                return number;
            }
        }
        waker.wake();
        number
    }

    /// See [`tell_of_stop`](Self::tell_of_stop).
    #[cfg(feature = "http")]
    pub(crate) fn tell_no_more(&self, number: u64) {
        let waker = self.to_be_told.lock().remove(&number);
        drop(waker);
    }

    /// Counts a panic of a handler that its connection outlives, and tells of it.
    pub(crate) fn tell_of_panic(&self, whose: &dyn Display, payload: Box<dyn Any + Send>) {
        count(&self.panicked);
        rt::report(format_args!(
            "the handler of {whose} panicked: {}",
            rt::Message(&*payload)
        ));
        // Its destructor is the user's.
        if let Err(again) = panic::catch_unwind(AssertUnwindSafe(move || drop(payload))) {
            rt::report(format_args!(
                "the payload of that panic panicked when it was dropped"
            ));
            std::mem::forget(again);
        }
    }

    /// Nothing new is to be begun.
    pub(super) fn begin_to_stop(&self) {
        self.stopping.store(true, Ordering::Release);
        let wakers = std::mem::take(&mut *self.to_be_told.lock());
        wakers.into_values().for_each(Waker::wake);
    }

    /// Waits for all that serve, for `grace` at most; then cancels them, and waits again. Returns how many these were.
    ///
    /// Nobody serves anew meanwhile.
    pub(super) fn end_within(&self, grace: Duration) -> usize {
        if time::timeout(grace, || self.wait()).is_ok() {
            return 0;
        }
        let late = self.members.len();
        self.members.cancel();
        self.wait();
        late
    }

    pub(super) fn cancel(&self) {
        self.members.cancel();
    }

    /// Suspends until nobody serves.
    pub(super) fn wait(&self) {
        // What failed was counted and told when it did.
        let _ = self.members.join();
    }
}

/// One peer that is served, or will be.
struct Served {
    slot: Slot,
    has_ended: bool,
}

impl Served {
    fn begin(slot: Slot) -> Served {
        count(&slot.0.accepted);
        count(&slot.0.active);
        Served {
            slot,
            has_ended: false,
        }
    }

    fn run<R: Outcome>(mut self, peer: &dyn Display, handler: impl FnOnce() -> R) {
        let crew = self.slot.0.clone();
        let call = || handler().into_result().map(drop);
        match panic::catch_unwind(AssertUnwindSafe(call)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                count(&crew.failed);
                log::warn!(target: "sylvan", "the connection from {peer} failed: {error}");
            }
            Err(payload) if rt::is_cancellation(payload.as_ref()) => panic::resume_unwind(payload),
            Err(payload) => {
                crew.tell_of_panic(&format_args!("the connection from {peer}"), payload);
            }
        }
        self.has_ended = true;
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let crew = &self.slot.0;
        if !self.has_ended {
            count(&crew.cancelled);
        }
        crew.active.fetch_sub(1, Ordering::Relaxed);
    }
}

fn count(what: &AtomicU64) {
    what.fetch_add(1, Ordering::Relaxed);
}
