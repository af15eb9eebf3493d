//! A queue that holds nothing.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use super::cases::{Getting, Putting};
use super::core::{Core, RENDEZVOUS};
use super::iter::{Get, Iter, TryIter};
use super::store::Ring;
use super::{Closed, GetTimeoutError, PutError, PutTimeoutError, TryGetError, TryPutError};
use crate::rt::Instant;
use crate::sync::select::{Outgoing, Receive, Transmit, sealed::Sealed};

/// A rendezvous: it holds nothing, so who puts a value waits until somebody gets it.
///
/// Only a value that was handed to a getter which is cancelled at that moment, while nobody else waits for it,
/// stays here for who comes next.
///
/// ```
/// use sylvan::sync::queue::Channel;
/// use sylvan::thread;
///
/// let channel = Channel::new();
/// sylvan::run(|| {
///     thread::scope(|scope| {
///         scope.spawn(|| channel.put("hello").unwrap()); // waits
///         assert_eq!(channel.get(), Ok("hello"));
///     });
/// });
/// ```
pub struct Channel<T> {
    core: Core<T, Ring<T>>,
}

impl<T> UnwindSafe for Channel<T> {}
impl<T> RefUnwindSafe for Channel<T> {}

impl<T> Channel<T> {
    /// A channel.
    ///
    /// ```
    /// use sylvan::sync::queue::Channel;
    ///
    /// static CHANNEL: Channel<u32> = Channel::new();
    /// assert!(CHANNEL.try_get().is_err());
    /// ```
    #[must_use]
    pub const fn new() -> Channel<T> {
        Channel {
            core: Core::new(Ring::new(), (), RENDEZVOUS),
        }
    }

    /// Puts a value, and waits until somebody gets it.
    ///
    /// # Errors
    ///
    /// If the channel is closed, or is while it waits; the value is in the error.
    ///
    /// ```
    /// let channel = sylvan::sync::queue::Channel::new();
    /// channel.close();
    /// assert_eq!(channel.put(1).unwrap_err().into_inner(), 1);
    /// ```
    #[inline]
    pub fn put(&self, value: T) -> Result<(), PutError<T>> {
        let put = self.core.put(value, || Instant::NEVER);
        put.map_err(|error| PutError(error.into_inner()))
    }

    /// Puts a value if somebody waits to get it. Never suspends.
    ///
    /// # Errors
    ///
    /// If nobody does, or if the channel is closed; the value is in the error.
    ///
    /// ```
    /// use sylvan::sync::queue::{Channel, TryPutError};
    ///
    /// let channel = Channel::new();
    /// assert_eq!(channel.try_put(1), Err(TryPutError::Full(1)));
    /// ```
    #[inline]
    pub fn try_put(&self, value: T) -> Result<(), TryPutError<T>> {
        self.core.try_put(value)
    }

    /// As [`put`](Self::put), for at most `timeout`.
    ///
    /// # Errors
    ///
    /// If nobody got the value in that time, or if the channel is closed; the value is in the error.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sylvan::sync::queue::{Channel, PutTimeoutError};
    ///
    /// let channel = Channel::new();
    /// let put = channel.put_timeout(1, Duration::from_millis(1));
    /// assert_eq!(put, Err(PutTimeoutError::Timeout(1)));
    /// ```
    #[inline]
    pub fn put_timeout(&self, value: T, timeout: Duration) -> Result<(), PutTimeoutError<T>> {
        self.core.put(value, || Instant::limit(timeout))
    }

    /// Gets a value, when somebody puts one.
    ///
    /// # Errors
    ///
    /// If the channel is closed.
    ///
    /// ```
    /// use sylvan::{sync::queue::Channel, thread};
    ///
    /// let channel = Channel::new();
    /// sylvan::run(|| {
    ///     thread::scope(|scope| {
    ///         scope.spawn(|| (0..3).for_each(|number| channel.put(number).unwrap()));
    ///         assert_eq!(channel.get(), Ok(0));
    ///         assert_eq!(channel.get(), Ok(1));
    ///         assert_eq!(channel.get(), Ok(2));
    ///     });
    /// });
    /// ```
    #[inline]
    pub fn get(&self) -> Result<T, Closed> {
        self.core.get(|| Instant::NEVER).map_err(|_| Closed)
    }

