//! The auto traits are std's, whatever is inside. Checked by the compiler.

use std::cell::Cell;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;

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
}

mod theirs {
    pub use std::sync::{mpsc::*, *};
    pub type Guard<T> = MutexGuard<'static, T>;
    pub type ReadGuard<T> = RwLockReadGuard<'static, T>;
    pub type WriteGuard<T> = RwLockWriteGuard<'static, T>;
    pub type LazyFn<F> = LazyLock<u8, F>;
    pub type IterOf<T> = Iter<'static, T>;
    pub type TryIterOf<T> = TryIter<'static, T>;
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
