//! The methods of the queues that hold values, which are the same for all of them.

/// `$order`: how the values 1 and 2 leave that came in this order.
macro_rules! methods {
    ($queue:ident, [T $(: $bound:ident)?], $store:ident, $aside:expr, $order:literal) => {
        impl<T $(: $bound)?> UnwindSafe for $queue<T> {}
        impl<T $(: $bound)?> RefUnwindSafe for $queue<T> {}

        impl<T $(: $bound)?> $queue<T> {
            /// A queue that holds up to `capacity` values.
            ///
            /// # Panics
            ///
            /// If `capacity` is 0: nothing could be put. A queue that is never full is
            /// [`unbounded`](Self::unbounded); one that holds nothing is a [`Channel`].
            ///
            /// ```
            #[doc = concat!("use sylvan::sync::queue::", stringify!($queue), ";")]
            ///
            #[doc = concat!("static JOBS: ", stringify!($queue), "<u32> = ", stringify!($queue), "::new(8);")]
            /// assert_eq!(JOBS.capacity(), Some(8));
            /// ```
            #[must_use]
            pub const fn new(capacity: usize) -> Self {
                assert!(capacity > 0, "a queue without places: use `unbounded`, or a `Channel`");
                Self { core: Core::new($store::new(), $aside, capacity) }
            }

            /// A queue that is never full: putting never waits.
            ///
            /// ```
            #[doc = concat!("let queue = sylvan::sync::queue::", stringify!($queue), "::unbounded();")]
            /// for number in 0..1000 {
            ///     queue.put(number).unwrap();
            /// }
            /// assert_eq!((queue.len(), queue.capacity()), (1000, None));
            /// ```
            #[must_use]
            pub const fn unbounded() -> Self {
                Self { core: Core::new($store::new(), $aside, UNBOUNDED) }
            }

            /// Puts a value, when there is room for it.
            ///
            /// # Errors
            ///
            /// If the queue is closed, or is while it waits; the value is in the error.
            ///
            /// ```
            #[doc = concat!("let queue = sylvan::sync::queue::", stringify!($queue), "::new(2);")]
            /// queue.put(1).unwrap();
            /// queue.close();
            /// assert_eq!(queue.put(2).unwrap_err().into_inner(), 2);
            /// ```
            #[inline]
            pub fn put(&self, value: T) -> Result<(), PutError<T>> {
                let put = self.core.put(value, || Instant::NEVER);
                put.map_err(|error| PutError(error.into_inner()))
            }

            /// Puts a value if there is room for it. Never suspends.
            ///
            /// # Errors
            ///
            /// If there is none, or if the queue is closed; the value is in the error.
            ///
            /// ```
            #[doc = concat!("use sylvan::sync::queue::{", stringify!($queue), ", TryPutError};")]
            ///
            #[doc = concat!("let queue = ", stringify!($queue), "::new(1);")]
            /// queue.try_put(1).unwrap();
            /// assert_eq!(queue.try_put(2), Err(TryPutError::Full(2)));
            /// queue.close();
            /// assert_eq!(queue.try_put(3), Err(TryPutError::Closed(3)));
            /// ```
            #[inline]
            pub fn try_put(&self, value: T) -> Result<(), TryPutError<T>> {
                self.core.try_put(value)
            }

            /// As [`put`](Self::put), for at most `timeout`.
            ///
            /// # Errors
            ///
            /// If there was no room in that time, or if the queue is closed; the value is in the error.
            ///
            /// ```
            /// use std::time::Duration;
            #[doc = concat!("use sylvan::sync::queue::{PutTimeoutError, ", stringify!($queue), "};")]
            ///
            #[doc = concat!("let queue = ", stringify!($queue), "::new(1);")]
            /// let moment = Duration::from_millis(1);
            /// queue.put_timeout(1, moment).unwrap();
            /// assert_eq!(queue.put_timeout(2, moment), Err(PutTimeoutError::Timeout(2)));
            /// ```
            #[inline]
            pub fn put_timeout(&self, value: T, timeout: Duration) -> Result<(), PutTimeoutError<T>> {
                self.core.put(value, || Instant::limit(timeout))
            }

            /// Gets the next value, when there is one.
            ///
            /// # Errors
            ///
            /// If the queue is closed and nothing is left in it.
            ///
            /// ```
            #[doc = concat!("use sylvan::sync::queue::{Closed, ", stringify!($queue), "};")]
            ///
            #[doc = concat!("let queue = ", stringify!($queue), "::new(1);")]
            /// queue.put(1).unwrap();
            /// queue.close();
            /// assert_eq!(queue.get(), Ok(1));
            /// assert_eq!(queue.get(), Err(Closed));
            /// ```
            #[inline]
            pub fn get(&self) -> Result<T, Closed> {
                self.core.get(|| Instant::NEVER).map_err(|_| Closed)
            }

            /// Gets the next value if there is one. Never suspends.
            ///
            /// # Errors
            ///
            /// If there is none.
            ///
            /// ```
            #[doc = concat!("use sylvan::sync::queue::{", stringify!($queue), ", TryGetError};")]
            ///
            #[doc = concat!("let queue = ", stringify!($queue), "::<u32>::new(1);")]
            /// assert_eq!(queue.try_get(), Err(TryGetError::Empty));
            /// queue.close();
            /// assert_eq!(queue.try_get(), Err(TryGetError::Closed));
            /// ```
            #[inline]
            pub fn try_get(&self) -> Result<T, TryGetError> {
                self.core.try_get()
            }

            /// As [`get`](Self::get), for at most `timeout`.
            ///
            /// # Errors
            ///
            /// If there was no value in that time, or if the queue is closed and nothing is left in it.
            ///
            /// ```
            /// use std::time::Duration;
            #[doc = concat!("use sylvan::sync::queue::{GetTimeoutError, ", stringify!($queue), "};")]
            ///
            #[doc = concat!("let queue = ", stringify!($queue), "::<u32>::new(1);")]
            /// let got = queue.get_timeout(Duration::from_millis(1));
            /// assert_eq!(got, Err(GetTimeoutError::Timeout));
            /// ```
            #[inline]
            pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetTimeoutError> {
                self.core.get(|| Instant::limit(timeout))
            }

            /// Waits for a value as [`get`](Self::get) does, and leaves it where it is. It is somebody else's,
            /// perhaps, when this returns. See [`peek_with`](Self::peek_with).
            ///
            /// # Errors
            ///
            /// As those of [`get`](Self::get).
            ///
            /// ```
            #[doc = concat!("let queue = sylvan::sync::queue::", stringify!($queue), "::new(1);")]
            /// queue.put("next").unwrap();
            /// assert_eq!(queue.peek(), Ok("next"));
            /// assert_eq!(queue.len(), 1);
            /// ```
            pub fn peek(&self) -> Result<T, Closed>
            where
                T: Clone,
            {
                self.peek_with(T::clone)
            }

            /// The next value, if there is one, which stays where it is. See [`peek_with`](Self::peek_with).
            ///
            /// # Errors
            ///
            /// If there is none.
            ///
            /// ```
            #[doc = concat!("let queue = sylvan::sync::queue::", stringify!($queue), "::new(1);")]
            /// assert!(queue.try_peek().is_err());
            /// queue.put("next").unwrap();
            /// assert_eq!(queue.try_peek(), Ok("next"));
            /// ```
            pub fn try_peek(&self) -> Result<T, TryGetError>
            where
                T: Clone,
            {
                self.try_peek_with(T::clone)
            }

            /// Waits for a value as [`get`](Self::get) does, looks at it, and leaves it where it is.
            ///
            /// While `look` runs the value is held out to it and to nobody else: others get what comes after it,
            /// and wait, or find the queue empty, if that is nothing. It counts as being in the queue.
            ///
            /// # Errors
            ///
            /// As those of [`get`](Self::get).
            ///
            /// ```
            #[doc = concat!("let queue = sylvan::sync::queue::", stringify!($queue), "::new(1);")]
            /// queue.put(String::from("next")).unwrap();
            /// assert_eq!(queue.peek_with(|value| value.len()), Ok(4));
            /// ```
            pub fn peek_with<R>(&self, look: impl FnOnce(&T) -> R) -> Result<R, Closed> {
                self.core.peek(Instant::NEVER, look).map_err(|_| Closed)
            }

            /// Looks at the next value, if there is one, and leaves it where it is; see
            /// [`peek_with`](Self::peek_with). Does not suspend, unless `look` does.
            ///
            /// # Errors
            ///
            /// If there is none.
            ///
            /// ```
            #[doc = concat!("let queue = sylvan::sync::queue::", stringify!($queue), "::new(1);")]
            /// queue.put(String::from("next")).unwrap();
            /// assert_eq!(queue.try_peek_with(|value| value.len()), Ok(4));
            /// ```
            pub fn try_peek_with<R>(&self, look: impl FnOnce(&T) -> R) -> Result<R, TryGetError> {
                self.core.try_peek(look)
            }

            /// All values until the queue is closed and empty; waits for each. As many as like may do so at once:
            /// each value goes to one of them.
            ///
            /// ```
            #[doc = concat!("let queue = sylvan::sync::queue::", stringify!($queue), "::new(2);")]
            /// queue.put(1).unwrap();
            /// queue.put(2).unwrap();
            /// queue.close();
            #[doc = concat!("assert_eq!(queue.iter().collect::<Vec<_>>(), ", $order, ");")]
            /// ```
            pub fn iter(&self) -> Iter<'_, Self> {
                Iter::new(self)
            }

            /// All values that are there. Never suspends.
            ///
            /// ```
            #[doc = concat!("let queue = sylvan::sync::queue::", stringify!($queue), "::new(2);")]
            /// queue.put(1).unwrap();
            /// queue.put(2).unwrap();
            #[doc = concat!("assert_eq!(queue.try_iter().collect::<Vec<_>>(), ", $order, ");")]
            /// ```
            pub fn try_iter(&self) -> TryIter<'_, Self> {
                TryIter::new(self)
            }

            /// Says that one value that was got is done with, for [`join`](Self::join).
            ///
            /// # Panics
            ///
            /// If all values that were put are done with already.
            ///
            /// ```
            #[doc = concat!("let queue = sylvan::sync::queue::", stringify!($queue), "::new(1);")]
            /// queue.put(1).unwrap();
            /// assert_eq!(queue.get(), Ok(1));
            /// queue.task_done();
            /// queue.join();
            /// ```
            #[track_caller]
            pub fn task_done(&self) {
                assert!(self.core.finish(1), "task_done was called for more values than were put");
            }

            /// Waits until [`task_done`](Self::task_done) was called for each value that was put. Returns at once
            /// if that is so.
            ///
            /// ```
            /// use sylvan::thread;
            ///
            #[doc = concat!("let queue = sylvan::sync::queue::", stringify!($queue), "::new(1);")]
            /// sylvan::run(|| {
            ///     thread::scope(|scope| {
            ///         scope.spawn(|| {
            ///             for _job in &queue {
            ///                 thread::yield_now(); // does something with it
            ///                 queue.task_done();
            ///             }
            ///         });
            ///         (0..10).for_each(|job| queue.put(job).unwrap());
            ///         queue.join(); // all ten are done
            ///         queue.close();
            ///     });
            /// });
            /// ```
            pub fn join(&self) {
                self.core.join(Instant::NEVER);
            }

            /// As [`join`](Self::join), for at most `timeout`. Returns whether all is done with.
            ///
            /// ```
            /// use std::time::Duration;
            ///
            #[doc = concat!("let queue = sylvan::sync::queue::", stringify!($queue), "::new(1);")]
            /// queue.put(1).unwrap();
            /// assert!(!queue.join_timeout(Duration::from_millis(1)));
            /// ```
            #[must_use]
            pub fn join_timeout(&self, timeout: Duration) -> bool {
                self.core.join(Instant::limit(timeout))
            }

            /// Closes the queue: nothing can be put from now on, and when what is in it was got, gets fail. Who waits to
            /// put has the value back. Closing again does nothing.
            ///
            /// ```
            #[doc = concat!("let queue = sylvan::sync::queue::", stringify!($queue), "::new(2);")]
            /// queue.put(1).unwrap();
            /// queue.close();
            /// assert!(queue.put(2).is_err());
            /// assert_eq!(queue.get(), Ok(1));
            /// assert!(queue.get().is_err());
            /// ```
            pub fn close(&self) {
                self.core.close();
            }

            /// Closes the queue and takes what is in it; that counts as done with, for [`join`](Self::join). A value
            /// that somebody is just getting is theirs.
            ///
            /// ```
            #[doc = concat!("let queue = sylvan::sync::queue::", stringify!($queue), "::new(2);")]
            /// queue.put(1).unwrap();
            /// queue.put(2).unwrap();
            #[doc = concat!("assert_eq!(queue.close_now(), ", $order, ");")]
            /// assert!(queue.get().is_err());
            /// ```
            pub fn close_now(&self) -> Vec<T> {
                self.core.close_now()
            }

            /// Is it closed?
            ///
            /// ```
            #[doc = concat!("let queue = sylvan::sync::queue::", stringify!($queue), "::<u32>::new(1);")]
            /// assert!(!queue.is_closed());
            /// queue.close();
            /// assert!(queue.is_closed());
            /// ```
            #[must_use]
            pub fn is_closed(&self) -> bool {
                self.core.is_closed()
            }

            /// How many values are in it.
            ///
            /// ```
            #[doc = concat!("let queue = sylvan::sync::queue::", stringify!($queue), "::new(2);")]
            /// queue.put(1).unwrap();
            /// assert_eq!(queue.len(), 1);
            /// ```
            #[must_use]
            pub fn len(&self) -> usize {
                self.core.len()
            }

            /// Is nothing in it?
            ///
            /// ```
            #[doc = concat!("let queue = sylvan::sync::queue::", stringify!($queue), "::<u32>::new(2);")]
            /// assert!(queue.is_empty());
            /// ```
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Are as many values in it as it can hold?
            ///
            /// ```
            #[doc = concat!("let queue = sylvan::sync::queue::", stringify!($queue), "::new(1);")]
            /// assert!(!queue.is_full());
            /// queue.put(1).unwrap();
            /// assert!(queue.is_full());
            /// ```
            #[must_use]
            pub fn is_full(&self) -> bool {
                self.core.is_full()
            }

            /// How many values it can hold; `None` if it is unbounded.
            ///
            /// ```
            #[doc = concat!("let queue = sylvan::sync::queue::", stringify!($queue), "::<u32>::new(2);")]
            /// assert_eq!(queue.capacity(), Some(2));
            /// ```
            #[must_use]
            pub fn capacity(&self) -> Option<usize> {
                self.core.capacity()
            }
        }

        impl<T $(: $bound)?> Sealed for $queue<T> {}

        impl<T $(: $bound)?> Receive for $queue<T> {
            type Output = Result<T, Closed>;
            type Operation<'queue>
                = Getting<'queue, T, $store<T>>
            where
                Self: 'queue;

            fn to_receive(&self) -> Self::Operation<'_> {
                Getting::new(&self.core)
            }
        }

        impl<T $(: $bound)?> Transmit for $queue<T> {
            type Message = T;
            type Output = Result<(), PutError<T>>;
            type Operation<'queue>
                = Putting<'queue, T, $store<T>>
            where
                Self: 'queue;

            fn to_send<'queue>(&'queue self, message: Outgoing<'queue, T>) -> Self::Operation<'queue> {
                Putting::new(&self.core, message)
            }
        }

        impl<T $(: $bound)?> Get for $queue<T> {
            type Value = T;

            fn next(&self) -> Option<T> {
                self.get().ok()
            }

            fn try_next(&self) -> Option<T> {
                self.try_get().ok()
            }
        }

        impl<'queue, T $(: $bound)?> IntoIterator for &'queue $queue<T> {
            type Item = T;
            type IntoIter = Iter<'queue, $queue<T>>;

            fn into_iter(self) -> Self::IntoIter {
                self.iter()
            }
        }

        impl<T $(: $bound)?> fmt::Debug for $queue<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($queue))
                    .field("len", &self.len())
                    .field("capacity", &self.capacity())
                    .field("closed", &self.is_closed())
                    .finish_non_exhaustive()
            }
        }
    };
}

pub(super) use methods;
