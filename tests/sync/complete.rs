//! Nothing of std's is missing: the same lines, which call every stable method and trait implementation, are compiled
//! with std's types and with ours, and say the same.
//!
//! To bring it up to date with a new std: go through the pages of `std::sync` in the toolchain's documentation
//! (`rustup doc std::sync`), type by type. What is newer than the `rust-version` in Cargo.toml stands at the end, for ours.

use std::fmt::Debug;

/// What each line says, for one of the two.
macro_rules! says {
    ($name:ident: $($sync:tt)+) => {
        mod $name {
            use std::collections::HashSet;
            use std::error::Error;
            use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
            use std::time::Duration;

            use $($sync)+::mpsc::{
                self, IntoIter, Iter, Receiver, RecvError, RecvTimeoutError, SendError, Sender, SyncSender,
                TryIter, TryRecvError, TrySendError, channel, sync_channel,
            };
            use $($sync)+::atomic::AtomicUsize;
            use $($sync)+::{
                Arc, Barrier, BarrierWaitResult, Condvar, LazyLock, LockResult, Mutex, MutexGuard, Once,
                OnceLock, OnceState, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError,
                TryLockResult, WaitTimeoutResult, Weak,
            };

            use super::{Words, error_words};

            const SHORT: Duration = Duration::from_millis(1);

            fn poison(f: impl FnOnce()) {
                assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
            }

            pub fn locks(words: &mut Words) {
                static MUTEX: Mutex<u8> = Mutex::new(1);
                let mut mutex: Mutex<u8> = Mutex::from(2);
                let guard: LockResult<MutexGuard<'_, u8>> = MUTEX.lock();
                let mut guard = guard.unwrap();
                *guard += *mutex.get_mut().unwrap();
                words.add((&guard, guard.to_string(), &MUTEX));
                let busy: TryLockResult<MutexGuard<'_, u8>> = MUTEX.try_lock();
                words.add(&busy);
                error_words(words, &busy.unwrap_err());
                drop(guard);
                words.add((&MUTEX, Mutex::<u8>::default(), MUTEX.is_poisoned()));
                let is_dyn: &Mutex<dyn std::any::Any> = &Mutex::new(5_u8);
                words.add(is_dyn.lock().unwrap().downcast_ref::<u8>());
                poison(|| {
                    let _guard = mutex.lock();
                    resume_unwind(Box::new(()));
                });
                words.add((mutex.is_poisoned(), &mutex));
                words.add(mutex.get_mut().map_err(|error| *error.into_inner()));
                let mut poisoned: PoisonError<MutexGuard<'_, u8>> = mutex.lock().unwrap_err();
                **poisoned.get_mut() += 1;
                words.add((**poisoned.get_ref(), &poisoned));
                error_words(words, &poisoned);
                let again: TryLockError<_> = poisoned.into();
                error_words(words, &again);
                drop(again);
                mutex.clear_poison();
                words.add(mutex.into_inner().unwrap());
                words.add(PoisonError::new(5).into_inner());

                static SHARED: RwLock<u8> = RwLock::new(1);
                let mut shared: RwLock<u8> = RwLock::from(2);
                *shared.get_mut().unwrap() += 1;
                {
                    let reader: RwLockReadGuard<'_, u8> = SHARED.read().unwrap();
                    words.add((&reader, reader.to_string(), *SHARED.try_read().unwrap(), &SHARED));
                    words.add(SHARED.try_write().map(drop));
                }
                {
                    let mut writer: RwLockWriteGuard<'_, u8> = SHARED.write().unwrap();
                    *writer += 1;
                    words.add((&writer, writer.to_string(), &SHARED));
                    words.add(SHARED.try_read().map(drop));
                }
                *SHARED.try_write().unwrap() += 1;
                words.add((&SHARED, RwLock::<u8>::default()));
                poison(|| {
                    let _guard = shared.write();
                    resume_unwind(Box::new(()));
                });
                words.add((shared.is_poisoned(), &shared, shared.read().is_err()));
                shared.clear_poison();
                words.add(shared.into_inner().unwrap());
            }

            #[allow(deprecated)]
            pub fn conditions(words: &mut Words) {
                static CONDVAR: Condvar = Condvar::new();
                let mutex = Mutex::new(0);
                CONDVAR.notify_one();
                CONDVAR.notify_all();
                let guard = CONDVAR.wait_while(mutex.lock().unwrap(), |count| *count > 0).unwrap();
                let (guard, result): (_, WaitTimeoutResult) = CONDVAR.wait_timeout(guard, SHORT).unwrap();
                words.add((result, result.clone() == result, result.timed_out()));
                let (guard, notified) = CONDVAR.wait_timeout_ms(guard, 1).unwrap();
                words.add(notified);
                let (guard, result) = CONDVAR.wait_timeout_while(guard, SHORT, |count| *count == 0).unwrap();
                words.add((result.timed_out(), *guard, Condvar::default()));
                let _wait = Condvar::wait::<u8>;

                static BARRIER: Barrier = Barrier::new(1);
                let result: BarrierWaitResult = BARRIER.wait();
                words.add((&BARRIER, result.is_leader(), &result));
            }

            #[allow(deprecated)]
            pub fn initialisers(words: &mut Words) {
                static ONCE: Once = Once::new();
                let first: Once = $($sync)+::ONCE_INIT;
                poison(|| ONCE.call_once(|| resume_unwind(Box::new(()))));
                poison(|| ONCE.call_once(|| ()));
                poison(|| ONCE.wait());
                ONCE.call_once_force(|state: &OnceState| words.add((state, state.is_poisoned())));
                ONCE.call_once(|| unreachable!());
                ONCE.wait();
                ONCE.wait_force();
                words.add((&ONCE, ONCE.is_completed(), first.is_completed()));

                static CELL: OnceLock<u8> = OnceLock::new();
                words.add((CELL.get(), &CELL));
                words.add((CELL.set(1), CELL.set(2), CELL.get_or_init(|| 3), CELL.wait(), &CELL));
                let mut cell = OnceLock::from(4);
                *cell.get_mut().unwrap() += 1;
                words.add((cell.clone() == cell, CELL.clone() == cell, cell.take(), cell.take()));
                words.add((OnceLock::<u8>::default().into_inner(), OnceLock::from(1).into_inner()));
                poison(|| {
                    cell.get_or_init(|| resume_unwind(Box::new(())));
                });
                words.add(cell.get_or_init(|| 6));

                static LAZY: LazyLock<u8> = LazyLock::new(|| 1);
                words.add((&LAZY, LazyLock::force(&LAZY), *LAZY, &LAZY, LazyLock::<u8>::default()));
                let failing: LazyLock<u8, _> = LazyLock::new(|| resume_unwind(Box::new(())));
                poison(|| {
                    LazyLock::force(&failing);
                });
                words.add(&failing);

                let strong: Arc<AtomicUsize> = Arc::default();
                let weak: Weak<AtomicUsize> = Arc::downgrade(&strong);
                words.add((strong, weak.upgrade()));
            }

            pub fn channels(words: &mut Words) {
                let (sender, receiver): (Sender<u8>, Receiver<u8>) = channel();
                words.add((&sender, &receiver, receiver.try_recv(), receiver.recv_timeout(SHORT)));
                for number in 0..6 {
                    sender.clone().send(number).unwrap();
                }
                words.add((receiver.recv(), receiver.try_recv(), receiver.recv_timeout(SHORT)));
                let mut iter: Iter<'_, u8> = receiver.iter();
                words.add(iter.next());
                words.add(iter);
                words.add((&receiver).into_iter().next());
                let mut iter: TryIter<'_, u8> = receiver.try_iter();
                words.add((iter.next(), iter.next()));
                words.add(iter);
                sender.send(7).unwrap();
                drop(sender);
                let mut iter: IntoIter<u8> = receiver.into_iter();
                words.add((iter.next(), iter.next()));
                words.add(iter);

                let (sender, receiver): (SyncSender<u8>, Receiver<u8>) = sync_channel(1);
                words.add((&sender, sender.send(1), sender.clone().try_send(2)));
                drop(receiver);
                words.add((sender.send(3), sender.try_send(4)));
                let (sender, receiver) = sync_channel::<u8>(0);
                words.add(sender.try_send(5));
                drop(sender);
                words.add((receiver.recv(), receiver.try_recv(), receiver.recv_timeout(SHORT)));
                let (sender, receiver) = mpsc::channel::<u8>();
                drop(receiver);
                words.add(sender.send(6));

                let lost = SendError(1);
                error_words(words, &lost);
                words.add((lost.clone() == lost, lost.0));
                let full: TrySendError<u8> = TrySendError::Full(1);
                words.add((full.clone() == lost.into(), TrySendError::Disconnected(1) == lost.into()));
                error_words(words, &full);
                let errors: [Box<dyn Error>; 6] = [
                    Box::new(TrySendError::Disconnected(1)),
                    Box::new(RecvError),
                    Box::new(TryRecvError::Empty),
                    Box::new(TryRecvError::from(RecvError)),
                    Box::new(RecvTimeoutError::Timeout),
                    Box::new(RecvTimeoutError::from(RecvError)),
                ];
                for error in &errors {
                    error_words(words, &**error);
                }
                words.add((RecvError == RecvError.clone(), HashSet::<u8>::new()));
            }
        }
    };
}

