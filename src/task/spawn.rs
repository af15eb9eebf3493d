//! Spawning with a name and a stack size into what keeps threads together.

use std::io;
use std::panic::Location;

use super::group::Group;
use super::nursery::{Nursery, NurseryHandle, Outcome};
use super::pool::Pool;
use crate::thread::{Builder, JoinHandle};

impl Builder {
    /// Spawns the thread into a nursery; see [`task::nursery`](super::nursery()).
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// # Panics
    ///
    /// If the name has a null byte.
    ///
    /// ```
    /// use sylvan::{task, thread};
    ///
    /// sylvan::run(|| {
    ///     let failures = task::nursery(|nursery| {
    ///         let named = thread::Builder::new().name("fetch-1".into());
    ///         named.spawn_in_nursery(nursery, || panic!("no luck")).map(drop)
    ///     });
    ///     let failures = failures.unwrap_err();
    ///     assert!(failures.to_string().starts_with("green thread 'fetch-1' (spawned at "));
    /// });
    /// ```
    #[track_caller]
    pub fn spawn_in_nursery<'scope, F, R>(
        self,
        nursery: &'scope Nursery<'scope, '_>,
        f: F,
    ) -> io::Result<NurseryHandle<'scope, R::Value>>
    where
        F: FnOnce() -> R + Send + 'scope,
        R: Outcome + 'scope,
        R::Value: Send + 'scope,
    {
        nursery.spawn_with(self.checked(), Location::caller(), f)
    }

    /// Spawns the thread into a group; see [`task::Group`](Group).
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// # Panics
    ///
    /// If the name has a null byte.
    ///
    /// ```
    /// use sylvan::{task, thread};
    ///
    /// sylvan::run(|| {
    ///     let group = task::Group::new();
    ///     let named = thread::Builder::new().name("fetch-1".into());
    ///     let task = named.spawn_in_group(&group, || 1).unwrap();
    ///     assert_eq!(task.name(), Some("fetch-1"));
    ///     assert_eq!(group.len(), 1);
    /// });
    /// ```
    #[track_caller]
    pub fn spawn_in_group<F, T>(self, group: &Group, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let request = self.checked();
        let members = group.members();
        members.spawn_with(members.slot(), request, Location::caller(), f)
    }

    /// Suspends until there is a slot in the pool, and spawns the thread into it; see [`task::Pool`](Pool).
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// # Panics
    ///
    /// If the name has a null byte.
    ///
    /// ```
    /// use sylvan::{task, thread};
    ///
    /// sylvan::run(|| {
    ///     let pool = task::Pool::new(2);
    ///     let named = |n| thread::Builder::new().name(format!("fetch-{n}"));
    ///     let tasks = [1, 2, 3].map(|n| named(n).spawn_in_pool(&pool, move || n).unwrap());
    ///     assert_eq!(tasks[2].name(), Some("fetch-3"));
    ///     assert_eq!(task::gather(tasks).unwrap(), [1, 2, 3]);
    /// });
    /// ```
    #[track_caller]
    pub fn spawn_in_pool<F, T>(self, pool: &Pool, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let request = self.checked();
        let members = pool.members();
        members.spawn_with(members.slot(), request, Location::caller(), f)
    }
}
