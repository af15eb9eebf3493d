//! `sync::select`: its syntax, what it does of what can be done, what it leaves behind, and that nothing is lost or doubled.

mod support;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use support::{AGES, HOUR, Numbers, must_end, scaled};
use sylvan::runtime::Runtime;
use sylvan::select;
use sylvan::sync::mpsc::{
    Receiver, RecvError, SendError, Sender, SyncSender, TryRecvError, TrySendError, channel,
    sync_channel,
};
use sylvan::sync::select::{Select, after, at};
use sylvan::sync::{Event, Semaphore, SemaphorePermit, promise};
use sylvan::task::{self, Reason, State};
use sylvan::thread;
use sylvan::time::{Instant, timeout};

// ── The syntax

#[test]
fn receiving() {
    let (sender, receiver) = channel();
    sender.send(1).unwrap();
    let (_other, others) = channel::<String>();
    let got = select! {
        recv(receiver) -> number => number,
        recv(others) -> text => panic!("{text:?}"),
    };
    assert_eq!(got, Ok(1));
    drop(sender);
    select! {
        recv(receiver) -> end => assert_eq!(end, Err(RecvError)),
        recv(&others) -> _ => unreachable!(),
    }
}

#[test]
fn sending() {
    let (unbounded, first) = channel();
    let (bounded, second) = sync_channel(1);
    select! { send(unbounded, 1) -> sent => assert_eq!(sent, Ok(())) }
    select! { send(bounded, 2) -> sent => assert_eq!(sent, Ok(())) }
    assert_eq!((first.recv(), second.recv()), (Ok(1), Ok(2)));
    drop((first, second));
    select! { send(unbounded, 3) -> sent => assert_eq!(sent, Err(SendError(3))) }
    select! { send(bounded, 4) -> sent => assert_eq!(sent, Err(SendError(4))) }
}

#[test]
fn a_default() {
    let (sender, receiver) = sync_channel::<i32>(0);
    let poll = || {
        select! {
            default => "nothing",
            recv(receiver) -> _ => "a message",
            send(sender, 1) -> _ => "sent",
        }
    };
    // It does not serve itself.
    assert_eq!(poll(), "nothing");
    let also = select! { default() => 1 };
    let last = select! {
        recv(receiver) -> _ => 0,
        default => 2
    };
    assert_eq!((also, last), (1, 2));
}

#[test]
fn a_default_after_a_time() {
    let (_sender, receiver) = channel::<i32>();
    let start = Instant::now();
    let time = Duration::from_millis(3);
    let got = select! {
        recv(receiver) -> message => Some(message),
        default(time) => None,
    };
    assert_eq!(got, None);
    assert!(start.elapsed() >= time);
    let (sender, receiver) = channel();
    sender.send(()).unwrap();
    select! {
        default(HOUR) => panic!("there is a message"),
        recv(receiver) -> message => message.unwrap(),
    }
}

#[test]
fn bodies_of_all_kinds() {
    let (sender, receiver) = channel::<i32>();
    for _ in 0..4 {
        sender.send(5).unwrap();
    }
    let block = select! {
        recv(receiver) -> message => { let message = message.unwrap(); message + 1 }
        default => { 0 }
    };
    let comma = select! {
        recv(receiver) -> message => { message.unwrap() },
        default => 0,
    };
    let also = || 0;
    let chained = select! {
        recv(receiver) -> message => if let Ok(1..) = message { 5 } else { 0 },
        default => { also() }.max(1),
    };
    let unnamed = select! { recv(receiver) => 7 };
    assert_eq!((block, comma, chained, unnamed), (6, 5, 5, 7));
}

#[test]
fn patterns() {
    let (sender, receiver) = channel();
    sender.send((1, "one")).unwrap();
    select! {
        recv(receiver) -> mut message => {
            if let Ok((number, _)) = &mut message {
                *number += 1;
            }
            assert_eq!(message, Ok((2, "one")));
        }
    }
    let semaphore = Semaphore::new(1);
    select! { acquire(semaphore) -> SemaphorePermit { .. } => {} }
    assert_eq!(semaphore.available(), 1);
}

