//! Queues with many putters and many getters: Python's and gevent's.
//!
//! * [`Queue`]: first in, first out. [`LifoQueue`]: last in, first out. [`PriorityQueue`]: the smallest first.
//!   They are made with their capacity, so that who puts faster than others get has to wait; a queue that is never full is
//!   spelled out, as `unbounded`.
//! * [`Channel`]: a rendezvous, which holds nothing: who puts waits until somebody gets.
//!
//! A queue is shared as a `Mutex` is: by reference, in an [`Arc`](super::Arc), or as a `static`. All methods take
//! `&self`. There are no ends of it to count, so its end is said and not guessed: with `close` puts fail, and gets do
//! when nothing is left. Where the end of the last sender is to be that of the queue, [`mpsc`](super::mpsc) has it.
//!
//! Who waits is served in the order they came, and nobody overtakes them. A wait that is cancelled, or ended by a
//! [`timeout`](crate::time::timeout) around it, loses nothing: a value that was meant for a getter goes to the next, or
//! stays where it was; a putter's value is dropped unless it was accepted before.
//!
//! What waits suspends the green thread, or blocks the plain OS thread; `try_*`, `close` and `task_done` never do (for the one
//! exception see [`PriorityQueue`]).
//!
//! All of them can be cases of a [`select!`](crate::sync::select!): `get(queue) -> value` and `put(queue, value) -> result`.
//!
//! ```
//! use sylvan::sync::queue::Queue;
//! use sylvan::thread;
//!
//! let jobs = Queue::new(4);
//! let sum = sylvan::run(|| {
//!     thread::scope(|scope| {
//!         let workers: Vec<_> = (0..3)
//!             .map(|_| scope.spawn(|| jobs.iter().sum::<i32>()))
//!             .collect();
//!         for number in 0..10 {
//!             jobs.put(number).unwrap(); // waits while it is full
//!         }
//!         jobs.close(); // the workers end when it is empty
//!         workers.into_iter().map(|worker| worker.join().unwrap()).sum::<i32>()
//!     })
//! });
//! assert_eq!(sum, 45);
//! ```

mod cases;
mod channel;
mod core;
mod error;
mod heap;
mod iter;
mod methods;
mod offers;
mod store;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use self::core::{Core, UNBOUNDED};
use crate::rt::Instant;
use crate::sync::Mutex;
use crate::sync::select::{Outgoing, Receive, Transmit, sealed::Sealed};
use cases::{Getting, Putting};
use heap::{Arrivals, Heap};
use iter::Get;
use methods::methods;
use store::{Ring, Stack};

pub use channel::Channel;
pub use error::{Closed, GetTimeoutError, PutError, PutTimeoutError, TryGetError, TryPutError};
pub use iter::{Iter, TryIter};

/// A queue: first in, first out.
///
/// ```
/// let queue = sylvan::sync::queue::Queue::new(2);
/// queue.put("first").unwrap();
/// queue.put("second").unwrap();
/// assert_eq!(queue.get(), Ok("first"));
/// ```
pub struct Queue<T> {
    core: Core<T, Ring<T>>,
}

/// A queue: last in, first out.
///
/// ```
/// let queue = sylvan::sync::queue::LifoQueue::new(2);
/// queue.put("first").unwrap();
/// queue.put("second").unwrap();
/// assert_eq!(queue.get(), Ok("second"));
/// ```
pub struct LifoQueue<T> {
    core: Core<T, Stack<T>>,
}

/// A queue whose smallest value leaves first, as Python's; of equal ones that which came first.
///
/// For the greatest first put [`Reverse`](std::cmp::Reverse)d values. A value that is not to be compared itself goes into a
/// type with a priority, whose `Ord` looks at that alone.
///
/// Values are compared when they are got, by who gets them. There one waits for others that do: `try_get` and `try_peek`
/// suspend for so long, if at all. `Ord` must not use the queue it is called for. If it panics, who gets panics, and no
/// value is lost.
///
/// ```
/// use std::cmp::Reverse;
/// use sylvan::sync::queue::PriorityQueue;
///
/// let queue = PriorityQueue::unbounded();
/// queue.put((2, "later")).unwrap();
/// queue.put((1, "soon")).unwrap();
/// assert_eq!(queue.get(), Ok((1, "soon")));
///
/// let greatest_first = PriorityQueue::unbounded();
/// greatest_first.put(Reverse(1)).unwrap();
/// greatest_first.put(Reverse(2)).unwrap();
/// assert_eq!(greatest_first.get(), Ok(Reverse(2)));
/// ```
pub struct PriorityQueue<T: Ord> {
    core: Core<T, Arrivals<T>>,
}

methods!(Queue, [T], Ring, (), "[1, 2]");
methods!(LifoQueue, [T], Stack, (), "[2, 1]");
methods!(PriorityQueue, [T: Ord], Arrivals, Mutex::new(Heap::new()), "[1, 2]");
