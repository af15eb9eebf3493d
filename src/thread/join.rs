//! The right to join a green thread.

use std::fmt;
use std::marker::PhantomData;
use std::thread::Result;
use std::time::Duration;

use super::handle::{Thread, ThreadId};
use crate::rt::{self, Case, Instant, Join, Signal, Stand, State};
use crate::sync::select;

/// The right to join a green thread, and to cancel it. Dropping it detaches the thread: if that panics, or has, it is
/// reported, with its name and where it was spawned. (Of a [`Group`](crate::task::Group) or
/// [`Pool`](crate::task::Pool) the failure is kept for its `join`.)
///
/// # Differences from std
///
/// It has more: see [`cancel`](Self::cancel), [`state`](Self::state), [`try_join`](Self::try_join),
/// [`join_timeout`](Self::join_timeout), [`on_done`](Self::on_done). A future can be made of it, which any
/// executor can wait for: `handle.await`, or [`into_future`](std::future::IntoFuture::into_future).
pub struct JoinHandle<T>(Join<T>);

impl<T> JoinHandle<T> {
    pub(crate) fn new(join: Join<T>) -> JoinHandle<T> {
        JoinHandle(join)
    }

    pub(crate) fn inner(&self) -> &Join<T> {
        &self.0
    }

    /// The thread's handle.
    #[must_use]
    pub fn thread(&self) -> &Thread {
        Thread::of(self.0.task())
    }

    /// The thread's identity: that of its [`thread`](Self::thread).
    #[must_use]
    pub fn id(&self) -> ThreadId {
        self.thread().id()
    }

    /// The thread's name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.thread().name()
    }

    /// Suspends until the thread has ended, and returns what it returned.
    ///
    /// # Errors
    ///
    /// The payload of its panic; [`task::Cancelled`](crate::task::Cancelled) if it was cancelled;
    /// [`task::NoStack`](crate::task::NoStack) if it could get no stack.
    pub fn join(self) -> Result<T> {
        rt::spend();
        while !self.0.wait(Instant::NEVER) {}
        self.into_result()
    }

    /// As [`join`](Self::join) if the thread has ended. Never suspends.
    ///
    /// # Errors
    ///
    /// The handle, if the thread has not ended.
    ///
    /// ```
    /// use sylvan::thread;
    ///
    /// sylvan::run(|| {
    ///     let task = thread::spawn(|| 6 * 7);
    ///     let task = task.try_join().unwrap_err(); // it has not run yet
    ///     thread::yield_now();
    ///     assert_eq!(task.try_join().unwrap().unwrap(), 42);
    /// });
    /// ```
    pub fn try_join(self) -> std::result::Result<Result<T>, Self> {
        if self.is_finished() {
            Ok(self.into_result())
        } else {
            Err(self)
        }
    }

    /// As [`join`](Self::join), but suspends for at most `duration`.
    ///
    /// # Errors
    ///
    /// The handle, if the thread has not ended by then.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sylvan::thread;
    ///
    /// sylvan::run(|| {
    ///     let task = thread::spawn(|| thread::sleep(Duration::from_secs(3600)));
    ///     let task = task.join_timeout(Duration::from_millis(1)).unwrap_err();
    ///     task.cancel();
    ///     assert!(task.join().is_err());
    /// });
    /// ```
    pub fn join_timeout(self, duration: Duration) -> std::result::Result<Result<T>, Self> {
        rt::spend();
        let deadline = Instant::limit(duration);
        while !self.0.wait(deadline) {
            if deadline != Instant::NEVER && Instant::now() >= deadline {
                return Err(self);
            }
        }
        Ok(self.into_result())
    }

    /// Of a thread that has ended.
    pub(crate) fn into_result(self) -> Result<T> {
        let result = self.0.into_result();
        if let Err(payload) = &result
            && rt::is_cancellation(payload.as_ref())
        {
            // By a deadline that it inherited, perhaps, and so the caller's, too: then that goes first.
            rt::checkpoint();
        }
        result
    }

    /// Has the thread ended, so that [`join`](Self::join) will not wait? Never suspends.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.task().is_complete()
    }

    /// What the thread does at the moment. Never suspends.
    ///
    /// From another hub's thread it may be out of date when it is returned.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.task().state()
    }

    /// Asks the thread to end, and does not wait for it.
    ///
    /// It unwinds at its next suspension, at once if it is suspended: its destructors run, and
    /// [`join`](Self::join) gives [`task::Cancelled`](crate::task::Cancelled). A `catch_unwind` only
    /// delays it. If it has not started it never runs. If it has ended nothing happens.
    ///
    /// A destructor that runs because of the unwinding may suspend, undisturbed. One that runs at the
    /// ordinary end of a block is code like any other: its next suspension is where the unwinding begins.
    /// Wrap what must not be cut short in [`task::mask`](crate::task::mask).
    pub fn cancel(&self) {
        self.0.task().cancel();
    }

    /// Calls `f` with the result when the thread has ended: on its own stack, before joiners get it. If it
    /// has ended already `f` is called at once, here.
    ///
    /// Any number of callbacks are called in the order they were given, once each, and one after the other:
    /// one that is given while another runs follows it. They may suspend, and keep joiners waiting
    /// meanwhile; they cannot be cancelled. A panic in one is reported and harms no other. Thread-locals are
    /// the ended thread's own. A failure that no handle receives is reported all the same.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use sylvan::thread;
    ///
    /// sylvan::run(|| {
    ///     let (sender, results) = mpsc::channel();
    ///     let task = thread::spawn(|| 3 + 4);
    ///     task.on_done(move |result| sender.send(*result.as_ref().unwrap()).unwrap());
    ///     task.join().unwrap();
    ///     assert_eq!(results.try_recv(), Ok(7));
    /// });
    /// ```
    pub fn on_done<F>(&self, f: F)
    where
        F: FnOnce(&Result<T>) + Send + 'static,
        T: 'static,
    {
        self.0.on_done(f);
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

/// The handle of a green thread that [`spawn_local`](super::spawn_local) made: it stays on its hub, for
/// what it gives may not be sent.
pub struct LocalJoinHandle<T> {
    handle: JoinHandle<T>,
    not_send: PhantomData<*mut ()>,
}

/// The handle of a thread of a [`scope`](super::scope()).
pub struct ScopedJoinHandle<'scope, T> {
    handle: JoinHandle<T>,
    scope: PhantomData<&'scope ()>,
}

