//! Green threads that are kept together.

use std::fmt;

use super::failure::Failures;
use super::members::{Imap, ImapUnordered, Members};
use crate::thread::JoinHandle;

/// Green threads that are kept together, to be waited for or cancelled as one: gevent's `Group`.
///
/// Unlike a [`nursery`](super::nursery) it belongs to no frame: its threads outlive it when it is dropped, and
/// cannot borrow. A failure ends only its own thread. It can be shared, and used again after
/// [`join`](Self::join) and [`cancel`](Self::cancel).
///
/// No failure is lost: what no handle receives [`join`](Self::join) returns, whenever it came, and what is left
/// when the group is dropped, or comes later, is reported. A group that is never joined, as in a server, keeps a
/// thousand of them and reports all others when they come. Cancelled threads are no failures here.
///
/// ```
/// use sylvan::{task, thread};
///
/// sylvan::run(|| {
///     let group = task::Group::new();
///     for n in 0..3 {
///         group.spawn(move || assert!(n != 1, "one is too few"));
///     }
///     let failures = group.join().unwrap_err();
///     assert_eq!(failures.len(), 1);
///     assert!(failures[0].to_string().ends_with("panicked: one is too few"));
///     assert!(group.is_empty());
/// });
/// ```
pub struct Group {
    members: Members,
}

impl Group {
    /// A group without members.
    #[must_use]
    pub fn new() -> Group {
        Group {
            members: Members::unbounded(),
        }
    }

    /// Spawns a thread into the group. Never suspends. One with a name comes from
    /// [`Builder::spawn_in_group`](crate::thread::Builder::spawn_in_group).
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

    /// As [`Pool::map`](super::Pool::map), all at once.
    pub fn map<I, T>(&self, items: impl IntoIterator<Item = I>, f: impl Fn(I) -> T + Sync) -> Vec<T>
    where
        I: Send,
        T: Send,
    {
        self.members.map(items, f)
    }

    /// As [`Pool::imap`](super::Pool::imap), all at once: it pulls all of `items` when first asked.
    pub fn imap<I, F, T>(&self, items: I, f: F) -> Imap<'_, I::IntoIter, F, T>
    where
        I: IntoIterator<Item: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.members.imap(items, f)
    }

    /// As [`Pool::imap_unordered`](super::Pool::imap_unordered), all at once: it pulls all of `items` when first
    /// asked.
    pub fn imap_unordered<I, F, T>(&self, items: I, f: F) -> ImapUnordered<'_, I::IntoIter, F, T>
    where
        I: IntoIterator<Item: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.members.imap_unordered(items, f)
    }

    /// Suspends until no member is left.
    ///
    /// # Errors
    ///
    /// The failures that no handle has received, since the last time.
    pub fn join(&self) -> Result<(), Failures> {
        self.members.join()
    }

    /// Cancels those that are members now, and does not wait for them.
    pub fn cancel(&self) {
        self.members.cancel();
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

impl Default for Group {
    fn default() -> Group {
        Group::new()
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
