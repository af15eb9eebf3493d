//! At most so many green threads at once.

use std::fmt;

use super::failure::Failures;
use super::members::{Imap, ImapUnordered, Members};
use crate::thread::JoinHandle;

/// A [`Group`](super::Group) with room for a limited number of threads at once: gevent's `Pool`.
///
/// A thread has its slot from its spawn until its function has returned. Who spawns into a full pool waits for
/// a slot, in the order of coming.
///
/// A member that spawns into its own pool, or maps in it, waits for a slot as well, and keeps its own meanwhile: when
/// all members do so they wait for ever, and are reported as a deadlock. (In a pool of one slot the first does.) Work
/// that makes more work belongs in a pool of another level, or in a [`Group`](super::Group); or its members use
/// [`try_spawn`](Self::try_spawn).
///
/// ```
/// use sylvan::task::Pool;
///
/// sylvan::run(|| {
///     let words = ["plain", "blocking", "code"];
///     let pool = Pool::new(2); // two at once
///     assert_eq!(pool.map(words, str::len), [5, 8, 4]);
/// });
/// ```
pub struct Pool {
    members: Members,
}

impl Pool {
    /// A pool with this many slots.
    ///
    /// # Panics
    ///
    /// If that is zero.
    #[must_use]
    #[track_caller]
    pub fn new(size: usize) -> Pool {
        assert!(size > 0, "a pool without slots runs nothing");
        Pool {
            members: Members::bounded(size),
        }
    }

    /// Suspends until there is a slot, and spawns a thread. One with a name comes from
    /// [`Builder::spawn_in_pool`](crate::thread::Builder::spawn_in_pool).
    ///
    /// A member that calls it on its own pool when that is full may wait [for ever](Self).
    ///
    /// # Panics
    ///
    /// As [`thread::spawn`](crate::thread::spawn).
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.members.spawn(self.members.slot(), f)
    }

    /// Spawns a thread if there is a slot. Never suspends.
    ///
    /// # Errors
    ///
    /// `f`, if there is none.
    ///
    /// # Panics
    ///
    /// As [`thread::spawn`](crate::thread::spawn).
    ///
    /// ```
    /// sylvan::run(|| {
    ///     let pool = sylvan::task::Pool::new(1);
    ///     let first = pool.try_spawn(|| 1).ok().unwrap();
    ///     assert!(pool.try_spawn(|| 2).is_err());
    ///     assert_eq!(first.join().unwrap(), 1);
    /// });
    /// ```
    #[track_caller]
    pub fn try_spawn<F, T>(&self, f: F) -> Result<JoinHandle<T>, F>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.members.try_slot() {
            Some(slot) => Ok(self.members.spawn(slot, f)),
            None => Err(f),
        }
    }

    /// Calls `f` with each item, each in a thread of its own, as many at once as there are slots; returns the
    /// results in the order of the items.
    ///
    /// Items are pulled as slots come free, at most one ahead. `f` may borrow: all calls have ended when this
    /// returns. If the caller is cancelled, or runs out of time, they are cancelled and waited for.
    ///
    /// # Panics
    ///
    /// If a call does, with its payload; the others are cancelled, and waited for.
    pub fn map<I, T>(&self, items: impl IntoIterator<Item = I>, f: impl Fn(I) -> T + Sync) -> Vec<T>
    where
        I: Send,
        T: Send,
    {
        self.members.map(items, f)
    }

    /// Calls `f` with each item as [`map`](Self::map) does, and gives the results one by one, in the order of
    /// the items: a lazy iterator, which suspends until the next result is there.
    ///
    /// It does nothing until it is asked. Whenever it is, it pulls as many items as there are slots free (one, if
    /// others have all slots, and then waits for a slot); no more results than slots wait to be taken. A failure is given as the result of its call and harms no
    /// other. When it is dropped before its end, the calls that run are cancelled.
    ///
    /// ```
    /// sylvan::run(|| {
    ///     let pool = sylvan::task::Pool::new(4);
    ///     // The items never end.
    ///     let mut squares = pool.imap(1.., |n: u64| n * n).map(|result| result.unwrap());
    ///     assert_eq!(squares.nth(99), Some(10_000));
    /// });
    /// ```
    pub fn imap<I, F, T>(&self, items: I, f: F) -> Imap<'_, I::IntoIter, F, T>
    where
        I: IntoIterator<Item: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.members.imap(items, f)
    }

    /// As [`imap`](Self::imap), but gives the results as they come.
    pub fn imap_unordered<I, F, T>(&self, items: I, f: F) -> ImapUnordered<'_, I::IntoIter, F, T>
    where
        I: IntoIterator<Item: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.members.imap_unordered(items, f)
    }

    /// As [`Group::join`](super::Group::join). Who never calls it, as a server, has failures kept in vain: join the
    /// handles, or look at the results where they are made.
    ///
    /// # Errors
    ///
    /// As [`Group::join`](super::Group::join).
    pub fn join(&self) -> Result<(), Failures> {
        self.members.join()
    }

    /// As [`Group::cancel`](super::Group::cancel): it concerns what was spawned here, and the calls of `imap`,
    /// not those of a [`map`](Self::map), which end with their caller.
    pub fn cancel(&self) {
        self.members.cancel();
    }

    /// How many slots there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.members.size()
    }

    /// How many slots are free.
    #[must_use]
    pub fn free(&self) -> usize {
        self.members.free_slots()
    }

    /// How many members have not ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Is there no member that has not ended?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn members(&self) -> &Members {
        &self.members
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("size", &self.size())
            .field("free", &self.free())
            .finish_non_exhaustive()
    }
}
