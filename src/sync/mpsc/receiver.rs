//! The receiving end, and its iterators.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use super::channel::{Batch, Channel};
use super::{RecvError, RecvTimeoutError, TryRecvError};
use crate::rt::Instant;

/// The receiving end of a [`channel`](super::channel()) or [`sync_channel`](super::sync_channel()).
/// There is one, which one thread uses at a time.
pub struct Receiver<T> {
    channel: Arc<Channel<T>>,
    batch: Batch<T>,
}

impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}
// Messages do not stay where they are: nothing here is pinned with it.
impl<T> Unpin for Receiver<T> {}

impl<T> Receiver<T> {
    pub(super) fn new(channel: Arc<Channel<T>>) -> Receiver<T> {
        Receiver {
            channel,
            batch: Batch::default(),
        }
    }

    /// What a select works on.
    pub(super) fn parts(&self) -> (&Channel<T>, &Batch<T>) {
        (&self.channel, &self.batch)
    }

    /// Waits for a message.
    ///
    /// # Errors
    ///
    /// If there is none, and no sender any more.
    ///
    /// ```
    /// let (sender, receiver) = sylvan::sync::mpsc::channel();
    /// sender.send(1).unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.recv(), Ok(1));
    /// assert!(receiver.recv().is_err());
    /// ```
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        let received = self.channel.receive(&self.batch, || Instant::NEVER);
        received.map_err(|_| RecvError)
    }

    /// Waits for a message for at most `duration`.
    ///
    /// # Errors
    ///
    /// If none came in that time, or if there is none, and no sender any more.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sylvan::sync::mpsc::{RecvTimeoutError, channel};
    ///
    /// let (sender, receiver) = channel::<()>();
    /// let moment = Duration::from_millis(1);
    /// assert_eq!(receiver.recv_timeout(moment), Err(RecvTimeoutError::Timeout));
    /// drop(sender);
    /// assert_eq!(receiver.recv_timeout(moment), Err(RecvTimeoutError::Disconnected));
    /// ```
    #[inline]
    pub fn recv_timeout(&self, duration: Duration) -> Result<T, RecvTimeoutError> {
        self.channel
            .receive(&self.batch, || Instant::limit(duration))
    }

    /// The next message, if there is one. Never suspends.
    ///
    /// # Errors
    ///
    /// If there is none.
    ///
    /// ```
    /// use sylvan::sync::mpsc::{TryRecvError, channel};
    ///
    /// let (sender, receiver) = channel::<()>();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    /// ```
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.channel.try_receive(&self.batch)
    }

    /// All messages until there is no sender any more; waits for each.
    ///
    /// ```
    /// let (sender, receiver) = sylvan::sync::mpsc::channel();
    /// sender.send(1).unwrap();
    /// sender.send(2).unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.iter().sum::<i32>(), 3);
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// All messages that are there. Never suspends.
    ///
    /// ```
    /// let (sender, receiver) = sylvan::sync::mpsc::channel();
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1]);
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.channel.remove_receiver();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// All messages; see [`Receiver::iter`].
pub struct Iter<'receiver, T: 'receiver> {
    receiver: &'receiver Receiver<T>,
}

/// The messages that are there; see [`Receiver::try_iter`].
pub struct TryIter<'receiver, T: 'receiver> {
    receiver: &'receiver Receiver<T>,
}

/// All messages of a receiver that it owns.
pub struct IntoIter<T> {
    receiver: Receiver<T>,
}

/// std calls the field so.
macro_rules! shown_as_in_std {
    ($($name:ident: $type:ty),+) => {
        $(impl<T> fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut shown = f.debug_struct(stringify!($name));
                shown.field("rx", &self.receiver).finish()
            }
        })+
    };
}

shown_as_in_std!(Iter: Iter<'_, T>, TryIter: TryIter<'_, T>, IntoIter: IntoIter<T>);

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<'receiver, T> IntoIterator for &'receiver Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'receiver, T>;

    fn into_iter(self) -> Iter<'receiver, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self }
    }
}
