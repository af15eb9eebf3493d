//! Why a value was not put, or none was got. A value that was not put is in the error.

use std::error::Error;
use std::fmt;

/// The queue is closed, so [`put`](super::Queue::put) did not put this value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PutError<T>(pub T);

/// Why [`try_put`](super::Queue::try_put) did not put this value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TryPutError<T> {
    /// The queue is full; or it is a [`Channel`](super::Channel), and nobody waits to get.
    Full(T),
    /// The queue is closed.
    Closed(T),
}

/// Why [`put_timeout`](super::Queue::put_timeout) did not put this value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PutTimeoutError<T> {
    /// The queue was full for so long; or it is a [`Channel`](super::Channel), and nobody got the value.
    Timeout(T),
    /// The queue is closed.
    Closed(T),
}

/// The queue is closed and empty, so [`get`](super::Queue::get) has nothing to give.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closed;

/// Why [`try_get`](super::Queue::try_get) has nothing to give.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TryGetError {
    /// The queue is empty.
    Empty,
    /// The queue is closed and empty.
    Closed,
}

/// Why [`get_timeout`](super::Queue::get_timeout) has nothing to give.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GetTimeoutError {
    /// The queue was empty for so long.
    Timeout,
    /// The queue is closed and empty.
    Closed,
}

const CLOSED: &str = "putting into a closed queue";
const CLOSED_AND_EMPTY: &str = "getting from a closed and empty queue";

impl<T> PutError<T> {
    /// The value that was not put.
    ///
    /// ```
    /// let queue = sylvan::sync::queue::Queue::new(1);
    /// queue.close();
    /// assert_eq!(queue.put("hello").unwrap_err().into_inner(), "hello");
    /// ```
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> TryPutError<T> {
    /// The value that was not put.
    ///
    /// ```
    /// let queue = sylvan::sync::queue::Queue::new(1);
    /// queue.put("hello").unwrap();
    /// assert_eq!(queue.try_put("world").unwrap_err().into_inner(), "world");
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            TryPutError::Full(value) | TryPutError::Closed(value) => value,
        }
    }

    fn text(&self) -> &'static str {
        match self {
            TryPutError::Full(_) => "putting into a full queue",
            TryPutError::Closed(_) => CLOSED,
        }
    }
}

impl<T> PutTimeoutError<T> {
    /// The value that was not put.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let channel = sylvan::sync::queue::Channel::new();
    /// let error = channel.put_timeout("hello", Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.into_inner(), "hello");
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            PutTimeoutError::Timeout(value) | PutTimeoutError::Closed(value) => value,
        }
    }

    fn text(&self) -> &'static str {
        match self {
            PutTimeoutError::Timeout(_) => "timed out putting into a queue",
            PutTimeoutError::Closed(_) => CLOSED,
        }
    }
}

impl TryGetError {
    fn text(self) -> &'static str {
        match self {
            TryGetError::Empty => "getting from an empty queue",
            TryGetError::Closed => CLOSED_AND_EMPTY,
        }
    }
}

impl GetTimeoutError {
    fn text(self) -> &'static str {
        match self {
            GetTimeoutError::Timeout => "timed out getting from a queue",
            GetTimeoutError::Closed => CLOSED_AND_EMPTY,
        }
    }
}

impl<T> From<PutError<T>> for TryPutError<T> {
    fn from(error: PutError<T>) -> TryPutError<T> {
        TryPutError::Closed(error.0)
    }
}

impl<T> From<PutError<T>> for PutTimeoutError<T> {
    fn from(error: PutError<T>) -> PutTimeoutError<T> {
        PutTimeoutError::Closed(error.0)
    }
}

impl From<Closed> for TryGetError {
    fn from(_: Closed) -> TryGetError {
        TryGetError::Closed
    }
}

impl From<Closed> for GetTimeoutError {
    fn from(_: Closed) -> GetTimeoutError {
        GetTimeoutError::Closed
    }
}

// The value need not be printable.

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutError").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryPutError::Full(_) => "Full(..)",
            TryPutError::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Debug for PutTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PutTimeoutError::Timeout(_) => "Timeout(..)",
            PutTimeoutError::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CLOSED)
    }
}

impl<T> fmt::Display for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl<T> fmt::Display for PutTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CLOSED_AND_EMPTY)
    }
}

impl fmt::Display for TryGetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for GetTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl<T> Error for PutError<T> {}
impl<T> Error for TryPutError<T> {}
impl<T> Error for PutTimeoutError<T> {}
impl Error for Closed {}
impl Error for TryGetError {}
impl Error for GetTimeoutError {}
