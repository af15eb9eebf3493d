//! Channels of all three kinds.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use sylvan::sync::Arc;
use sylvan::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use sylvan::sync::mpsc::{
    Receiver, RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError, channel,
    sync_channel,
};
use sylvan::{thread, time};

use crate::crew::{
    LONG, Member, everywhere, four_hubs_and_two_plain, on_hubs, scaled, settle, until,
};

const SHORT: Duration = Duration::from_millis(2);

/// Counts its own end, and suspends in it.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        thread::yield_now();
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn messages_arrive_in_their_order() {
    everywhere(|crew| {
        let (sender, receiver) = channel();
        let task = crew.spawn(move || (0..scaled(1000)).try_for_each(|n| sender.send(n)));
        assert!(receiver.iter().eq(0..scaled(1000)));
        assert_eq!(task.join(), Ok(()));
        for bound in [0, 1, 7] {
            let (sender, receiver) = sync_channel(bound);
            let task = crew.spawn(move || (0..scaled(300)).try_for_each(|n| sender.send(n)));
            assert!(receiver.iter().eq(0..scaled(300)), "bound {bound}");
            assert_eq!(task.join(), Ok(()));
        }
    });
}

#[test]
fn what_was_sent_before_the_last_sender_went_arrives() {
    everywhere(|_| {
        let (sender, receiver) = channel();
        sender.clone().send(1).unwrap();
        sender.send(2).unwrap();
        drop(sender);
        assert_eq!(receiver.recv(), Ok(1));
        assert_eq!(receiver.try_recv(), Ok(2));
        assert_eq!(receiver.recv(), Err(RecvError));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        let none = receiver.recv_timeout(LONG);
        assert_eq!(none, Err(RecvTimeoutError::Disconnected));
    });
}

#[test]
fn the_last_sender_wakes_the_receiver() {
    everywhere(|crew| {
        let (sender, receiver) = channel::<()>();
        let (bounded, rendezvous) = sync_channel::<()>(0);
        let waiting = crew.spawn(move || (receiver.recv(), rendezvous.recv()));
        let others = sender.clone();
        thread::yield_now();
        drop((sender, bounded.clone()));
        thread::yield_now();
        drop((others, bounded));
        assert_eq!(waiting.join(), (Err(RecvError), Err(RecvError)));
    });
}

#[test]
fn a_message_without_a_receiver_comes_back() {
    everywhere(|_| {
        let (sender, receiver) = channel();
        drop(receiver);
        assert_eq!(sender.send(1), Err(SendError(1)));
        for bound in [0, 1] {
            let (sender, receiver) = sync_channel(bound);
            drop(receiver);
            assert_eq!(sender.send(1), Err(SendError(1)));
            assert_eq!(sender.try_send(1), Err(TrySendError::Disconnected(1)));
        }
    });
}

#[test]
fn senders_that_wait_get_their_messages_back_when_the_receiver_goes() {
    everywhere(|crew| {
        for bound in [0, 2] {
            let (sender, receiver) = sync_channel(bound);
            let sent = Arc::new(AtomicUsize::new(0));
            let senders: Vec<_> = (0..5)
                .map(|number| {
                    let (sender, sent) = (sender.clone(), sent.clone());
                    crew.spawn(move || {
                        sent.fetch_add(1, SeqCst);
                        sender.send(number)
                    })
                })
                .collect();
            until(|| sent.load(SeqCst) == 5);
            thread::sleep(SHORT); // so that most do wait; it is right either way
            drop(receiver);
            let ends: Vec<_> = senders.into_iter().map(Member::join).collect();
            let back = ends.iter().filter(|end| end.is_err()).count();
            assert!(back >= 5 - bound, "{ends:?}");
            for (number, end) in ends.into_iter().enumerate() {
                assert!(end.is_ok() || end == Err(SendError(number)));
            }
        }
    });
}