/// Each ends what is around the select, not something in the macro.
#[test]
fn control_flow_in_bodies() {
    fn first(receiver: &Receiver<i32>) -> Result<i32, RecvError> {
        loop {
            let message = select! {
                recv(receiver) -> message => message?,
                default => return Ok(-1),
            };
            if message == 0 {
                continue;
            }
            select! { default => break Ok(message) }
        }
    }
    let (sender, receiver) = channel();
    assert_eq!(first(&receiver), Ok(-1));
    sender.send(0).unwrap();
    sender.send(9).unwrap();
    assert_eq!(first(&receiver), Ok(9));
    drop(sender);
    assert_eq!(first(&receiver), Err(RecvError));
}

#[test]
fn operands_of_all_kinds() {
    struct Ends {
        sender: Sender<i32>,
        receivers: Vec<Receiver<i32>>,
    }
    let (sender, receiver) = channel();
    let ends = Rc::new(Ends {
        sender,
        receivers: vec![receiver],
    });
    for expected in [1, 2, 3] {
        select! { send(ends.sender, expected) -> sent => sent.unwrap() }
        let receivers = &ends.receivers;
        let boxed: Box<&Receiver<i32>> = Box::new(&receivers[0]);
        let got = match expected {
            1 => select! { recv(ends.receivers[0]) -> message => message },
            2 => select! { recv(receivers.first().unwrap()) -> message => message },
            _ => select! { recv(boxed) -> message => message },
        };
        assert_eq!(got, Ok(expected));
    }
    // A temporary lasts as long as the wait.
    let (sender, receiver) = channel();
    let sender = std::cell::RefCell::new(sender);
    select! { send(sender.borrow(), 3) -> sent => sent.unwrap() }
    assert_eq!(receiver.recv(), Ok(3));
    let sender = sender.into_inner();
    sender.send(4).unwrap();
    let mut once = Some(receiver);
    select! { recv(once.take().unwrap()) -> message => assert_eq!(message, Ok(4)) }
}

/// The operands are not borrowed any more, and each body may use up what the others use as well.
#[test]
fn bodies_may_use_up_what_was_waited_for() {
    let (sender, receiver) = sync_channel(1);
    let text = String::from("moved");
    let (left, text) = select! {
        send(sender, ()) -> _ => { drop(sender); (receiver, text) }
        recv(receiver) -> _ => { drop(receiver); panic!("{text}") }
    };
    assert_eq!(text, "moved");
    assert_eq!(left.recv(), Ok(()));
    assert_eq!(left.recv(), Err(RecvError));
}

#[test]
fn names_of_the_macros_own_variables_do_not_matter() {
    let (case, selected) = channel();
    let (chosen, value) = (1, 2);
    case.send(3).unwrap();
    let other = select! {
        recv(selected) -> case => case.unwrap() + chosen + value,
        default => value,
    };
    assert_eq!(other, 6);
}

#[test]
fn the_macro_by_its_other_names() {
    mod by_path {
        pub fn poll() -> i32 {
            let one = sylvan::sync::select! { default => 1 };
            let two = sylvan::sync::select::select! { default => 2 };
            one + two + sylvan::select! { default => 3 }
        }
    }
    mod by_import {
        use sylvan::sync::select;
        pub fn poll() -> i32 {
            let _limit = select::after(super::HOUR);
            select! { default => 4 }
        }
    }
    assert_eq!(by_path::poll() + by_import::poll(), 10);
}

#[test]
fn nested() {
    let (sender, receiver) = channel();
    sender.send(1).unwrap();
    let value = select! {
        recv(receiver) -> message => select! {
            recv(receiver) -> _ => panic!("there was one"),
            default => message.unwrap(),
        },
    };
    assert_eq!(value, 1);
}