impl<T> LocalJoinHandle<T> {
    pub(super) fn new(join: Join<T>) -> LocalJoinHandle<T> {
        LocalJoinHandle {
            handle: JoinHandle::new(join),
            not_send: PhantomData,
        }
    }

    /// As [`JoinHandle::on_done`]; `f` need not be `Send`, for the thread stays on the caller's hub.
    pub fn on_done<F>(&self, f: F)
    where
        F: FnOnce(&Result<T>) + 'static,
        T: 'static,
    {
        struct Stays<F>(F);
        // SAFETY: the thread, and whoever holds this handle, are on one OS thread for ever.
        unsafe impl<F> Send for Stays<F> {}
        impl<F> Stays<F> {
            fn call<T>(self, result: &Result<T>)
            where
                F: FnOnce(&Result<T>),
            {
                (self.0)(result);
            }
        }
        let stays = Stays(f);
        self.handle.on_done(move |result| stays.call(result));
    }
}

impl<T> ScopedJoinHandle<'_, T> {
    pub(super) fn new(join: Join<T>) -> Self {
        ScopedJoinHandle {
            handle: JoinHandle::new(join),
            scope: PhantomData,
        }
    }
}

/// What all handles have is [`JoinHandle`]'s.
macro_rules! as_join_handle {
    ($handle:ident $(, $lifetime:lifetime)?) => {
        impl<T> $handle<$($lifetime,)? T> {
            /// As [`JoinHandle::thread`].
            #[must_use]
            pub fn thread(&self) -> &Thread {
                self.handle.thread()
            }

            /// As [`JoinHandle::id`].
            #[must_use]
            pub fn id(&self) -> ThreadId {
                self.handle.id()
            }

            /// As [`JoinHandle::name`].
            #[must_use]
            pub fn name(&self) -> Option<&str> {
                self.handle.name()
            }

            /// As [`JoinHandle::join`].
            ///
            /// # Errors
            ///
            /// As [`JoinHandle::join`].
            pub fn join(self) -> Result<T> {
                self.handle.join()
            }

            /// As [`JoinHandle::try_join`].
            ///
            /// # Errors
            ///
            /// As [`JoinHandle::try_join`].
            pub fn try_join(self) -> std::result::Result<Result<T>, Self> {
                let Self { handle, .. } = self;
                handle.try_join().map_err(Self::wrap)
            }

            /// As [`JoinHandle::join_timeout`].
            ///
            /// # Errors
            ///
            /// As [`JoinHandle::join_timeout`].
            pub fn join_timeout(self, duration: Duration) -> std::result::Result<Result<T>, Self> {
                let Self { handle, .. } = self;
                handle.join_timeout(duration).map_err(Self::wrap)
            }

            /// As [`JoinHandle::is_finished`].
            #[must_use]
            pub fn is_finished(&self) -> bool {
                self.handle.is_finished()
            }

            /// As [`JoinHandle::state`].
            #[must_use]
            pub fn state(&self) -> State {
                self.handle.state()
            }

            /// As [`JoinHandle::cancel`].
            pub fn cancel(&self) {
                self.handle.cancel();
            }

            fn wrap(handle: JoinHandle<T>) -> Self {
                Self::new(handle.0)
            }
        }

        impl<T> fmt::Debug for $handle<$($lifetime,)? T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($handle)).finish_non_exhaustive()
            }
        }
    };
}