#[test]
fn a_full_channel_makes_its_senders_wait_in_their_order() {
    sylvan::run(|| {
        let (sender, receiver) = sync_channel(2);
        let senders: Vec<_> = (0..6)
            .map(|number| {
                let sender = sender.clone();
                thread::spawn(move || sender.send(number).unwrap())
            })
            .collect();
        settle();
        let done = |count| senders.iter().filter(|task| task.is_finished()).count() == count;
        assert!(done(2));
        assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
        assert_eq!(receiver.recv(), Ok(0));
        assert_eq!(
            sender.try_send(9),
            Err(TrySendError::Full(9)),
            "the place belongs to one that waits"
        );
        settle();
        assert!(done(3));
        assert!(receiver.iter().take(5).eq(1..6));
        settle();
        assert!(done(6));
        assert_eq!(sender.try_send(9), Ok(()));
    });
}

#[test]
fn a_rendezvous_ends_when_the_message_is_taken() {
    everywhere(|crew| {
        let (sender, receiver) = sync_channel(0);
        assert_eq!(sender.try_send(0), Err(TrySendError::Full(0)));
        let taken = Arc::new(AtomicUsize::new(0));
        let theirs = taken.clone();
        let task = crew.spawn(move || {
            for number in 1..=scaled(100) {
                sender.send(number).unwrap();
                assert!(
                    theirs.load(SeqCst) + 1 >= number,
                    "sent before it was taken"
                );
            }
        });
        for number in 1..=scaled(100) {
            if number % 3 == 0 {
                thread::yield_now();
            }
            assert_eq!(receiver.recv(), Ok(number));
            taken.store(number, SeqCst);
        }
        task.join();
    });
}