#[test]
fn many_cases_of_different_types() {
    let (a, numbers) = channel::<u8>();
    let (b, texts) = channel::<String>();
    let (c, pairs) = sync_channel::<(i32, i32)>(1);
    let (d, units) = sync_channel::<()>(0);
    let semaphore = Semaphore::new(0);
    sylvan::run(|| {
        let task = thread::spawn(|| thread::sleep(HOUR));
        let mut seen = BTreeSet::new();
        c.send((1, 2)).unwrap();
        b.send("text".into()).unwrap();
        a.send(1).unwrap();
        while seen.len() < 5 {
            let name = select! {
                recv(numbers) -> number => { assert_eq!(number, Ok(1)); semaphore.release(1); "number" }
                recv(texts) -> text => { assert_eq!(text.as_deref(), Ok("text")); "text" }
                recv(pairs) -> pair => { assert_eq!(pair, Ok((1, 2))); "pair" }
                recv(units) -> unit => { unit.unwrap(); "unit" }
                acquire(semaphore) -> permit => { permit.forget(); task.cancel(); "permit" }
                join(task) => { assert!(task.is_finished()); "task" }
                send(d, ()) -> _ => unreachable!(),
                after(HOUR) => panic!("an hour has passed"),
                default(AGES) => panic!("ages have passed"),
            };
            assert!(seen.insert(name) || name == "task", "{name} came twice");
        }
        assert!(task.join().is_err());
    });
}

// ── What can be waited for

#[test]
fn a_thread_that_ends() {
    sylvan::run(|| {
        let (_sender, receiver) = channel::<()>();
        let task = thread::spawn(|| 42);
        let local = thread::spawn_local(|| Rc::new(1));
        for _ in 0..2 {
            select! {
                join(task) => {}
                recv(receiver) -> _ => unreachable!(),
            }
        }
        assert!(task.is_finished());
        select! {
            wait(local) -> () => assert!(local.is_finished()),
            recv(receiver) -> _ => unreachable!(),
        }
        thread::scope(|scope| {
            let scoped = scope.spawn(|| task.is_finished());
            select! { join(scoped) => assert!(scoped.join().unwrap()) }
        });
        assert_eq!(task.join().unwrap(), 42);
    });
}

#[test]
fn a_permit() {
    let semaphore = Semaphore::new(0);
    let (_sender, receiver) = channel::<()>();
    sylvan::run(|| {
        thread::scope(|scope| {
            let semaphore = &semaphore;
            let waiter = scope.spawn(move || {
                select! {
                    recv(receiver) -> _ => unreachable!(),
                    acquire(semaphore) -> permit => permit,
                }
            });
            thread::yield_now();
            assert_eq!(waiter.state(), State::Waiting(Reason::Select));
            semaphore.release(1);
            let permit = waiter.join().unwrap();
            assert_eq!(semaphore.available(), 0);
            drop(permit);
        });
    });
    assert_eq!(semaphore.available(), 1);
}

/// Who wants one permit stands behind who wants several: it is told to look for itself, and what it does not need
/// goes on.
#[test]
fn a_permit_among_those_who_want_several() {
    must_end(|| {
        sylvan::run(|| {
            let semaphore = Arc::new(Semaphore::new(0));
            let (_sender, receiver) = channel::<()>();
            let [one, three] = [1, 3].map(|wanted| {
                let semaphore = semaphore.clone();
                let receiver = (wanted == 1).then(channel::<()>);
                let waiter = thread::spawn(move || match receiver {
                    Some((_sender, receiver)) => select! {
                        acquire(semaphore) -> permit => permit.forget(),
                        recv(receiver) -> _ => unreachable!(),
                    },
                    None => semaphore.acquire_many(wanted).forget(),
                });
                thread::yield_now();
                waiter
            });
            semaphore.release(3);
            one.join().unwrap();
            assert!(!three.is_finished());
            semaphore.release(1);
            three.join().unwrap();
            assert_eq!(semaphore.available(), 0);

            // Cancelled with all that was kept for it on its way.
            let (theirs, waiting) = (semaphore.clone(), Arc::new(AtomicUsize::new(0)));
            let seen = waiting.clone();
            let leaver = thread::spawn(move || {
                seen.fetch_add(1, SeqCst);
                select! {
                    acquire(theirs) => {}
                    recv(receiver) -> _ => unreachable!(),
                }
            });
            thread::yield_now();
            assert_eq!(waiting.load(SeqCst), 1);
            let theirs = semaphore.clone();
            let two = thread::spawn(move || theirs.acquire_many(2).forget());
            thread::yield_now();
            semaphore.release(2);
            leaver.cancel();
            // It may have had its permit first.
            let _ = leaver.join();
            two.join().unwrap();
            assert_eq!(semaphore.available(), 0);
        });
    });
}