says!(theirs: std::sync);
says!(ours: sylvan::sync);

#[derive(Default)]
pub struct Words(Vec<String>);

impl Words {
    fn add(&mut self, said: impl Debug) {
        self.0.push(format!("{said:?}"));
    }
}

impl Words {
    /// In some versions of std a locked mutex says so in quotes.
    fn unquoted(&self) -> Vec<String> {
        let unquoted = |word: &String| word.replace("\"<locked>\"", "<locked>");
        self.0.iter().map(unquoted).collect()
    }
}

fn error_words(words: &mut Words, error: &dyn std::error::Error) {
    words.add((error, error.to_string(), error.source().is_some()));
}

#[test]
fn all_that_std_has_is_there_and_says_the_same() {
    type Says = fn(&mut Words);
    let both: [(Says, Says); 4] = [
        (theirs::locks, ours::locks),
        (theirs::conditions, ours::conditions),
        (theirs::initialisers, ours::initialisers),
        (theirs::channels, ours::channels),
    ];
    for (theirs, ours) in both {
        let (mut expected, mut said) = (Words::default(), Words::default());
        theirs(&mut expected);
        ours(&mut said);
        assert_eq!(said.unquoted(), expected.unquoted());
    }
}

/// What is newer than the oldest toolchain that is supported.
#[test]
fn what_newer_stds_have_is_there() {
    use sylvan::sync::{LazyLock, RwLock, RwLockReadGuard, RwLockWriteGuard};

    // 1.92
    let lock = RwLock::new(1);
    let reader: RwLockReadGuard<'_, u8> = RwLockWriteGuard::downgrade(lock.write().unwrap());
    assert_eq!(*reader, 1);
    // 1.94
    let mut lazy = LazyLock::new(|| 1);
    assert_eq!(LazyLock::get(&lazy), None);
    assert_eq!(LazyLock::get_mut(&mut lazy), None);
    *LazyLock::force_mut(&mut lazy) += 1;
    assert_eq!(LazyLock::get(&lazy), Some(&2));
    assert_eq!(*lazy, 2);
}