as_join_handle!(LocalJoinHandle);
as_join_handle!(ScopedJoinHandle, '_);

/// A handle whose thread's end can be waited for: each that is [`Joinable`], and a nursery's
/// [`NurseryHandle`](crate::task::NurseryHandle).
///
/// What waits for many threads without taking their results, such as [`task::wait`](crate::task::wait()), takes
/// handles of one of these kinds. It cannot be implemented for others.
pub trait Watchable: sealed::Sealed {}

/// A handle that can be joined: [`JoinHandle`], [`ScopedJoinHandle`] or [`LocalJoinHandle`].
///
/// What waits for many threads and takes their results, such as [`task::gather`](crate::task::gather), takes handles
/// of one of these kinds. It cannot be implemented for others.
pub trait Joinable: Watchable + sealed::Sealed<Value = Self::Output> {
    /// What the thread returns.
    type Output;
}

pub(crate) mod sealed {
    use super::JoinHandle;

    /// Only this crate can make one, and so only it can call what takes one.
    pub struct Token(());

    impl Token {
        pub(crate) const NEW: Token = Token(());
    }

    pub trait Sealed: Sized {
        /// What is stored as the thread's result.
        type Value;
        fn handle(&self, token: Token) -> &JoinHandle<Self::Value>;
        fn into_handle(self, token: Token) -> JoinHandle<Self::Value>;
    }
}

impl<T> Watchable for JoinHandle<T> {}

impl<T> Joinable for JoinHandle<T> {
    type Output = T;
}

/// The end of a thread, which a select waits for.
#[doc(hidden)]
pub struct Ended<'handle, T>(&'handle Join<T>);

impl<'handle: 'queue, 'queue, T> Case<'queue> for Ended<'handle, T> {
    fn enter(&self, stand: &Stand<'_, 'queue>) -> bool {
        self.0.enter(stand)
    }

    fn accept(&self, _: Signal) {}

    /// All that wait are told.
    fn pass_on(&self, _: Signal) {}
}

impl<'queue, T> select::Operation<'queue> for Ended<'queue, T> {
    type Output = ();

    fn finish(self) {}
}

impl<T> select::sealed::Sealed for JoinHandle<T> {}

impl<T> select::Await for JoinHandle<T> {
    type Output<'queue>
        = ()
    where
        Self: 'queue;
    type Operation<'queue>
        = Ended<'queue, T>
    where
        Self: 'queue;

    fn to_wait(&self) -> Ended<'_, T> {
        Ended(&self.0)
    }
}

impl<T> sealed::Sealed for JoinHandle<T> {
    type Value = T;

    fn handle(&self, _: sealed::Token) -> &JoinHandle<T> {
        self
    }

    fn into_handle(self, _: sealed::Token) -> JoinHandle<T> {
        self
    }
}

macro_rules! joinable {
    ($handle:ident $(, $lifetime:lifetime)?) => {
        impl<T> Watchable for $handle<$($lifetime,)? T> {}

        impl<T> Joinable for $handle<$($lifetime,)? T> {
            type Output = T;
        }

        impl<T> select::sealed::Sealed for $handle<$($lifetime,)? T> {}

        impl<T> select::Await for $handle<$($lifetime,)? T> {
            type Output<'queue>
                = ()
            where
                Self: 'queue;
            type Operation<'queue>
                = Ended<'queue, T>
            where
                Self: 'queue;

            fn to_wait(&self) -> Ended<'_, T> {
                self.handle.to_wait()
            }
        }

        impl<T> sealed::Sealed for $handle<$($lifetime,)? T> {
            type Value = T;

            fn handle(&self, _: sealed::Token) -> &JoinHandle<T> {
                &self.handle
            }

            fn into_handle(self, _: sealed::Token) -> JoinHandle<T> {
                self.handle
            }
        }
    };
}

joinable!(LocalJoinHandle);
joinable!(ScopedJoinHandle, '_);