#[test]
fn an_event_and_a_promise() {
    must_end(|| {
        sylvan::run(|| {
            let event = Arc::new(Event::new());
            let (resolver, promised) = promise::<i32>();
            let (sets, keeps) = (event.clone(), promised.clone());
            let waiter = thread::spawn(move || {
                let mut came = Vec::new();
                for _ in 0..2 {
                    select! {
                        wait(sets) => came.push("event"),
                        wait(keeps) => came.push("promise"),
                    }
                }
                came
            });
            thread::yield_now();
            // Set and cleared again before the waiter runs: it came before, and is let pass.
            event.set();
            event.clear();
            thread::yield_now();
            assert!(!waiter.is_finished());
            resolver.set(7);
            assert_eq!(waiter.join().unwrap(), ["event", "promise"]);
            assert_eq!(promised.get().unwrap(), &7);
            select! {
                wait(event) => unreachable!("it is clear"),
                wait(promised) => {}
            }
            event.set();
            select! { biased; wait(event) => {} wait(promised) => unreachable!() }
        });
    });
}

#[test]
fn moments() {
    let (_sender, receiver) = channel::<()>();
    let soon = Instant::now() + Duration::from_millis(2);
    let late = after(HOUR);
    for _ in 0..2 {
        let moment = select! {
            recv(receiver) -> _ => unreachable!(),
            wait(late) => unreachable!(),
            at(soon) -> moment => moment,
        };
        assert_eq!(moment, soon);
        assert!(Instant::now() >= soon);
    }
    select! {
        recv(at(soon)) -> moment => assert_eq!(moment, soon),
        default => unreachable!("it has passed"),
    }
    select! {
        wait(late) => unreachable!(),
        after(Duration::from_millis(1)) => {}
        default(HOUR) => unreachable!(),
    }
}

#[test]
fn a_message_that_is_not_sent_stays_where_it_was() {
    let (sender, receiver) = sync_channel(1);
    let mut slot = Some(String::from("first"));
    select! { send_from(sender, slot) -> sent => sent.unwrap() }
    assert_eq!(slot, None);
    // Nothing to send: never done, though there is nobody to take it either.
    select! {
        send_from(sender, slot) -> _ => unreachable!(),
        default => {}
    }
    slot = Some("second".into());
    for _ in 0..2 {
        select! {
            send_from(sender, slot) -> _ => unreachable!("it is full"),
            default => assert_eq!(slot.as_deref(), Some("second")),
        }
    }
    assert_eq!(receiver.recv().as_deref(), Ok("first"));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    drop(receiver);
    select! {
        put_from(sender, slot) -> sent => assert_eq!(sent, Err(SendError("second".into()))),
    }
    assert_eq!(slot, None);
}

/// It comes back also when the select is thrown out.
#[test]
fn a_message_comes_back_from_a_wait_that_was_cancelled() {
    sylvan::run(|| {
        for capacity in [0, 1] {
            let (sender, receiver) = sync_channel(capacity);
            while sender.try_send("filling").is_ok() {}
            let mut slot = Some("unsent");
            let result = timeout(Duration::from_millis(1), || {
                select! { send_from(sender, slot) -> _ => unreachable!() }
            });
            assert!(result.is_err());
            assert_eq!(slot, Some("unsent"));
            assert_eq!(receiver.try_iter().count(), capacity);
        }
    });
}

// ── What is done of what can be done

