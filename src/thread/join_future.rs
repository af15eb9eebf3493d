//! The end of a green thread as a future.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread::Result;

use super::join::JoinHandle;
use crate::rt::{self, Watcher};

/// The future of a [`JoinHandle`]: ready when the thread has ended, with what
/// [`join`](JoinHandle::join) gives. Dropping it detaches the thread, as dropping the handle does.
///
/// Any executor may wait for it, on any OS thread.
///
/// # Panics
///
/// If it is polled after it was ready.
///
/// ```
/// use sylvan::{future, thread};
///
/// let task = thread::spawn(|| 6 * 7);
/// assert_eq!(future::block_on(async { task.await.unwrap() }), 42);
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct JoinFuture<T> {
    handle: Option<JoinHandle<T>>,
    waker: Arc<Waiting>,
    /// The thread will tell `waker` of its end.
    watches: bool,
}

// What is pinned is an address of its own.
impl<T> Unpin for JoinFuture<T> {}

/// Who is to be woken.
struct Waiting(rt::Mutex<Option<Waker>>);

impl Waiting {
    /// Replaces the waker. What was there is dropped by the caller, without the lock: it is user code.
    fn replace(&self, waker: Option<Waker>) -> Option<Waker> {
        mem::replace(&mut *self.0.lock(), waker)
    }
}

impl Watcher for Waiting {
    fn ended(&self, _: usize) {
        if let Some(waker) = self.replace(None) {
            waker.wake();
        }
    }
}

impl<T> IntoFuture for JoinHandle<T> {
    type Output = Result<T>;
    type IntoFuture = JoinFuture<T>;

    fn into_future(self) -> JoinFuture<T> {
        JoinFuture {
            handle: Some(self),
            waker: Arc::new(Waiting(rt::Mutex::new(None))),
            watches: false,
        }
    }
}

impl<T> Future for JoinFuture<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let this = &mut *self;
        let handle = this.handle.take().expect("polled after it was ready");
        if !handle.is_finished() {
            let waker = context.waker().clone();
            drop(this.waker.replace(Some(waker)));
            if !this.watches {
                this.watches = handle.inner().watch(this.waker.clone(), 0);
            }
            // An end that came before the waker stood there has woken nobody.
            if !handle.is_finished() {
                this.handle = Some(handle);
                return Poll::Pending;
            }
            // Nobody will be woken any more.
            drop(this.waker.replace(None));
        }
        Poll::Ready(handle.into_result())
    }
}

impl<T> Drop for JoinFuture<T> {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle
            && self.watches
        {
            let watcher: Arc<dyn Watcher> = self.waker.clone();
            handle.inner().unwatch(&watcher);
        }
    }
}

impl<T> fmt::Debug for JoinFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinFuture").finish_non_exhaustive()
    }
}
