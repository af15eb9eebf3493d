//! The auto traits are std's, whatever is inside. Checked by the compiler.

use std::cell::Cell;
use std::error::Error;
use std::marker::{PhantomData, PhantomPinned};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::sync::Arc;

/// Whether a type implements a trait, as a constant: an inherent constant hides that of a trait.
macro_rules! implements {
    ($type:ty: $bound:path) => {{
        struct Probe<T: ?Sized>(PhantomData<T>);
        #[allow(dead_code)]
        trait Otherwise {
            const ANSWER: bool = false;
        }
        impl<T: ?Sized> Otherwise for Probe<T> {}
        #[allow(dead_code)]
        impl<T: ?Sized + $bound> Probe<T> {
            const ANSWER: bool = true;
        }
        <Probe<$type>>::ANSWER
    }};
}

macro_rules! same_for {
    ($ours:ty, $theirs:ty: $($bound:path),+) => {
        $(const _: () = assert!(implements!($ours: $bound) == implements!($theirs: $bound));)+
    };
    ($ours:ty, $theirs:ty) => {
        same_for!($ours, $theirs: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    };
}

/// The same for each of these types, whatever of these is inside.
macro_rules! same {
    ($name:ident<$inner:ty>) => {
        same_for!(ours::$name<$inner>, theirs::$name<$inner>);
    };
    ($($name:ident),+) => {
        $(
            same!($name<u8>);
            same!($name<Cell<u8>>);
            same!($name<Rc<u8>>);
            same!($name<std::sync::MutexGuard<'static, u8>>);
            same!($name<*mut u8>);
            same!($name<PhantomPinned>);
            same!($name<&'static mut u8>);
            same!($name<Box<dyn Error + Send>>);
        )+
    };
}

mod ours {
    pub use sylvan::sync::{mpsc::*, *};
    pub type Guard<T> = MutexGuard<'static, T>;
    pub type ReadGuard<T> = RwLockReadGuard<'static, T>;
    pub type WriteGuard<T> = RwLockWriteGuard<'static, T>;
    pub type LazyFn<F> = LazyLock<u8, F>;
    pub type IterOf<T> = Iter<'static, T>;
    pub type TryIterOf<T> = TryIter<'static, T>;
    pub type PromiseOfOne<T> = Resolver<T>;
}

mod theirs {
    pub use std::sync::{mpsc::*, *};
    pub type Guard<T> = MutexGuard<'static, T>;
    pub type ReadGuard<T> = RwLockReadGuard<'static, T>;
    pub type WriteGuard<T> = RwLockWriteGuard<'static, T>;
    pub type LazyFn<F> = LazyLock<u8, F>;
    pub type IterOf<T> = Iter<'static, T>;
    pub type TryIterOf<T> = TryIter<'static, T>;
    pub type Promise<T> = Arc<OnceLock<T>>;
    pub type PromiseOfOne<T> = Arc<OnceLock<T>>;
}

same!(Mutex, Guard, RwLock, ReadGuard, WriteGuard);
same!(OnceLock, LazyLock, LazyFn);
same!(Sender, SyncSender, Receiver, IterOf, TryIterOf, IntoIter);

same_for!(ours::Condvar, theirs::Condvar);
same_for!(ours::Barrier, theirs::Barrier);
same_for!(ours::BarrierWaitResult, theirs::BarrierWaitResult);
same_for!(ours::Once, theirs::Once);
same_for!(ours::OnceState, theirs::OnceState);
same_for!(ours::WaitTimeoutResult, theirs::WaitTimeoutResult);

// What std has not: as its types of the same kind. A permit may be given back by any thread.
same_for!(ours::Semaphore, theirs::Condvar);
same_for!(ours::SemaphorePermit<'static>, &'static theirs::Condvar);
same_for!(ours::OwnedSemaphorePermit, Arc<theirs::Condvar>);
same_for!(ours::Event, theirs::Condvar);
same_for!(ours::WaitGroup, Arc<theirs::Condvar>);
// One that is shared, and is written once.
same!(Promise, PromiseOfOne);
same_for!(ours::PromiseError, Arc<dyn Error + Send + Sync>);
// std's `ReentrantLock` is not stable. It says of itself what is said here.
macro_rules! reentrant {
    ($($inner:ty),+) => {
        $(
            const _: () = assert!(
                implements!(ours::ReentrantMutex<$inner>: Send) == implements!($inner: Send)
                    && implements!(ours::ReentrantMutex<$inner>: Sync) == implements!($inner: Send)
                    && implements!(ours::ReentrantMutex<$inner>: Unpin) == implements!($inner: Unpin)
                    && implements!(ours::ReentrantMutex<$inner>: UnwindSafe) == implements!($inner: UnwindSafe)
                    && implements!(ours::ReentrantMutex<$inner>: RefUnwindSafe) == implements!($inner: RefUnwindSafe)
                    && !implements!(ours::ReentrantMutexGuard<'static, $inner>: Send)
                    && implements!(ours::ReentrantMutexGuard<'static, $inner>: Sync) == implements!($inner: Sync)
            );
        )+
    };
}
reentrant!(
    u8,
    Cell<u8>,
    Rc<u8>,
    std::sync::MutexGuard<'static, u8>,
    PhantomPinned
);
