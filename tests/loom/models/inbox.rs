//! The inbox: everything pushed arrives once, and who ends the hub's sleep owes it one wake-up.

use std::ptr::NonNull;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Arc, mpsc};
use loom::thread;

use super::explore;
use crate::inbox::{Entry, Inbox};
use crate::sys::sync::AtomicPtr;

struct Letter {
    link: AtomicPtr<Letter>,
    text: UnsafeCell<usize>,
}

// SAFETY: always the same field.
unsafe impl Entry for Letter {
    fn link(&self) -> &AtomicPtr<Letter> {
        &self.link
    }
}

/// An inbox with the bell that stands for the hub's eventfd.
pub(super) struct Mailbox {
    inbox: Inbox<Letter>,
    bell: mpsc::Sender<()>,
    rings: AtomicUsize,
}

// SAFETY: letters are sent, and loom runs one thread at a time.
unsafe impl Send for Mailbox {}
// SAFETY: as above.
unsafe impl Sync for Mailbox {}

impl Mailbox {
    pub(super) fn new() -> (Arc<Mailbox>, Hub) {
        let (bell, ear) = mpsc::channel();
        let mailbox = Arc::new(Mailbox {
            inbox: Inbox::new(),
            bell,
            rings: AtomicUsize::new(0),
        });
        let hub = Hub {
            mailbox: mailbox.clone(),
            ear,
            sleeps: 0,
        };
        (mailbox, hub)
    }

    pub(super) fn post(&self, text: usize) {
        let letter = Box::leak(Box::new(Letter {
            link: AtomicPtr::new(std::ptr::null_mut()),
            text: UnsafeCell::new(text),
        }));
        // SAFETY: it is valid until the hub frees it.
        if unsafe { self.inbox.push(NonNull::from(letter)) } {
            self.ring();
        }
    }

    pub(super) fn rouse(&self) {
        if self.inbox.rouse() {
            self.ring();
        }
    }

    fn ring(&self) {
        self.rings.fetch_add(1, Ordering::Relaxed);
        self.bell.send(()).unwrap();
    }
}

/// The hub of a mailbox.
pub(super) struct Hub {
    mailbox: Arc<Mailbox>,
    ear: mpsc::Receiver<()>,
    sleeps: usize,
}

impl Hub {
    pub(super) fn take(&self) -> Vec<usize> {
        if self.mailbox.inbox.is_empty() {
            return Vec::new();
        }
        let letters = self.mailbox.inbox.take();
        letters.map(Hub::read).collect()
    }

    fn read(letter: NonNull<Letter>) -> usize {
        // SAFETY: made by `Box::leak`, and taken out of the inbox once.
        let letter = unsafe { Box::from_raw(letter.as_ptr()) };
        // SAFETY: if its writer is not done, loom says so.
        letter.text.with(|text| unsafe { *text })
    }

    /// Counts as asleep, unless something has arrived, and sleeps, unless `done` then says so.
    /// Returns whether it counted as asleep.
    pub(super) fn sleep(&mut self, done: impl Fn() -> bool) -> bool {
        if !self.mailbox.inbox.fall_asleep() {
            return false;
        }
        if !done() {
            self.sleeps += 1;
            self.ear.recv().unwrap();
        }
        true
    }
}

#[test]
fn what_two_push_is_taken_whole_and_once_while_awake() {
    explore(3, || {
        let (mailbox, hub) = Mailbox::new();
        let pushers: Vec<_> = (0..2)
            .map(|number| {
                let mailbox = mailbox.clone();
                thread::spawn(move || mailbox.post(number))
            })
            .collect();
        let mut taken = hub.take();
        for pusher in pushers {
            pusher.join().unwrap();
        }
        taken.extend(hub.take());
        taken.sort_unstable();
        assert_eq!(taken, [0, 1]);
        assert_eq!(mailbox.rings.load(Ordering::Relaxed), 0, "it was awake");
    });
}

#[test]
fn one_pushers_letters_arrive_in_their_order() {
    explore(3, || {
        let (mailbox, hub) = Mailbox::new();
        let pusher = thread::spawn(move || {
            mailbox.post(0);
            mailbox.post(1);
        });
        let mut taken = hub.take();
        pusher.join().unwrap();
        taken.extend(hub.take());
        assert_eq!(taken, [0, 1]);
    });
}

#[test]
fn nothing_is_left_while_the_hub_sleeps_and_each_sleep_ends_by_one_ring() {
    explore(3, || {
        let (mailbox, mut hub) = Mailbox::new();
        let pushers: Vec<_> = (0..2)
            .map(|number| {
                let mailbox = mailbox.clone();
                thread::spawn(move || mailbox.post(number))
            })
            .collect();
        let mut taken = hub.take();
        while taken.len() < 2 {
            hub.sleep(|| false);
            taken.extend(hub.take());
        }
        for pusher in pushers {
            pusher.join().unwrap();
        }
        assert_eq!(mailbox.rings.load(Ordering::Relaxed), hub.sleeps);
    });
}

#[test]
fn a_rouse_is_not_lost_on_a_hub_that_asks_again_after_it_is_asleep() {
    explore(3, || {
        let (mailbox, mut hub) = Mailbox::new();
        let done = Arc::new(AtomicBool::new(false));
        let theirs = done.clone();
        let closer = thread::spawn(move || {
            // Relaxed: the fences of the inbox must be enough.
            theirs.store(true, Ordering::Relaxed);
            mailbox.rouse();
        });
        while !done.load(Ordering::Relaxed) {
            hub.sleep(|| done.load(Ordering::Relaxed));
            hub.take();
        }
        closer.join().unwrap();
    });
}

#[test]
fn a_rouse_and_a_push_together_owe_one_ring() {
    explore(3, || {
        let (mailbox, mut hub) = Mailbox::new();
        let (rousers, pushers) = (mailbox.clone(), mailbox.clone());
        let rouser = thread::spawn(move || rousers.rouse());
        let pusher = thread::spawn(move || pushers.post(7));
        let mut taken = Vec::new();
        while taken.is_empty() {
            hub.sleep(|| false);
            taken.extend(hub.take());
        }
        rouser.join().unwrap();
        pusher.join().unwrap();
        assert_eq!(taken, [7]);
        assert_eq!(mailbox.rings.load(Ordering::Relaxed), hub.sleeps);
    });
}