    /// Gets a value if somebody waits to put one. Never suspends.
    ///
    /// # Errors
    ///
    /// If nobody does.
    ///
    /// ```
    /// use sylvan::sync::queue::{Channel, TryGetError};
    ///
    /// let channel = Channel::<u32>::new();
    /// assert_eq!(channel.try_get(), Err(TryGetError::Empty));
    /// channel.close();
    /// assert_eq!(channel.try_get(), Err(TryGetError::Closed));
    /// ```
    #[inline]
    pub fn try_get(&self) -> Result<T, TryGetError> {
        self.core.try_get()
    }

    /// As [`get`](Self::get), for at most `timeout`.
    ///
    /// # Errors
    ///
    /// If nobody put a value in that time, or if the channel is closed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sylvan::sync::queue::{Channel, GetTimeoutError};
    ///
    /// let channel = Channel::<u32>::new();
    /// let got = channel.get_timeout(Duration::from_millis(1));
    /// assert_eq!(got, Err(GetTimeoutError::Timeout));
    /// ```
    #[inline]
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetTimeoutError> {
        self.core.get(|| Instant::limit(timeout))
    }

    /// All values until the channel is closed; waits for each.
    ///
    /// ```
    /// use sylvan::{sync::queue::Channel, thread};
    ///
    /// let channel = Channel::new();
    /// sylvan::run(|| {
    ///     thread::scope(|scope| {
    ///         scope.spawn(|| {
    ///             (0..3).for_each(|number| channel.put(number).unwrap());
    ///             channel.close();
    ///         });
    ///         assert_eq!(channel.iter().collect::<Vec<_>>(), [0, 1, 2]);
    ///     });
    /// });
    /// ```
    pub fn iter(&self) -> Iter<'_, Channel<T>> {
        Iter::new(self)
    }

    /// The values of all that wait to put one. Never suspends.
    ///
    /// ```
    /// use sylvan::{sync::queue::Channel, thread};
    ///
    /// let channel = Channel::new();
    /// sylvan::run(|| {
    ///     thread::scope(|scope| {
    ///         for number in 0..3 {
    ///             let channel = &channel;
    ///             scope.spawn(move || channel.put(number).unwrap());
    ///         }
    ///         thread::yield_now(); // they wait
    ///         assert_eq!(channel.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
    ///     });
    /// });
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, Channel<T>> {
        TryIter::new(self)
    }

    /// Closes the channel: nothing can be put or got from now on. Who waits to put has the value back. Closing
    /// again does nothing.
    ///
    /// ```
    /// let channel = sylvan::sync::queue::Channel::<u32>::new();
    /// channel.close();
    /// assert!(channel.get().is_err());
    /// ```
    pub fn close(&self) {
        self.core.close();
    }

    /// Is it closed?
    ///
    /// ```
    /// let channel = sylvan::sync::queue::Channel::<u32>::new();
    /// assert!(!channel.is_closed());
    /// channel.close();
    /// assert!(channel.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }
}

impl<T> Sealed for Channel<T> {}

impl<T> Receive for Channel<T> {
    type Output = Result<T, Closed>;
    type Operation<'queue>
        = Getting<'queue, T, Ring<T>>
    where
        Self: 'queue;

    fn to_receive(&self) -> Self::Operation<'_> {
        Getting::new(&self.core)
    }
}

impl<T> Transmit for Channel<T> {
    type Message = T;
    type Output = Result<(), PutError<T>>;
    type Operation<'queue>
        = Putting<'queue, T, Ring<T>>
    where
        Self: 'queue;

    fn to_send<'queue>(&'queue self, message: Outgoing<'queue, T>) -> Self::Operation<'queue> {
        Putting::new(&self.core, message)
    }
}

impl<T> Get for Channel<T> {
    type Value = T;

    fn next(&self) -> Option<T> {
        self.get().ok()
    }

    fn try_next(&self) -> Option<T> {
        self.try_get().ok()
    }
}

impl<'channel, T> IntoIterator for &'channel Channel<T> {
    type Item = T;
    type IntoIter = Iter<'channel, Channel<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> Default for Channel<T> {
    fn default() -> Channel<T> {
        Channel::new()
    }
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