#[test]
fn of_two_that_are_always_ready_each_has_its_share() {
    const ROUNDS: usize = 10_000;
    let (sender, receiver) = channel();
    let (other_sender, other) = channel();
    let (out, _taken) = channel();
    for _ in 0..ROUNDS {
        sender.send(()).unwrap();
        other_sender.send(()).unwrap();
    }
    let mut counts = [0_usize; 4];
    for _ in 0..ROUNDS {
        let which = select! {
            recv(receiver) -> _ => 0,
            send(out, ()) -> _ => 1,
            recv(other) -> _ => 2,
            default => 3,
        };
        counts[which] += 1;
    }
    // A third each; each of these bounds is more than ten standard deviations away.
    for count in &counts[..3] {
        assert!((2_800..=3_870).contains(count), "{counts:?}");
    }
    assert_eq!(counts[3], 0);
}

/// Neighbours do not share what belongs to those who are not ready.
#[test]
fn the_share_does_not_depend_on_the_place() {
    const ROUNDS: usize = 4_000;
    let channels: Vec<_> = (0..8).map(|_| channel()).collect();
    let ready = [2, 3, 7];
    let mut counts = [0_usize; 8];
    for _ in 0..ROUNDS {
        for place in ready {
            channels[place].0.send(()).unwrap();
        }
        let mut select = Select::new();
        for (place, (_, receiver)) in channels.iter().enumerate() {
            select.recv(receiver, move |_| place);
        }
        counts[select.select()] += 1;
    }
    for place in ready {
        assert!((1_030..=1_640).contains(&counts[place]), "{counts:?}");
    }
}

#[test]
fn biased_goes_in_order() {
    let (sender, receiver) = channel();
    let (other_sender, other) = channel();
    for round in 0..100 {
        sender.send(round).unwrap();
        other_sender.send(round).unwrap();
    }
    for round in 0..200 {
        let got = select! {
            biased;
            recv(receiver) -> message => message.unwrap(),
            recv(other) -> message => 100 + message.unwrap(),
        };
        assert_eq!(got, round);
    }
}

// ── What it leaves behind

/// A select that has lost in one line does not keep others of that line waiting, nor take their message.
#[test]
fn losers_leave_no_trace() {
    sylvan::run(|| {
        let semaphore = Semaphore::new(0);
        let (sender, receiver) = sync_channel::<i32>(0);
        let (full, drain) = sync_channel(1);
        full.send(0).unwrap();
        let (quit, quits) = channel::<()>();
        thread::scope(|scope| {
            let (semaphore, full) = (&semaphore, &full);
            let selector = scope.spawn(move || {
                select! {
                    recv(quits) -> quit => quit.unwrap(),
                    recv(receiver) -> _ => unreachable!(),
                    acquire(semaphore) -> _ => unreachable!(),
                    send(full, 1) -> _ => unreachable!(),
                }
                receiver
            });
            thread::yield_now();
            assert_eq!(selector.state(), State::Waiting(Reason::Select));
            let patient = scope.spawn(|| semaphore.acquire().forget());
            let filler = scope.spawn(|| full.send(2).unwrap());
            thread::yield_now();
            quit.send(()).unwrap();
            // It was chosen, but has not run: it still stands in the other lines.
            assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
            semaphore.release(1);
            assert_eq!(drain.recv(), Ok(0));
            patient.join().unwrap();
            filler.join().unwrap();
            assert_eq!(semaphore.available(), 0);
            assert_eq!(drain.recv(), Ok(2));
            let receiver = selector.join().unwrap();
            assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        });
        // Not a place is kept, and nobody seems to wait.
        full.try_send(3).unwrap();
        assert_eq!(full.try_send(4), Err(TrySendError::Full(4)));
        assert_eq!(semaphore.try_acquire().map(drop), None);
        semaphore.release(1);
        assert_eq!(semaphore.available(), 1);
    });
}