#[test]
fn a_rendezvous_takes_a_tried_message_only_if_the_receiver_waits() {
    sylvan::run(|| {
        let (sender, receiver) = sync_channel(0);
        let task = thread::spawn(move || (receiver.recv(), receiver));
        settle();
        assert_eq!(sender.try_send(1), Ok(()));
        assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
        let (received, receiver) = task.join().unwrap();
        assert_eq!(received, Ok(1));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn a_receiver_of_a_rendezvous_may_poll() {
    everywhere(|crew| {
        let (sender, receiver) = sync_channel(0);
        let task = crew.spawn(move || sender.send(7));
        let start = Instant::now();
        let received = loop {
            match receiver.try_recv() {
                Ok(message) => break message,
                Err(TryRecvError::Empty) => thread::yield_now(),
                Err(TryRecvError::Disconnected) => panic!("it went without sending"),
            }
            assert!(start.elapsed() < Duration::from_secs(30));
        };
        assert_eq!(received, 7);
        assert_eq!(task.join(), Ok(()));
    });
}

#[test]
fn receiving_times_out() {
    everywhere(|crew| {
        let (sender, receiver) = channel();
        let start = Instant::now();
        assert_eq!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        assert!(start.elapsed() >= SHORT);
        sender.send(1).unwrap();
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Ok(1));
        let task = crew.spawn(move || sender.send(2));
        assert_eq!(receiver.recv_timeout(Duration::MAX), Ok(2));
        assert_eq!(task.join(), Ok(()));
    });
}

#[test]
fn receiving_with_timeouts_loses_nothing() {
    everywhere(|crew| {
        for bound in [None, Some(0), Some(1)] {
            let count = scaled(200);
            let sender;
            let receiver;
            if let Some(bound) = bound {
                let ends = sync_channel(bound);
                sender = Box::new(move |n| ends.0.send(n).unwrap()) as Box<dyn Fn(_) + Send>;
                receiver = ends.1;
            } else {
                let ends = channel();
                sender = Box::new(move |n| ends.0.send(n).unwrap());
                receiver = ends.1;
            }
            let task = crew.spawn(move || {
                for number in 0..count {
                    if number % 16 == 0 {
                        thread::sleep(Duration::from_micros(200));
                    }
                    sender(number);
                }
            });
            let mut next = 0;
            loop {
                match receiver.recv_timeout(Duration::from_micros(100)) {
                    Ok(number) => {
                        assert_eq!(number, next);
                        next += 1;
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            assert_eq!(next, count);
            task.join();
        }
    });
}

#[test]
fn iterators_end_as_in_std() {
    sylvan::run(|| {
        let (sender, receiver) = channel();
        assert_eq!(receiver.try_iter().count(), 0);
        for number in 0..3 {
            sender.send(number).unwrap();
        }
        assert_eq!(receiver.try_iter().count(), 3);
        sender.send(3).unwrap();
        drop(sender);
        for number in &receiver {
            assert_eq!(number, 3);
        }
        assert_eq!(receiver.into_iter().next(), None);
    });
}

#[test]
fn debug_shows_what_std_shows() {
    let ours = (channel::<u8>(), sync_channel::<u8>(1));
    let stds = (
        std::sync::mpsc::channel::<u8>(),
        std::sync::mpsc::sync_channel::<u8>(1),
    );
    assert_eq!(format!("{ours:?}"), format!("{stds:?}"));
}

#[test]
fn each_message_is_dropped_once_whoever_goes_last() {
    everywhere(|crew| {
        for (sent, received) in [(0, 0), (5, 0), (5, 3), (5, 5)] {
            for receiver_first in [true, false] {
                let dropped = Arc::new(AtomicUsize::new(0));
                let (sender, receiver) = channel();
                for _ in 0..sent {
                    sender.send(Counted(dropped.clone())).unwrap();
                }
                assert_eq!(receiver.iter().take(received).count(), received);
                assert_eq!(dropped.load(SeqCst), received);
                let ends = if receiver_first {
                    drop(receiver);
                    assert!(sender.send(Counted(dropped.clone())).is_err());
                    crew.spawn(move || drop(sender))
                } else {
                    drop(sender);
                    crew.spawn(move || drop(receiver))
                };
                ends.join();
                assert_eq!(dropped.load(SeqCst), sent + usize::from(receiver_first));
            }
        }
    });
}

#[test]
fn a_message_may_own_its_own_channel() {
    struct Own(#[expect(dead_code)] Receiver<u8>, Arc<AtomicUsize>);
    impl Drop for Own {
        fn drop(&mut self) {
            self.1.fetch_add(1, SeqCst);
        }
    }
    sylvan::run(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = sync_channel(2);
        let (_inner, own) = channel();
        sender.send(Own(own, dropped.clone())).unwrap();
        drop(receiver);
        assert_eq!(dropped.load(SeqCst), 1);
    });
}

#[test]
fn an_unbounded_send_never_suspends_and_a_receive_lets_others_run() {
    sylvan::run(|| {
        let ran = Rc::new(Cell::new(false));
        let theirs = ran.clone();
        thread::spawn_local(move || theirs.set(true));
        let (sender, receiver) = channel();
        for number in 0..1000 {
            sender.send(number).unwrap();
        }
        for _ in 0..500 {
            receiver.try_recv().unwrap();
        }
        assert!(!ran.get(), "it has suspended");
        assert_eq!(receiver.iter().take(500).count(), 500);
        assert!(ran.get(), "receiving was not fair");
    });
}

#[test]
fn bounded_sends_let_others_run() {
    sylvan::run(|| {
        let ran = Rc::new(Cell::new(false));
        let theirs = ran.clone();
        thread::spawn_local(move || theirs.set(true));
        let (sender, receiver) = sync_channel(1000);
        for number in 0..500 {
            sender.try_send(number).unwrap();
        }
        assert!(!ran.get(), "try_send has suspended");
        for number in 0..500 {
            sender.send(number).unwrap();
        }
        assert!(ran.get(), "sending was not fair");
        drop(receiver);
    });
}

#[test]
fn a_cancelled_receiver_loses_no_message() {
    sylvan::run(|| {
        for bound in [0, 1] {
            let (sender, receiver) = sync_channel(bound);
            let waited = time::timeout(SHORT, || receiver.recv());
            assert!(waited.is_err());
            let task = thread::spawn(move || sender.send(1));
            settle();
            assert_eq!(receiver.recv(), Ok(1));
            assert_eq!(task.join().unwrap(), Ok(()));
        }
    });
}

#[test]
fn timeouts_that_race_with_sends_lose_no_message() {
    on_hubs(4, || {
        let count = scaled(2_000);
        for bound in [0, 1, 3] {
            let (sender, receiver) = sync_channel(bound);
            let task = thread::spawn(move || {
                for number in 0..count {
                    sender.send(number).unwrap();
                    if number % 3 == 0 {
                        thread::sleep(Duration::from_micros(20));
                    }
                }
            });
            let mut next = 0;
            while next < count {
                let received = time::timeout(Duration::from_micros(20), || receiver.recv());
                if let Ok(received) = received {
                    assert_eq!(received, Ok(next));
                    next += 1;
                }
            }
            assert_eq!(receiver.recv(), Err(RecvError));
            task.join().unwrap();
        }
    });
}

#[test]
fn the_place_of_a_cancelled_sender_goes_to_the_next() {
    sylvan::run(|| {
        for bound in [0, 1] {
            let (sender, receiver) = sync_channel(bound);
            let senders: Vec<_> = (0..4)
                .map(|number| {
                    let sender = sender.clone();
                    thread::spawn(move || sender.send(number).unwrap())
                })
                .collect();
            settle();
            senders[0].cancel();
            senders[2].cancel();
            settle();
            drop(sender);
            let received: Vec<_> = receiver.iter().collect();
            // With room for one the first had been sent before it was cancelled.
            let expected: &[_] = if bound == 0 { &[1, 3] } else { &[0, 1, 3] };
            assert_eq!(received, expected);
            drop(senders);
        }
    });
}

#[test]
fn cancels_that_race_with_receives_lose_no_place() {
    on_hubs(4, || {
        for bound in [0, 1, 2] {
            let (sender, receiver) = sync_channel(bound);
            let received = Arc::new(AtomicUsize::new(0));
            let theirs = received.clone();
            let task = thread::spawn(move || {
                for _ in &receiver {
                    theirs.fetch_add(1, SeqCst);
                }
            });
            let mut sent = 0;
            let mut unsure = 0;
            for round in 0..scaled(150) {
                let senders: Vec<_> = (0..6)
                    .map(|_| {
                        let sender = sender.clone();
                        thread::spawn(move || sender.send(()).unwrap())
                    })
                    .collect();
                for _ in 0..round % 5 {
                    thread::yield_now();
                }
                senders
                    .iter()
                    .step_by(2)
                    .for_each(thread::JoinHandle::cancel);
                for (number, sender) in senders.into_iter().enumerate() {
                    match sender.join() {
                        Ok(()) => sent += 1,
                        Err(_) => {
                            assert_eq!(number % 2, 0);
                            unsure += 1; // it may have been thrown out after the message was taken
                        }
                    }
                }
            }
            drop(sender);
            task.join().unwrap();
            let received = received.load(SeqCst);
            assert!(
                (sent..=sent + unsure).contains(&received),
                "{sent} {received}"
            );
            if bound > 0 {
                assert_eq!(received, sent);
            }
        }
    });
}

#[test]
fn stress_across_hubs_and_plain_threads() {
    four_hubs_and_two_plain(|crew| {
        for bound in [None, Some(0), Some(1), Some(10)] {
            let count = scaled(if bound.is_none() { 20_000 } else { 2_000 });
            let dropped = Arc::new(AtomicUsize::new(0));
            let (unbounded, all) = channel();
            let (bounded, some) = sync_channel(bound.unwrap_or(1));
            let members: Vec<_> = (0..6)
                .map(|member| {
                    let (unbounded, bounded) = (unbounded.clone(), bounded.clone());
                    let dropped = dropped.clone();
                    crew.spawn(move || {
                        for number in 0..count {
                            let message = (member, number, Counted(dropped.clone()));
                            if bound.is_some() {
                                bounded.send(message).unwrap();
                            } else {
                                unbounded.send(message).unwrap();
                            }
                        }
                    })
                })
                .collect();
            drop((unbounded, bounded));
            let receiver = if bound.is_some() { some } else { all };
            let mut next = [0; 6];
            for (member, number, _) in receiver {
                assert_eq!(number, next[member]);
                next[member] += 1;
            }
            assert_eq!(next, [count; 6]);
            members.into_iter().for_each(Member::join);
            assert_eq!(dropped.load(SeqCst), 6 * count);
        }
    });
}
