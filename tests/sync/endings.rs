//! What is closed, dropped or given too often: each is an error, std's or a clear one; nobody hangs; and a value that
//! cannot be delivered comes back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use sylvan::sync::mpsc::{
    RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError, channel, sync_channel,
};
use sylvan::sync::{Arc, Once, Semaphore, WaitGroup, promise};
use sylvan::thread;

use crate::crew::{Crew, LONG, everywhere, settle};

/// What happens, and what comes of it.
type Ending = fn(&Crew);

const ENDINGS: &[(&str, Ending)] = &[
    ("the last sender goes while one receives", |crew| {
        for places in [None, Some(0), Some(1)] {
            let (unbounded, receiver) = channel::<u8>();
            let (bounded, other) = sync_channel(places.unwrap_or(0));
            let receiver = if places.is_some() { other } else { receiver };
            let waits = crew.spawn(move || {
                (
                    receiver.recv(),
                    receiver.recv_timeout(LONG),
                    receiver.try_recv(),
                )
            });
            settle();
            drop(unbounded);
            drop((bounded.clone(), bounded));
            let (waited, timed, tried) = waits.join();
            assert_eq!(waited, Err(RecvError));
            assert_eq!(timed, Err(RecvTimeoutError::Disconnected));
            assert_eq!(tried, Err(TryRecvError::Disconnected));
        }
    }),
    ("the last sender goes, and messages are left", |_| {
        let (sender, receiver) = sync_channel(2);
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        drop(sender);
        assert_eq!(receiver.recv(), Ok(1));
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Ok(2));
        assert_eq!(receiver.recv(), Err(RecvError));
    }),
    ("the receiver goes while one sends", |crew| {
        for places in [0, 1] {
            let (sender, receiver) = sync_channel(places);
            for number in 0..places {
                sender.send(number.to_string()).unwrap();
            }
            let theirs = sender.clone();
            let waits = crew.spawn(move || theirs.send("back".to_owned()));
            settle();
            drop(receiver);
            assert_eq!(waits.join(), Err(SendError("back".to_owned())));
            let again = sender.try_send("again".to_owned());
            assert_eq!(again, Err(TrySendError::Disconnected("again".to_owned())));
        }
    }),
    ("one sends when the receiver has gone", |_| {
        let (sender, receiver) = channel();
        sender.send("lost".to_owned()).unwrap();
        drop(receiver);
        let sent = sender.send("back".to_owned());
        assert_eq!(sent.unwrap_err().0, "back");
    }),
    ("one sends into what is full, and then closed", |_| {
        let (sender, receiver) = sync_channel(1);
        sender.send(1).unwrap();
        assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
        drop(receiver);
        assert_eq!(sender.try_send(3), Err(TrySendError::Disconnected(3)));
        assert_eq!(sender.send(4), Err(SendError(4)));
    }),
    ("the receiver goes, and what was sent is dropped", |_| {
        let (sender, receiver) = channel();
        let value = Arc::new(());
        sender.send(value.clone()).unwrap();
        drop(receiver);
        assert_eq!(Arc::strong_count(&value), 1);
        drop(sender.send(value.clone()));
        assert_eq!(Arc::strong_count(&value), 1);
    }),
    ("a bounded semaphore is released too often", |_| {
        let semaphore = Semaphore::bounded(1);
        assert!(semaphore.try_release(1).is_err());
        catch_unwind(AssertUnwindSafe(|| semaphore.release(1))).unwrap_err();
        assert_eq!(semaphore.available(), 1);
    }),
    ("a semaphore is released beyond all number", |_| {
        let semaphore = Semaphore::new(1);
        assert!(semaphore.try_release(usize::MAX).is_err());
        assert!(semaphore.try_release(Semaphore::MAX_PERMITS).is_err());
        assert_eq!(semaphore.available(), 1);
    }),
    ("more permits are wanted than there can be", |_| {
        let semaphore = Semaphore::bounded(1);
        catch_unwind(AssertUnwindSafe(|| drop(semaphore.acquire_many(2)))).unwrap_err();
        catch_unwind(AssertUnwindSafe(|| {
            drop(semaphore.acquire_many_timeout(2, LONG));
        }))
        .unwrap_err();
        assert!(semaphore.try_acquire_many(2).is_none());
    }),
    ("a resolver goes while one waits", |crew| {
        let (resolver, promise) = promise::<u8>();
        let waits = crew.spawn(move || promise.get().copied());
        settle();
        drop(resolver);
        assert!(waits.join().unwrap_err().is_broken());
    }),
    ("the readers of a promise have gone", |_| {
        let (resolver, promise) = promise();
        drop(promise);
        let value = Arc::new(());
        resolver.set(value.clone());
        assert_eq!(Arc::strong_count(&value), 1);
    }),
    ("an initialiser panics while one waits", |crew| {
        let once = Arc::new(Once::new());
        let theirs = once.clone();
        let fails = crew.spawn(move || {
            theirs.call_once(|| {
                thread::yield_now();
                std::panic::resume_unwind(Box::new(()));
            });
        });
        let waits = crew.spawn(move || once.wait());
        fails.try_join().unwrap_err();
        waits.try_join().unwrap_err();
    }),
    ("all others leave a group at once", |crew| {
        let group = WaitGroup::new();
        let theirs = group.clone();
        let waits = crew.spawn(move || theirs.wait());
        group.wait();
        waits.join();
    }),
];

#[test]
fn each_ends_in_an_error_and_gives_back_what_it_has() {
    for (what, ending) in ENDINGS {
        everywhere(|crew| {
            println!("{what}");
            ending(crew);
        });
    }
}