/// Also one that could be done at once, after others have lined up.
#[test]
fn what_is_done_at_once_leaves_the_lines_of_the_others() {
    let semaphore = Semaphore::new(0);
    let (sender, receiver) = sync_channel::<()>(0);
    let (ready, messages) = channel();
    for _ in 0..100 {
        ready.send(()).unwrap();
        select! {
            biased;
            acquire(semaphore) -> _ => unreachable!(),
            recv(receiver) -> _ => unreachable!(),
            recv(messages) -> message => message.unwrap(),
        }
        assert!(matches!(sender.try_send(()), Err(TrySendError::Full(()))));
    }
    semaphore.release(1);
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn the_same_operand_twice() {
    let (sender, receiver) = sync_channel(1);
    sylvan::run(|| {
        thread::scope(|scope| {
            let sender = &sender;
            scope.spawn(move || {
                for number in 0..100 {
                    select! {
                        send(sender, number) -> sent => sent.unwrap(),
                        send(sender, number) -> sent => sent.unwrap(),
                    }
                }
            });
            for number in 0..100 {
                let got = select! {
                    recv(receiver) -> message => message,
                    recv(receiver) -> message => message,
                };
                assert_eq!(got, Ok(number));
            }
        });
    });
}

#[test]
fn a_select_does_not_serve_itself_but_a_buffer_does() {
    for capacity in [0, 1] {
        let (sender, receiver) = sync_channel(capacity);
        let done = select! {
            biased;
            recv(receiver) -> _ => "received",
            send(sender, ()) -> sent => { sent.unwrap(); "sent" }
            default => "nothing",
        };
        assert_eq!(done, ["nothing", "sent"][capacity]);
        assert_eq!(receiver.try_iter().count(), capacity);
    }
}

// ── Two sides of a rendezvous

#[test]
fn two_selects_meet() {
    for order in 0..2 {
        sylvan::run(|| {
            let (left, from_left) = sync_channel::<u32>(0);
            let (right, from_right) = sync_channel::<u32>(0);
            thread::scope(|scope| {
                let sender = || {
                    select! {
                        send(left, 1) -> sent => { sent.unwrap(); 1 }
                        send(right, 2) -> sent => { sent.unwrap(); 2 }
                    }
                };
                let early = (order == 0).then(|| scope.spawn(sender));
                thread::yield_now();
                let receiver = scope.spawn(move || {
                    let (from_left, from_right) = (from_left, from_right);
                    select! {
                        recv(from_right) -> message => message.unwrap(),
                        recv(from_left) -> message => message.unwrap(),
                    }
                });
                thread::yield_now();
                let sent = match early {
                    Some(early) => early.join().unwrap(),
                    None => sender(),
                };
                assert_eq!(receiver.join().unwrap(), sent);
            });
        });
    }
}

#[test]
fn the_receiver_goes_while_selects_offer() {
    sylvan::run(|| {
        let (sender, receiver) = sync_channel(0);
        let theirs = sender.clone();
        let selector = thread::spawn(move || {
            select! {
                send(theirs, "selected") -> sent => sent,
                default(HOUR) => unreachable!(),
            }
        });
        let plain = thread::spawn(move || sender.send("plain"));
        thread::yield_now();
        drop(receiver);
        assert_eq!(selector.join().unwrap(), Err(SendError("selected")));
        assert_eq!(plain.join().unwrap(), Err(SendError("plain")));
    });
}

#[test]
fn the_last_sender_goes_while_a_select_waits() {
    sylvan::run(|| {
        for capacity in [None, Some(0), Some(1)] {
            let (end, receiver): (Box<dyn std::any::Any>, Receiver<()>) = match capacity {
                None => {
                    let (sender, receiver) = channel();
                    (Box::new(sender), receiver)
                }
                Some(capacity) => {
                    let (sender, receiver) = sync_channel(capacity);
                    (Box::new(sender), receiver)
                }
            };
            let (_other, others) = channel::<()>();
            let selector = thread::spawn(move || {
                select! {
                    recv(receiver) -> message => message,
                    recv(others) -> _ => unreachable!(),
                }
            });
            thread::yield_now();
            drop(end);
            assert_eq!(selector.join().unwrap(), Err(RecvError));
        }
    });
}

// ── The builder

#[test]
fn a_builder_is_used_again_until_a_case_is_done() {
    let (sender, receiver) = channel();
    let (full, _filled) = sync_channel(0);
    let mut slot = Some("unsent");
    let late = after(HOUR);
    let mut select = Select::new();
    select
        .recv(&receiver, |message| message.unwrap())
        .send_from(&full, &mut slot, |_| unreachable!())
        .wait(&late, |_| unreachable!());
    assert_eq!(select.try_select(), None);
    assert_eq!(select.select_timeout(Duration::from_millis(1)), None);
    assert_eq!(select.select_deadline(Instant::now()), None);
    sender.send(5).unwrap();
    assert_eq!(select.select_timeout(HOUR), Some(5));
    assert_eq!(select.try_select(), None);
    drop(select);
    assert_eq!(slot, Some("unsent"));
}

#[test]
#[should_panic(expected = "a select without a case")]
fn a_builder_without_a_case_does_not_wait_for_ever() {
    Select::<()>::new().select();
}

// ── Plain OS threads

#[test]
fn it_works_on_plain_threads_and_between_them_and_green_ones() {
    must_end(|| {
        let (sender, receiver) = sync_channel(0);
        let (stop, stops) = channel::<()>();
        let plain = std::thread::spawn(move || {
            let mut sum = 0;
            loop {
                select! {
                    recv(receiver) -> number => sum += number.unwrap(),
                    recv(stops) -> _ => break sum,
                }
            }
        });
        sylvan::run(|| {
            let tasks = (0..10).map(|number| {
                let sender = sender.clone();
                thread::spawn(move || select! { send(sender, number) -> sent => sent.unwrap() })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.join().unwrap();
            }
        });
        stop.send(()).unwrap();
        assert_eq!(plain.join().unwrap(), 45);
    });
}

// ── Stress

/// What one thread of the stress test has sent or received.
#[derive(Default, PartialEq, Eq, Debug)]
struct Tally {
    count: u64,
    sum: u64,
}

impl Tally {
    fn add(&mut self, number: u64) {
        self.count += 1;
        self.sum += number;
    }

    fn merge(&mut self, other: &Tally) {
        self.count += other.count;
        self.sum += other.sum;
    }
}

/// A limit that most waits keep, and some do not.
fn limit(random: &mut Numbers) -> Duration {
    match random.below(4) {
        0 => Duration::from_micros(random.below(60)),
        _ => HOUR,
    }
}

/// Sends numbers, two at a time, each through one of its channels. What a select has not sent, because it had no time
/// left or was thrown out, is sent by the next.
fn send_all(
    rendezvous: &[SyncSender<u64>],
    bounded: &[SyncSender<u64>],
    count: u64,
    random: &mut Numbers,
) -> Tally {
    let mut sent = Tally::default();
    for number in 0..count {
        let (mut one, mut other) = (Some(2 * number), Some(2 * number + 1));
        while one.is_some() || other.is_some() {
            let first = &rendezvous[random.below(2) as usize];
            let second = &bounded[random.below(2) as usize];
            let (own, around) = (limit(random), limit(random));
            let mut attempt = || {
                select! {
                    send_from(first, one) -> sent => sent.unwrap(),
                    send_from(second, other) -> sent => sent.unwrap(),
                    default(own) => {}
                }
            };
            if random.below(16) == 0 {
                thread::scope(|scope| {
                    let attempt = scope.spawn(attempt);
                    thread::yield_now();
                    attempt.cancel();
                    // Cancelled, or done.
                    let _ = attempt.join();
                });
            } else {
                let _ = timeout(around, &mut attempt);
            }
        }
        sent.add(2 * number);
        sent.add(2 * number + 1);
    }
    sent
}

fn receive_all(
    mut rendezvous: Option<Receiver<u64>>,
    mut bounded: Option<Receiver<u64>>,
    random: &mut Numbers,
) -> Tally {
    let mut received = Tally::default();
    let none = channel::<u64>();
    while rendezvous.is_some() || bounded.is_some() {
        let (own, around) = (limit(random), limit(random));
        let _ = timeout(around, || {
            select! {
                recv(rendezvous.as_ref().unwrap_or(&none.1)) -> number => match number {
                    Ok(number) => received.add(number),
                    Err(_) => rendezvous = None,
                },
                recv(bounded.as_ref().unwrap_or(&none.1)) -> number => match number {
                    Ok(number) => received.add(number),
                    Err(_) => bounded = None,
                },
                default(own) => {}
            }
        });
    }
    received
}

/// Four hubs and two plain OS threads; selects on both sides, of which some are thrown out or run out of time; and
/// permits that wander among selects that lose them.
#[test]
fn nothing_is_lost_or_doubled() {
    let count = scaled(10_000) as u64;
    must_end(|| {
        let (first, from_first): (Vec<_>, Vec<_>) = (0..2).map(|_| sync_channel(0)).unzip();
        let (second, from_second): (Vec<_>, Vec<_>) = (0..2).map(|_| sync_channel(2)).unzip();
        let [mut receivers, mut senders] = [const { Vec::new() }; 2];
        let runtime = Runtime::builder().workers(4).build().unwrap();
        let (sent, received) = runtime.run(|| {
            for (seed, (one, other)) in from_first.into_iter().zip(from_second).enumerate() {
                let receive =
                    move || receive_all(Some(one), Some(other), &mut Numbers::new(seed as u64 + 1));
                receivers.push(member(seed == 1, receive));
            }
            for seed in 0..5 {
                let (first, second) = (first.clone(), second.clone());
                let send = move || send_all(&first, &second, count, &mut Numbers::new(seed + 100));
                senders.push(member(seed == 4, send));
            }
            drop((first, second));
            let [mut sent, mut received] = [const { Tally { count: 0, sum: 0 } }; 2];
            for sender in senders {
                sent.merge(&sender());
            }
            for receiver in receivers {
                received.merge(&receiver());
            }
            (sent, received)
        });
        runtime.close();
        assert_eq!(sent.count, 10 * count);
        assert_eq!(sent, received);
    });
}

type Joined = Box<dyn FnOnce() -> Tally>;

/// Starts a thread, green or plain; gives what joins it.
fn member(is_plain: bool, f: impl FnOnce() -> Tally + Send + 'static) -> Joined {
    if is_plain {
        let thread = std::thread::spawn(f);
        Box::new(|| sylvan::offload(|| thread.join().unwrap()))
    } else {
        let task = thread::spawn(f);
        Box::new(|| task.join().unwrap())
    }
}

/// Permits wander among selects, each of which gets one of several and is thrown out now and then.
#[test]
fn no_permit_is_lost_or_doubled() {
    let rounds = scaled(5_000);
    must_end(|| {
        let semaphores: Arc<[Semaphore; 3]> = Arc::new([const { Semaphore::new(1) }; 3]);
        let inside = Arc::new([const { AtomicUsize::new(0) }; 3]);
        let runtime = Runtime::builder().workers(4).build().unwrap();
        runtime.run(|| {
            let members: Vec<_> = (0..8)
                .map(|seed| {
                    let (semaphores, inside) = (semaphores.clone(), inside.clone());
                    member(seed >= 6, move || {
                        let random = &mut Numbers::new(seed + 1);
                        let mut tally = Tally::default();
                        for _ in 0..rounds {
                            let [one, two, three] = &*semaphores;
                            let _ = timeout(limit(random), || {
                                let (place, _permit) = select! {
                                    acquire(one) -> permit => (0, permit),
                                    acquire(two) -> permit => (1, permit),
                                    acquire(three) -> permit => (2, permit),
                                };
                                assert_eq!(inside[place].fetch_add(1, SeqCst), 0);
                                tally.add(place as u64);
                                // A cancel that comes here must not leave it as it is.
                                task::mask(thread::yield_now);
                                inside[place].fetch_sub(1, SeqCst);
                            });
                        }
                        tally
                    })
                })
                .collect();
            for member in members {
                member();
            }
        });
        runtime.close();
        for semaphore in &*semaphores {
            assert_eq!(semaphore.available(), 1);
        }
    });
}
