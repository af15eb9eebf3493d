//! The sending ends.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use super::channel::Channel;
use super::{SendError, TrySendError};

/// The sending end of a [`channel`](super::channel()). It can be cloned, and shared.
pub struct Sender<T> {
    channel: Arc<Channel<T>>,
}

/// The sending end of a [`sync_channel`](super::sync_channel()). It can be cloned, and shared.
pub struct SyncSender<T> {
    channel: Arc<Channel<T>>,
}

impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
impl<T> UnwindSafe for SyncSender<T> {}
impl<T> RefUnwindSafe for SyncSender<T> {}

impl<T> Sender<T> {
    pub(super) fn new(channel: Arc<Channel<T>>) -> Sender<T> {
        Sender { channel }
    }

    /// What a select works on.
    pub(super) fn channel(&self) -> &Channel<T> {
        &self.channel
    }

    /// Sends a message. Never suspends.
    ///
    /// # Errors
    ///
    /// If there is no receiver any more; the message is in the error.
    ///
    /// ```
    /// let (sender, receiver) = sylvan::sync::mpsc::channel();
    /// sender.send(1).unwrap();
    /// drop(receiver);
    /// assert_eq!(sender.send(2).unwrap_err().0, 2);
    /// ```
    #[inline]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.channel.push(message)
    }
}

impl<T> SyncSender<T> {
    pub(super) fn new(channel: Arc<Channel<T>>) -> SyncSender<T> {
        SyncSender { channel }
    }

    /// What a select works on.
    pub(super) fn channel(&self) -> &Channel<T> {
        &self.channel
    }

    /// Sends a message, when there is room for it; with a capacity of 0, when the receiver takes it.
    ///
    /// # Errors
    ///
    /// If there is no receiver any more; the message is in the error.
    ///
    /// ```
    /// let (sender, receiver) = sylvan::sync::mpsc::sync_channel(1);
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.recv(), Ok(1));
    /// ```
    #[inline]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.channel.send(message)
    }

    /// Sends a message if there is room for it; with a capacity of 0, if the receiver waits. Never
    /// suspends.
    ///
    /// # Errors
    ///
    /// If there is no room, or no receiver any more; the message is in the error.
    ///
    /// ```
    /// use sylvan::sync::mpsc::{TrySendError, sync_channel};
    ///
    /// let (sender, receiver) = sync_channel(1);
    /// sender.try_send(1).unwrap();
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    /// drop(receiver);
    /// assert_eq!(sender.try_send(3), Err(TrySendError::Disconnected(3)));
    /// ```
    #[inline]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.channel.try_send(message)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.channel.add_sender();
        Sender::new(self.channel.clone())
    }
}

impl<T> Clone for SyncSender<T> {
    fn clone(&self) -> SyncSender<T> {
        self.channel.add_sender();
        SyncSender::new(self.channel.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.channel.remove_sender();
    }
}

impl<T> Drop for SyncSender<T> {
    fn drop(&mut self) {
        self.channel.remove_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SyncSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncSender").finish_non_exhaustive()
    }
}
