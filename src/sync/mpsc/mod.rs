//! Channels with many senders and one receiver.
//!
//! # Differences from std
//!
//! Receiving, and sending into a full channel, suspend the green thread. A wait that is cancelled loses
//! no message: a receiver's stays in the channel, a sender's is dropped unless it was taken. Messages
//! still in a channel when its receiver goes are dropped by that thread, and their destructors may wait.
//!
//! ```
//! use sylvan::sync::mpsc;
//! use sylvan::thread;
//!
//! sylvan::run(|| {
//!     let (sender, receiver) = mpsc::channel();
//!     for number in 0..10 {
//!         let sender = sender.clone();
//!         thread::spawn(move || sender.send(number).unwrap());
//!     }
//!     drop(sender);
//!     assert_eq!(receiver.iter().sum::<i32>(), 45);
//! });
//! ```

mod cases;
mod channel;
mod receiver;
mod sender;

use std::sync::Arc;

use channel::Channel;

pub use receiver::{IntoIter, Iter, Receiver, TryIter};
pub use sender::{Sender, SyncSender};
pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};

/// A channel that holds any number of messages: sending never suspends.
///
/// ```
/// let (sender, receiver) = sylvan::sync::mpsc::channel();
/// sender.send("a message").unwrap();
/// assert_eq!(receiver.recv(), Ok("a message"));
/// ```
#[must_use]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel::new(None));
    (Sender::new(channel.clone()), Receiver::new(channel))
}

/// A channel that holds up to `bound` messages. With 0 each message is handed from the sender to the
/// receiver directly: the one that comes first waits for the other.
///
/// ```
/// use sylvan::{sync::mpsc, thread};
///
/// sylvan::run(|| {
///     let (sender, receiver) = mpsc::sync_channel(1);
///     sender.send(1).unwrap();
///     assert!(sender.try_send(2).is_err());
///     thread::spawn(move || sender.send(3).unwrap()); // waits
///     assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 3]);
/// });
/// ```
#[must_use]
pub fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
    let channel = Arc::new(Channel::new(Some(bound)));
    (SyncSender::new(channel.clone()), Receiver::new(channel))
}
