//! What [`Group`](super::Group) and [`Pool`](super::Pool) have in common: members, and slots for them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::iter::{self, Fuse, FusedIterator, Peekable};
use std::panic::Location;
use std::sync::Arc;
use std::thread::Result;

use super::Cancelled;
use super::ends::Ends;
use super::failure::Failures;
use super::nursery::{NurseryHandle, nursery};
use crate::rt::{self, Instant, Reason, Request};
use crate::sync::Semaphore;
use crate::thread::JoinHandle;

/// Threads that are kept together.
pub(super) struct Members {
    group: Arc<rt::Group>,
    slots: Option<Arc<Semaphore>>,
    size: usize,
}

/// A member's slot, free again when this is dropped.
pub(super) struct Slot(Option<Arc<Semaphore>>);

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(slots) = &self.0 {
            slots.release(1);
        }
    }
}

impl Members {
    /// Any number of them.
    pub(super) fn unbounded() -> Members {
        Members {
            group: rt::Group::kept(),
            slots: None,
            size: usize::MAX,
        }
    }

    /// At most `size` at once.
    pub(super) fn bounded(size: usize) -> Members {
        Members {
            group: rt::Group::kept(),
            slots: Some(Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS)))),
            size,
        }
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Suspends until there is a slot.
    pub(super) fn slot(&self) -> Slot {
        if let Some(slots) = &self.slots {
            slots.acquire().forget();
        }
        Slot(self.slots.clone())
    }

    pub(super) fn try_slot(&self) -> Option<Slot> {
        if let Some(slots) = &self.slots {
            slots.try_acquire()?.forget();
        }
        Some(Slot(self.slots.clone()))
    }

    /// Suspends until there is a slot for the next item. `None`: there is no item.
    fn slot_for<I: Iterator>(&self, items: &mut Peekable<I>) -> Option<Slot> {
        if let Some(slot) = self.try_slot() {
            return Some(slot);
        }
        // Only now, for until there is a slot the item is not needed; but none is waited for at the end.
        items.peek()?;
        Some(self.slot())
    }

    pub(super) fn free_slots(&self) -> usize {
        self.slots.as_ref().map_or(self.size, |it| it.available())
    }

    #[track_caller]
    pub(super) fn spawn<F, T>(&self, slot: Slot, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let spawned = self.spawn_with(slot, Request::default(), Location::caller(), f);
        spawned.expect("failed to spawn thread")
    }

    pub(super) fn spawn_with<F, T>(
        &self,
        slot: Slot,
        request: Request,
        spawned_at: &'static Location<'static>,
        f: F,
    ) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let run = move || {
            let _slot = slot;
            f()
        };
        rt::spawn_member(&self.group, request, spawned_at, run).map(JoinHandle::new)
    }

    pub(super) fn map<I, T>(
        &self,
        items: impl IntoIterator<Item = I>,
        f: impl Fn(I) -> T + Sync,
    ) -> Vec<T>
    where
        I: Send,
        T: Send,
    {
        let f = &f;
        let mut items = items.into_iter().fuse().peekable();
        let values = nursery(|nursery| {
            let spawn_next = || {
                let slot = self.slot_for(&mut items)?;
                items.next().map(|item| {
                    nursery.spawn(move || {
                        let _slot = slot;
                        Ok::<T, Infallible>(f(item))
                    })
                })
            };
            let tasks: Vec<_> = iter::from_fn(spawn_next).collect();
            let values = tasks.into_iter().map(NurseryHandle::join);
            values.collect::<std::result::Result<Vec<T>, Cancelled>>()
        });
        values.unwrap_or_else(|failures| match failures.into_iter().next() {
            Some(first) => first.resume(),
            None => unreachable!("nobody cancels this nursery"),
        })
    }

    pub(super) fn imap<I, F, T>(&self, items: I, f: F) -> Imap<'_, I::IntoIter, F, T>
    where
        I: IntoIterator,
    {
        Imap {
            source: Source::new(self, items, f),
            running: VecDeque::new(),
        }
    }

    pub(super) fn imap_unordered<I, F, T>(
        &self,
        items: I,
        f: F,
    ) -> ImapUnordered<'_, I::IntoIter, F, T>
    where
        I: IntoIterator,
    {
        ImapUnordered {
            source: Source::new(self, items, f),
            running: Ends::new([]),
        }
    }

    pub(super) fn join(&self) -> std::result::Result<(), Failures> {
        rt::spend();
        self.group.wait(Reason::Group, Instant::NEVER);
        let failures = Failures::from(self.group.take_failures());
        if failures.is_empty() {
            Ok(())
        } else {
            Err(failures)
        }
    }

    pub(super) fn cancel(&self) {
        self.group.cancel_members();
    }

    pub(super) fn len(&self) -> usize {
        self.group.len()
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.group.give_up_failures();
    }
}

/// The calls that a lazy map still has to make.
struct Source<'members, I: Iterator, F> {
    members: &'members Members,
    items: Peekable<Fuse<I>>,
    f: Arc<F>,
}

impl<'members, I: Iterator, F> Source<'members, I, F> {
    fn new(
        members: &'members Members,
        items: impl IntoIterator<IntoIter = I, Item = I::Item>,
        f: F,
    ) -> Self {
        Source {
            members,
            items: items.into_iter().fuse().peekable(),
            f: Arc::new(f),
        }
    }

    /// Starts the next call, if there is one and a slot for it, and no more than the slots are `started` and not
    /// taken. If none is it waits for a slot: others have them all.
    #[track_caller]
    fn start<T>(&mut self, started: usize) -> Option<JoinHandle<T>>
    where
        I::Item: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        if started == self.members.size {
            return None;
        }
        let slot = if started == 0 {
            self.members.slot_for(&mut self.items)?
        } else {
            self.members.try_slot()?
        };
        let item = self.items.next()?;
        let f = self.f.clone();
        Some(self.members.spawn(slot, move || f(item)))
    }
}

/// See [`Pool::imap`](super::Pool::imap).
#[must_use = "it calls nothing until it is iterated over"]
pub struct Imap<'pool, I: Iterator, F, T> {
    source: Source<'pool, I, F>,
    running: VecDeque<JoinHandle<T>>,
}

impl<I, F, T> Iterator for Imap<'_, I, F, T>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        while let Some(task) = self.source.start(self.running.len()) {
            self.running.push_back(task);
        }
        // It stays in its place while it is waited for: a time-out may throw out of the wait.
        let first = self.running.front()?;
        while !first.inner().wait(Instant::NEVER) {}
        self.running.pop_front().map(JoinHandle::into_result)
    }
}

/// See [`Pool::imap_unordered`](super::Pool::imap_unordered).
#[must_use = "it calls nothing until it is iterated over"]
pub struct ImapUnordered<'pool, I: Iterator, F, T> {
    source: Source<'pool, I, F>,
    running: Ends<JoinHandle<T>>,
}

impl<I, F, T> Iterator for ImapUnordered<'_, I, F, T>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        while let Some(task) = self.source.start(self.running.len()) {
            self.running.add(task);
        }
        (self.running.len() > 0).then(|| self.running.take_next().into_result())
    }
}

impl<I: Iterator, F, T> Drop for Imap<'_, I, F, T> {
    fn drop(&mut self) {
        self.running.iter().for_each(JoinHandle::cancel);
    }
}

impl<I: Iterator, F, T> Drop for ImapUnordered<'_, I, F, T> {
    fn drop(&mut self) {
        self.running.cancel();
    }
}

impl<I: Iterator, F, T> FusedIterator for Imap<'_, I, F, T> where Self: Iterator {}
impl<I: Iterator, F, T> FusedIterator for ImapUnordered<'_, I, F, T> where Self: Iterator {}

impl<I: Iterator, F, T> std::fmt::Debug for Imap<'_, I, F, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Imap").finish_non_exhaustive()
    }
}

impl<I: Iterator, F, T> std::fmt::Debug for ImapUnordered<'_, I, F, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImapUnordered").finish_non_exhaustive()
    }
}
