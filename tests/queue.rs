//! `sylvan::sync::queue`: every method, between green threads of one hub, of four hubs, and with plain OS threads
//! among them; and that nothing is lost or doubled by cancels, time-outs, closing and panics.
//!
//! What a cancel or a time-out does to each kind of wait is in `tests/waits.rs`.

#[path = "sync/crew.rs"]
#[allow(dead_code)]
mod crew;
mod support;

use std::cell::Cell;
use std::cmp::{Ordering, Reverse};
use std::error::Error;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crew::{Crew, Member, four_hubs_and_two_plain, on_hubs, settle, until};
use support::{HOUR, Numbers, must_end, scaled};
use sylvan::select;
use sylvan::sync::queue::{
    Channel, Closed, GetTimeoutError, LifoQueue, PriorityQueue, PutError, PutTimeoutError, Queue,
    TryGetError, TryPutError,
};
use sylvan::sync::select::Select;
use sylvan::task::{Cancelled, Reason, State};
use sylvan::thread::{self, JoinHandle};
use sylvan::time::timeout;

/// Long enough for a time-out to be seen, short enough to wait for.
const MOMENT: Duration = Duration::from_millis(1);

// ── What all of them do

/// What the kinds have in common, so that they are tested alike.
trait Kind: Send + Sync + Sized + 'static {
    fn put(&self, value: Value) -> Result<(), PutError<Value>>;
    fn try_put(&self, value: Value) -> Result<(), TryPutError<Value>>;
    fn put_timeout(&self, value: Value, limit: Duration) -> Result<(), PutTimeoutError<Value>>;
    fn get(&self) -> Result<Value, Closed>;
    fn try_get(&self) -> Result<Value, TryGetError>;
    fn get_timeout(&self, limit: Duration) -> Result<Value, GetTimeoutError>;
    fn close(&self);
    /// Puts by a select, of which another case may come first. The value stays there if it was not put.
    fn select_put(&self, value: &mut Option<Value>, limit: Duration)
    -> Result<(), PutError<Value>>;
    /// Gets by a select, of which another case may come first.
    fn select(&self, limit: Duration) -> Option<Result<Value, Closed>>;
    /// Of those that hold values only.
    fn task_done(&self) {}
    fn all_is_done(&self) -> bool {
        true
    }
    fn peek(&self) {}
    fn is_within_bounds(&self) -> bool {
        true
    }
}

macro_rules! kinds {
    ($($kind:ident { $($more:tt)* })*) => {$(
        impl Kind for $kind<Value> {
            fn put(&self, value: Value) -> Result<(), PutError<Value>> {
                self.put(value)
            }
            fn try_put(&self, value: Value) -> Result<(), TryPutError<Value>> {
                self.try_put(value)
            }
            fn put_timeout(&self, value: Value, limit: Duration) -> Result<(), PutTimeoutError<Value>> {
                self.put_timeout(value, limit)
            }
            fn get(&self) -> Result<Value, Closed> {
                self.get()
            }
            fn try_get(&self) -> Result<Value, TryGetError> {
                self.try_get()
            }
            fn get_timeout(&self, limit: Duration) -> Result<Value, GetTimeoutError> {
                self.get_timeout(limit)
            }
            fn close(&self) {
                self.close();
            }
            fn select_put(
                &self,
                value: &mut Option<Value>,
                limit: Duration,
            ) -> Result<(), PutError<Value>> {
                select! {
                    put_from(self, *value) -> put => put,
                    after(limit) => Ok(()),
                }
            }
            fn select(&self, limit: Duration) -> Option<Result<Value, Closed>> {
                select! {
                    get(self) -> value => Some(value),
                    after(limit) => None,
                }
            }
            $($more)*
        }
    )*};
}

macro_rules! holding {
    ($($kind:ident),*) => {
        kinds! {$(
            $kind {
                fn task_done(&self) {
                    self.task_done();
                }
                fn all_is_done(&self) -> bool {
                    self.join_timeout(Duration::ZERO)
                }
                fn peek(&self) {
                    let _ = self.try_peek_with(|_| thread::yield_now());
                }
                fn is_within_bounds(&self) -> bool {
                    self.capacity().is_none_or(|capacity| self.len() <= capacity)
                }
            }
        )*}
    };
}

kinds! { Channel {} }
holding!(Queue, LifoQueue, PriorityQueue);

/// Does the same with each kind that holds values, of this capacity.
macro_rules! with_each {
    ($capacity:expr, |$queue:ident| $test:expr) => {{
        {
            let $queue = &Queue::new($capacity);
            $test;
        }
        {
            let $queue = &LifoQueue::new($capacity);
            $test;
        }
        {
            let $queue = &PriorityQueue::new($capacity);
            $test;
        }
    }};
}

#[test]
fn values_leave_in_the_order_of_their_kind() {
    let queue = Queue::unbounded();
    let stack = LifoQueue::unbounded();
    let sorted = PriorityQueue::unbounded();
    for number in [3, 1, 2] {
        queue.put(number).unwrap();
        stack.put(number).unwrap();
        sorted.put(number).unwrap();
    }
    assert_eq!(queue.try_iter().collect::<Vec<_>>(), [3, 1, 2]);
    assert_eq!(stack.try_iter().collect::<Vec<_>>(), [2, 1, 3]);
    assert_eq!(sorted.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_queue_knows_what_it_holds() {
    with_each!(2, |queue| {
        assert_eq!(queue.capacity(), Some(2));
        assert!(queue.is_empty() && !queue.is_full() && !queue.is_closed());
        queue.put(1).unwrap();
        assert!(!queue.is_empty() && !queue.is_full());
        queue.put(2).unwrap();
        assert!(!queue.is_empty() && queue.is_full());
        assert_eq!(queue.len(), 2);
        assert_eq!(queue.try_put(3), Err(TryPutError::Full(3)));
        assert_eq!(
            queue.put_timeout(4, MOMENT),
            Err(PutTimeoutError::Timeout(4))
        );
        queue.get().unwrap();
        queue.get().unwrap();
        assert_eq!(queue.try_get(), Err(TryGetError::Empty));
        assert_eq!(queue.get_timeout(MOMENT), Err(GetTimeoutError::Timeout));
        queue.close();
        assert!(queue.is_empty() && queue.is_closed());
    });
    let queue = Queue::unbounded();
    queue.put(()).unwrap();
    assert!(queue.capacity().is_none() && !queue.is_full());
}

#[test]
fn a_queue_without_places_is_refused() {
    assert!(catch_unwind(|| Queue::<u8>::new(0)).is_err());
    assert!(catch_unwind(|| LifoQueue::<u8>::new(0)).is_err());
    assert!(catch_unwind(|| PriorityQueue::<u8>::new(0)).is_err());
}

#[test]
fn what_is_printed_shows_no_value() {
    let queue = Queue::new(2);
    queue.put(NotPrintable).unwrap();
    assert_eq!(
        format!("{queue:?}"),
        "Queue { len: 1, capacity: Some(2), closed: false, .. }"
    );
    let channel = Channel::<NotPrintable>::default();
    channel.close();
    assert_eq!(format!("{channel:?}"), "Channel { closed: true, .. }");
    let sorted = PriorityQueue::<u8>::unbounded();
    let text = "PriorityQueue { len: 0, capacity: None, closed: false, .. }";
    assert_eq!(format!("{sorted:?}"), text);
}

#[derive(PartialEq, Eq)]
struct NotPrintable;

#[test]
fn errors_give_the_value_back_and_say_why() {
    fn says(error: &dyn Error, text: &str) {
        assert_eq!(error.to_string(), text);
    }
    let closed = || PutError(NotPrintable);
    says(&closed(), "putting into a closed queue");
    says(
        &TryPutError::Full(NotPrintable),
        "putting into a full queue",
    );
    says(&TryPutError::from(closed()), "putting into a closed queue");
    says(
        &PutTimeoutError::Timeout(NotPrintable),
        "timed out putting into a queue",
    );
    says(
        &PutTimeoutError::from(closed()),
        "putting into a closed queue",
    );
    says(&Closed, "getting from a closed and empty queue");
    says(&TryGetError::Empty, "getting from an empty queue");
    says(
        &TryGetError::from(Closed),
        "getting from a closed and empty queue",
    );
    says(&GetTimeoutError::Timeout, "timed out getting from a queue");
    says(
        &GetTimeoutError::from(Closed),
        "getting from a closed and empty queue",
    );
    assert_eq!(format!("{:?}", closed()), "PutError { .. }");
    assert_eq!(format!("{:?}", TryPutError::Full(NotPrintable)), "Full(..)");
    let late = PutTimeoutError::Timeout(NotPrintable);
    assert_eq!(format!("{late:?}"), "Timeout(..)");
    assert!(closed().into_inner() == NotPrintable);
    assert!(TryPutError::Full(NotPrintable).into_inner() == NotPrintable);
    assert!(TryPutError::Closed(NotPrintable).into_inner() == NotPrintable);
    assert!(late.into_inner() == NotPrintable);
}

/// A queue is shared by who may have its values.
#[test]
fn auto_traits_are_those_of_a_lock() {
    fn is_shared<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
    is_shared::<Queue<Cell<u8>>>();
    is_shared::<LifoQueue<Cell<u8>>>();
    is_shared::<PriorityQueue<Cell<u8>>>();
    is_shared::<Channel<Cell<u8>>>();
}

// ── Waiting

#[test]
fn who_finds_it_full_waits_and_who_finds_it_empty_too() {
    everywhere(|crew| {
        let queue = Arc::new(Queue::new(1));
        let theirs = queue.clone();
        let putter = crew.spawn(move || (0..100).for_each(|n| theirs.put(n).unwrap()));
        let all: Vec<_> = (0..100).map(|_| queue.get().unwrap()).collect();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
        putter.join();
    });
}

#[test]
fn putters_are_served_in_their_order_and_newcomers_do_not_overtake() {
    run(|| {
        let queue = Arc::new(Queue::new(1));
        queue.put(0).unwrap();
        let putters = spawn_each(1..4, &queue, |queue, number| queue.put(number).unwrap());
        settle();
        assert!(
            putters
                .iter()
                .all(|putter| putter.state() == State::Waiting(Reason::QueuePut))
        );
        assert_eq!(queue.get(), Ok(0));
        // The place is taken by the first that waited, though it has not run yet.
        assert_eq!(queue.try_put(4), Err(TryPutError::Full(4)));
        assert_eq!(queue.len(), 1);
        let all: Vec<_> = (0..3).map(|_| queue.try_get().unwrap()).collect();
        assert_eq!(all, [1, 2, 3]);
        join_all(putters);
    });
}

#[test]
fn getters_are_served_in_their_order_and_newcomers_do_not_overtake() {
    run(|| {
        let queue = Arc::new(Queue::new(4));
        let getters = spawn_each(0..3, &queue, |queue, number| {
            assert_eq!(queue.get(), Ok(number));
        });
        settle();
        assert_eq!(getters[0].state(), State::Waiting(Reason::QueueGet));
        queue.put(0).unwrap();
        // It is promised, though nobody has taken it yet.
        assert_eq!(queue.len(), 1);
        assert_eq!(queue.try_get(), Err(TryGetError::Empty));
        queue.put(1).unwrap();
        queue.put(2).unwrap();
        join_all(getters);
        assert!(queue.is_empty());
    });
}

#[test]
fn many_getters_get_each_value_once() {
    everywhere(|crew| {
        let queue = Arc::new(Queue::new(3));
        let getters: Vec<_> = (0..4)
            .map(|_| {
                let queue = queue.clone();
                crew.spawn(move || queue.iter().collect::<Vec<_>>())
            })
            .collect();
        let putters: Vec<_> = (0..3)
            .map(|part| {
                let queue = queue.clone();
                crew.spawn(move || (0..100).for_each(|n| queue.put(part * 100 + n).unwrap()))
            })
            .collect();
        putters.into_iter().for_each(Member::join);
        queue.close();
        let got: Vec<_> = getters.into_iter().map(Member::join).collect();
        // Who puts in order is got in order.
        for part in 0..3 {
            let of_part = |n: &&u32| **n / 100 == part;
            assert!(got.iter().all(|got| got.iter().filter(of_part).is_sorted()));
        }
        let mut all = got.concat();
        all.sort_unstable();
        assert_eq!(all, (0..300).collect::<Vec<_>>());
    });
}

#[test]
fn a_time_out_gives_the_value_back_and_leaves_nothing() {
    run(|| {
        with_each!(1, |queue| {
            queue.put(String::from("there")).unwrap();
            let error = queue.put_timeout(String::from("late"), MOMENT).unwrap_err();
            assert_eq!(error.into_inner(), "late");
            assert_eq!(queue.get().unwrap(), "there");
            assert_eq!(queue.try_get(), Err(TryGetError::Empty));
            assert_eq!(queue.get_timeout(MOMENT), Err(GetTimeoutError::Timeout));
            // Nobody waits there any more.
            queue.put(String::from("next")).unwrap();
            assert_eq!(queue.get_timeout(HOUR).unwrap(), "next");
            queue.put_timeout(String::from("last"), HOUR).unwrap();
            assert_eq!(queue.len(), 1);
        });
    });
}

#[test]
fn putters_that_time_out_in_the_middle_leave_the_others_in_order() {
    run(|| {
        let queue = Arc::new(Queue::new(1));
        queue.put(0).unwrap();
        let putters = spawn_each(1..8, &queue, |queue, number| {
            if number % 2 == 0 {
                let error = queue.put_timeout(number, MOMENT).unwrap_err();
                assert_eq!(error, PutTimeoutError::Timeout(number));
            } else {
                queue.put(number).unwrap();
            }
        });
        until(|| putters.iter().filter(|putter| putter.is_finished()).count() == 3);
        let all: Vec<_> = (0..5).map(|_| queue.get().unwrap()).collect();
        assert_eq!(all, [0, 1, 3, 5, 7]);
        join_all(putters);
    });
}

#[test]
fn a_cancelled_putter_takes_its_value_along() {
    run(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let queue = Arc::new(Queue::new(1));
        queue.put(Counted(dropped.clone())).unwrap();
        let (theirs, value) = (queue.clone(), Counted(dropped.clone()));
        let putter = thread::spawn(move || drop(theirs.put(value)));
        settle();
        putter.cancel();
        assert!(putter.join().unwrap_err().is::<Cancelled>());
        assert_eq!(dropped.load(SeqCst), 1);
        drop(queue.get());
        assert!(queue.try_get().is_err());
        assert_eq!(dropped.load(SeqCst), 2);
    });
}

#[test]
fn a_value_promised_to_a_cancelled_getter_stays_in_the_queue() {
    run(|| {
        for distance in 0..3 {
            let queue = Arc::new(PriorityQueue::new(2));
            let theirs = queue.clone();
            let getter = thread::spawn(move || theirs.get().unwrap());
            settle();
            // The order in which they race is that of one hub: what was promised first is got.
            getter.cancel();
            for _ in 0..distance {
                thread::yield_now();
            }
            queue.put(1).unwrap();
            match getter.join() {
                Ok(value) => assert_eq!((value, queue.len()), (1, 0)),
                Err(_) => assert_eq!(queue.try_get(), Ok(1)),
            }
        }
    });
}

// ── Closing

#[test]
fn a_closed_queue_is_drained_first() {
    run(|| {
        with_each!(3, |queue| {
            queue.put(1).unwrap();
            queue.put(2).unwrap();
            queue.close();
            queue.close();
            assert_eq!(queue.put(3), Err(PutError(3)));
            assert_eq!(queue.try_put(4), Err(TryPutError::Closed(4)));
            assert_eq!(queue.put_timeout(5, HOUR), Err(PutTimeoutError::Closed(5)));
            assert_eq!(queue.iter().count(), 2);
            assert_eq!(queue.get(), Err(Closed));
            assert_eq!(queue.try_get(), Err(TryGetError::Closed));
            assert_eq!(queue.get_timeout(HOUR), Err(GetTimeoutError::Closed));
            assert_eq!(queue.peek(), Err(Closed));
            assert_eq!(queue.try_peek(), Err(TryGetError::Closed));
        });
    });
}

#[test]
fn closing_wakes_all_that_wait() {
    everywhere(|crew| {
        let full = Arc::new(Queue::new(1));
        full.put(0).unwrap();
        let empty = Arc::new(Queue::<u32>::new(1));
        let meeting = Arc::new(Channel::<u32>::new());
        let waiting = Arc::new(AtomicUsize::new(0));
        let members: Vec<_> = (0..9)
            .map(|number| {
                let (full, empty, meeting) = (full.clone(), empty.clone(), meeting.clone());
                let waiting = waiting.clone();
                crew.spawn(move || {
                    waiting.fetch_add(1, SeqCst);
                    match number % 3 {
                        0 => assert_eq!(full.put(number), Err(PutError(number))),
                        1 => assert_eq!(empty.get(), Err(Closed)),
                        _ => assert_eq!(meeting.put(number), Err(PutError(number))),
                    }
                })
            })
            .collect();
        until(|| waiting.load(SeqCst) == 9);
        settle();
        full.close();
        empty.close();
        meeting.close();
        members.into_iter().for_each(Member::join);
        assert_eq!(full.iter().collect::<Vec<_>>(), [0]);
    });
}

/// As long as one may come back, nobody is told that there is nothing.
#[test]
fn who_waits_is_told_of_the_end_only_when_the_last_value_is_gone() {
    run(|| {
        let queue = Arc::new(Queue::new(1));
        queue.put("one").unwrap();
        let looks = Arc::new(AtomicBool::new(true));
        let (theirs, still) = (queue.clone(), looks.clone());
        let looking = thread::spawn(move || {
            theirs.peek_with(|_| {
                while still.load(SeqCst) {
                    thread::yield_now();
                }
            })
        });
        settle();
        queue.close();
        assert_eq!(queue.try_get(), Err(TryGetError::Empty));
        let getters = spawn_each(0..2, &queue, |queue, number| match number {
            0 => assert_eq!(queue.get(), Ok("one")),
            _ => assert_eq!(queue.get(), Err(Closed)),
        });
        settle();
        assert!(getters.iter().all(|getter| !getter.is_finished()));
        looks.store(false, SeqCst);
        looking.join().unwrap().unwrap();
        join_all(getters);
    });
}

#[test]
fn closing_now_gives_what_is_left_and_ends_a_join() {
    run(|| {
        let queue = Arc::new(Queue::new(3));
        (0..3).for_each(|number| queue.put(number).unwrap());
        assert_eq!(queue.get(), Ok(0));
        let joiners = spawn_each(0..2, &queue, |queue, _| queue.join());
        let putters = spawn_each(4..6, &queue, |queue, number| match queue.put(number) {
            // There was one place.
            Ok(()) => assert_eq!(number, 4),
            Err(error) => assert_eq!(error.into_inner(), 5),
        });
        settle();
        assert_eq!(joiners[0].state(), State::Waiting(Reason::QueueJoin));
        assert_eq!(queue.close_now(), [1, 2, 4]);
        join_all(putters);
        assert_eq!(queue.get(), Err(Closed));
        // What was got before is not done yet.
        settle();
        assert!(joiners.iter().all(|joiner| !joiner.is_finished()));
        queue.task_done();
        join_all(joiners);
        assert!(queue.close_now().is_empty());
    });
}

// ── Joining

#[test]
fn join_waits_until_all_is_done() {
    everywhere(|crew| {
        let queue = Arc::new(PriorityQueue::new(2));
        let done = Arc::new(AtomicUsize::new(0));
        queue.join(); // nothing was put
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let (queue, done) = (queue.clone(), done.clone());
                crew.spawn(move || {
                    for _ in &*queue {
                        thread::yield_now();
                        done.fetch_add(1, SeqCst);
                        queue.task_done();
                    }
                })
            })
            .collect();
        (0..50).for_each(|number| queue.put(number).unwrap());
        queue.join();
        assert_eq!(done.load(SeqCst), 50);
        assert!(queue.join_timeout(HOUR));
        queue.put(50).unwrap();
        queue.join();
        assert_eq!(done.load(SeqCst), 51);
        queue.close();
        workers.into_iter().for_each(Member::join);
    });
}

#[test]
fn what_was_got_is_not_done() {
    let queue = Queue::new(1);
    queue.put(()).unwrap();
    queue.get().unwrap();
    assert!(!queue.join_timeout(MOMENT));
    queue.task_done();
    assert!(queue.join_timeout(Duration::ZERO));
}

#[test]
fn more_done_than_put_is_a_panic_and_harms_nothing() {
    with_each!(1, |queue| {
        queue.put(1).unwrap();
        queue.task_done();
        let panic = catch_unwind(|| queue.task_done()).unwrap_err();
        let text = panic.downcast_ref::<&str>().unwrap();
        assert!(text.contains("task_done"), "{text}");
        assert_eq!(queue.get(), Ok(1));
        queue.join();
    });
}

// ── Looking

#[test]
fn to_look_leaves_the_value_where_it_is() {
    run(|| {
        with_each!(2, |queue| {
            assert_eq!(queue.try_peek(), Err(TryGetError::Empty));
            queue.put(1).unwrap();
            queue.put(1).unwrap();
            let first = queue.peek().unwrap();
            assert_eq!(queue.try_peek(), Ok(first));
            assert_eq!(queue.peek_with(|value| *value + 1), Ok(first + 1));
            assert_eq!(queue.try_peek_with(|value| *value + 1), Ok(first + 1));
            assert_eq!(queue.len(), 2);
            assert!(queue.is_full());
            queue.close();
            assert_eq!(queue.peek(), Ok(first));
        });
    });
}

#[test]
fn to_look_does_not_change_the_order() {
    let (queue, stack) = (Queue::unbounded(), LifoQueue::unbounded());
    let sorted = PriorityQueue::unbounded();
    for name in ["a", "b", "c"] {
        queue.put(name).unwrap();
        stack.put(name).unwrap();
        sorted.put(Same(name)).unwrap();
    }
    for _ in 0..2 {
        assert_eq!(queue.peek(), Ok("a"));
        assert_eq!(stack.peek(), Ok("c"));
        assert_eq!(sorted.peek_with(|it| it.0), Ok("a"));
    }
    assert_eq!(queue.try_iter().collect::<String>(), "abc");
    assert_eq!(stack.try_iter().collect::<String>(), "cba");
    let all: String = sorted.try_iter().map(|it| it.0).collect();
    assert_eq!(all, "abc");
}

#[test]
fn while_one_looks_others_get_what_comes_after() {
    run(|| {
        let queue = Queue::new(2);
        queue.put(1).unwrap();
        queue.put(2).unwrap();
        queue
            .peek_with(|first| {
                assert_eq!(*first, 1);
                // The queue is full still, and may be used.
                assert_eq!(queue.try_put(3), Err(TryPutError::Full(3)));
                assert_eq!(queue.get(), Ok(2));
                assert_eq!(queue.try_get(), Err(TryGetError::Empty));
                assert_eq!(queue.len(), 1);
            })
            .unwrap();
        assert_eq!(queue.get(), Ok(1));
    });
}

#[test]
fn a_look_that_panics_or_is_cancelled_loses_nothing() {
    run(|| {
        with_each!(1, |queue| {
            queue.put(7).unwrap();
            let look = || queue.peek_with(|_| panic!("a look that panics"));
            assert!(catch_unwind(AssertUnwindSafe(look)).is_err());
            let look = || queue.peek_with(|_| thread::sleep(HOUR));
            assert!(timeout(MOMENT, look).is_err());
            assert_eq!((queue.len(), queue.get()), (1, Ok(7)));
        });
    });
}

// ── Priorities

/// Equal to all others.
struct Same(&'static str);

impl PartialEq for Same {
    fn eq(&self, _: &Same) -> bool {
        true
    }
}

impl Eq for Same {}

impl PartialOrd for Same {
    fn partial_cmp(&self, other: &Same) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Same {
    fn cmp(&self, _: &Same) -> Ordering {
        Ordering::Equal
    }
}

#[test]
fn the_smallest_leaves_first_whenever_it_came() {
    let mut numbers = Numbers::new(1);
    let queue = PriorityQueue::unbounded();
    let mut model = Vec::new();
    for turn in 0..5000 {
        // More is put than got at first, then less.
        if numbers.below(5000) > turn / 2 {
            let value = (numbers.below(100), turn);
            queue.put(value).unwrap();
            model.push(value);
        } else {
            let smallest = model.iter().copied().min();
            model.retain(|value| Some(*value) != smallest);
            assert_eq!(queue.try_get().ok(), smallest);
        }
        assert_eq!(queue.len(), model.len());
    }
    model.sort_unstable();
    assert_eq!(queue.try_iter().collect::<Vec<_>>(), model);
}

#[test]
fn equal_ones_leave_in_the_order_they_came() {
    let queue = PriorityQueue::unbounded();
    for (number, name) in ["a", "b", "c", "d", "e", "f"].into_iter().enumerate() {
        queue.put((number % 2, Same(name))).unwrap();
    }
    assert_eq!(queue.get().unwrap().1.0, "a");
    queue.put((0, Same("g"))).unwrap();
    let rest: String = queue.try_iter().map(|(_, it)| it.0).collect();
    assert_eq!(rest, "cegbdf");
}

#[test]
fn the_greatest_leaves_first_if_reversed() {
    let queue = PriorityQueue::new(3);
    (1..4).for_each(|number| queue.put(Reverse(number)).unwrap());
    let all: Vec<_> = queue.try_iter().map(|it| it.0).collect();
    assert_eq!(all, [3, 2, 1]);
}

/// Compares as the test wants it to.
struct Tricky(u32, Arc<AtomicU8>);

const PANIC: u8 = 1;
const WAIT: u8 = 2;

impl PartialEq for Tricky {
    fn eq(&self, other: &Tricky) -> bool {
        self.0 == other.0
    }
}

impl Eq for Tricky {}

impl PartialOrd for Tricky {
    fn partial_cmp(&self, other: &Tricky) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Tricky {
    fn cmp(&self, other: &Tricky) -> Ordering {
        match self.1.load(SeqCst) {
            PANIC if self.0 % 5 == 2 => panic!("a comparison that panics"),
            WAIT => {
                while self.1.load(SeqCst) == WAIT {
                    thread::yield_now();
                }
            }
            _ => {}
        }
        self.0.cmp(&other.0)
    }
}

#[test]
fn a_comparison_that_panics_loses_nothing_and_the_order_comes_back() {
    run(|| {
        let mood = Arc::new(AtomicU8::new(0));
        let queue = PriorityQueue::unbounded();
        let mut numbers = Numbers::new(3);
        let mut left: Vec<u32> = (0..100).collect();
        for number in 0..100 {
            let other = numbers.below(100) as usize;
            left.swap(number, other);
        }
        for (turn, number) in left.iter().enumerate() {
            if turn == 50 {
                // Some are sorted, others are not.
                assert_eq!(
                    queue.try_peek_with(|it: &Tricky| it.0).ok(),
                    left[..50].iter().copied().min()
                );
            }
            queue.put(Tricky(*number, mood.clone())).unwrap();
        }
        left.sort_unstable();
        let mut panics = 0;
        for round in 0..100 {
            mood.store(PANIC * u8::from(round % 2 == 0), SeqCst);
            match catch_unwind(AssertUnwindSafe(|| queue.try_get())) {
                Err(_) => panics += 1,
                Ok(got) if round % 2 == 0 => left.retain(|it| *it != got.as_ref().unwrap().0),
                Ok(got) => assert_eq!(got.unwrap().0, left.remove(0)),
            }
            assert_eq!(queue.len(), left.len());
        }
        assert!(panics > 10, "{panics}");
        mood.store(0, SeqCst);
        let rest: Vec<_> = queue.try_iter().map(|it| it.0).collect();
        assert_eq!(rest, left);
    });
}

#[test]
fn who_compares_may_wait_and_putters_do_not_wait_for_it() {
    run(|| {
        let mood = Arc::new(AtomicU8::new(WAIT));
        let queue = Arc::new(PriorityQueue::unbounded());
        for number in [2, 1] {
            queue.put(Tricky(number, mood.clone())).unwrap();
        }
        let getters = spawn_each(0..2, &queue, |queue, _| {
            assert!(queue.get().is_ok());
        });
        settle();
        queue.try_put(Tricky(0, mood.clone())).unwrap();
        assert_eq!((queue.len(), queue.is_full()), (3, false));
        assert!(getters.iter().all(|getter| !getter.is_finished()));
        // One that is thrown out of its comparison leaves its value to others.
        getters[0].cancel();
        settle();
        assert!(getters[0].is_finished());
        mood.store(0, SeqCst);
        let mut left: Vec<_> = queue.try_iter().map(|it| it.0).collect();
        left.sort_unstable();
        let got = getters
            .into_iter()
            .map(JoinHandle::join)
            .filter(Result::is_ok)
            .count();
        assert_eq!(left.len() + got, 3);
    });
}

// ── A rendezvous

#[test]
fn who_puts_waits_until_it_is_got() {
    everywhere(|crew| {
        let channel = Arc::new(Channel::new());
        let got = Arc::new(AtomicUsize::new(0));
        let (theirs, count) = (channel.clone(), got.clone());
        let putter = crew.spawn(move || {
            for number in 0..50 {
                theirs.put(number).unwrap();
                // The getter has asked for this one, or has counted it already.
                assert!(count.load(SeqCst) >= number);
            }
        });
        for number in 0..50 {
            assert_eq!(channel.get(), Ok(number));
            got.fetch_add(1, SeqCst);
        }
        putter.join();
    });
}

#[test]
fn a_channel_holds_nothing() {
    run(|| {
        let channel = Arc::new(Channel::new());
        assert_eq!(channel.try_put(1), Err(TryPutError::Full(1)));
        assert_eq!(
            channel.put_timeout(2, MOMENT),
            Err(PutTimeoutError::Timeout(2))
        );
        assert_eq!(channel.try_get(), Err(TryGetError::Empty));
        assert_eq!(channel.get_timeout(MOMENT), Err(GetTimeoutError::Timeout));

        // All that wait to put are there for who tries to get, in their order.
        let putters = spawn_each(3..6, &channel, |channel, number| {
            channel.put(number).unwrap();
        });
        settle();
        assert_eq!(putters[0].state(), State::Waiting(Reason::QueuePut));
        assert_eq!(channel.try_iter().collect::<Vec<_>>(), [3, 4, 5]);
        join_all(putters);

        // All that wait to get are there for who tries to put.
        let getters = spawn_each(6..8, &channel, |channel, number| {
            assert_eq!(channel.get(), Ok(number));
        });
        settle();
        channel.try_put(6).unwrap();
        channel.try_put(7).unwrap();
        assert_eq!(channel.try_put(8), Err(TryPutError::Full(8)));
        join_all(getters);

        let putter = spawn_each(9..10, &channel, |channel, number| {
            channel.put(number).unwrap();
        });
        settle();
        putter[0].cancel();
        settle();
        assert_eq!(channel.try_get(), Err(TryGetError::Empty));
        channel.close();
        assert_eq!(channel.try_get(), Err(TryGetError::Closed));
        assert_eq!(channel.try_put(10), Err(TryPutError::Closed(10)));
        assert_eq!((&*channel).into_iter().count(), 0);
    });
}

// ── Selects

#[test]
fn a_select_gets_from_whichever_queue_has_something() {
    run(|| {
        let (queue, sorted) = (Arc::new(Queue::new(1)), Arc::new(PriorityQueue::new(1)));
        let (stack, channel) = (Arc::new(LifoQueue::new(1)), Arc::new(Channel::new()));
        let get = || {
            select! {
                get(queue) -> value => value.map(|value| ("queue", value)),
                get(sorted) -> value => value.map(|value| ("sorted", value)),
                get(stack) -> value => value.map(|value| ("stack", value)),
                get(channel) -> value => value.map(|value| ("channel", value)),
                default => Ok(("none", 0)),
            }
        };
        assert_eq!(get(), Ok(("none", 0)));
        stack.put(1).unwrap();
        assert_eq!(get(), Ok(("stack", 1)));
        sorted.put(2).unwrap();
        assert_eq!(get(), Ok(("sorted", 2)));
        queue.put(3).unwrap();
        assert_eq!(get(), Ok(("queue", 3)));
        let putters = spawn_each(4..6, &channel, |channel, number| {
            channel.put(number).unwrap();
        });
        settle();
        assert_eq!(get(), Ok(("channel", 4)));
        assert_eq!(get(), Ok(("channel", 5)));
        join_all(putters);
        sorted.close();
        assert_eq!(get(), Err(Closed));
        assert!([queue.len(), stack.len()] == [0, 0]);
    });
}

/// It is passed over by who puts into the others.
#[test]
fn a_select_that_got_leaves_nothing_in_the_other_lines() {
    run(|| {
        let (first, second) = (Arc::new(Queue::new(1)), Arc::new(Channel::new()));
        let (one, other) = (first.clone(), second.clone());
        let selects = thread::spawn(move || {
            select! {
                get(one) -> value => value.unwrap(),
                get(other) -> value => value.unwrap(),
            }
        });
        settle();
        assert_eq!(selects.state(), State::Waiting(Reason::Select));
        first.put(1).unwrap();
        // It was chosen, and has not run yet.
        assert_eq!(second.try_put(2), Err(TryPutError::Full(2)));
        assert_eq!(selects.join().unwrap(), 1);
        assert_eq!(second.try_put(3), Err(TryPutError::Full(3)));
        first.put(4).unwrap();
        assert_eq!(first.len(), 1);
    });
}

#[test]
fn a_select_puts_into_whichever_queue_has_room() {
    run(|| {
        let (full, channel) = (Arc::new(Queue::new(1)), Arc::new(Channel::new()));
        full.put(0).unwrap();
        let put = |full: &Queue<u32>, channel: &Channel<u32>, number| {
            select! {
                put(full, number) -> put => put.map(|()| "full"),
                put(channel, number + 1) -> put => put.map(|()| "channel"),
                after(MOMENT) => Ok("nobody"),
            }
        };
        assert_eq!(put(&full, &channel, 10), Ok("nobody"));
        // Its offers are gone.
        assert_eq!(channel.try_get(), Err(TryGetError::Empty));
        assert_eq!(full.try_iter().collect::<Vec<_>>(), [0]);
        assert_eq!(put(&full, &channel, 20), Ok("full"));

        // A getter that waits, one that comes, and a place that comes.
        let getter = spawn_each(0..1, &channel, |channel, _| {
            assert_eq!(channel.get(), Ok(31));
        });
        settle();
        assert_eq!(put(&full, &channel, 30), Ok("channel"));
        join_all(getter);
        let pair = Arc::new((full.clone(), channel.clone()));
        let puts = |pair: &Pair, number| {
            let ended = select! {
                put(pair.0, number) -> put => put.map(|()| "full"),
                put(pair.1, number + 1) -> put => put.map(|()| "channel"),
            };
            let expected = if number == 40 { "channel" } else { "full" };
            assert_eq!(ended, Ok(expected));
        };
        let putters = spawn_each([40, 50], &pair, puts);
        settle();
        assert_eq!(putters[0].state(), State::Waiting(Reason::Select));
        assert_eq!(channel.try_get(), Ok(41));
        assert_eq!(full.get(), Ok(20));
        // The first one was passed over.
        assert_eq!(full.try_get(), Ok(50));
        join_all(putters);
        assert_eq!(channel.try_get(), Err(TryGetError::Empty));
    });
}

type Pair = (Arc<Queue<u32>>, Arc<Channel<u32>>);

#[test]
fn a_select_that_could_not_put_has_the_value_back() {
    run(|| {
        let (queue, quit) = (Arc::new(Queue::new(1)), Arc::new(Queue::<u32>::new(1)));
        queue.put(String::from("there")).unwrap();
        let (theirs, quits) = (queue.clone(), quit.clone());
        let selects = thread::spawn(move || {
            let mut next = Some(String::from("next"));
            select! {
                put_from(theirs, next) -> put => put.unwrap(),
                get(quits) -> end => assert_eq!(end, Err(Closed)),
            }
            next
        });
        settle();
        quit.close();
        assert_eq!(selects.join().unwrap().unwrap(), "next");

        let theirs = queue.clone();
        let selects = thread::spawn(move || {
            select! {
                put(theirs, String::from("last")) -> put => put.unwrap_err().into_inner(),
            }
        });
        settle();
        queue.close();
        assert_eq!(selects.join().unwrap(), "last");
        assert_eq!(queue.iter().collect::<Vec<_>>(), ["there"]);
    });
}

/// One puts and one gets, each by a select with other cases; but none serves itself.
#[test]
fn two_selects_meet_at_a_channel() {
    everywhere(|crew| {
        let (channel, other) = (Arc::new(Channel::new()), Arc::new(Channel::<u32>::new()));
        let (theirs, others) = (channel.clone(), other.clone());
        let putter = crew.spawn(move || {
            for number in 0..50 {
                select! {
                    put(theirs, number) -> put => put.unwrap(),
                    get(others) -> _ => unreachable!("nobody puts there"),
                }
            }
        });
        for number in 0..50 {
            select! {
                get(other) -> _ => unreachable!("nobody puts there"),
                get(channel) -> got => assert_eq!(got, Ok(number)),
            }
        }
        putter.join();
        let alone = select! {
            get(channel) -> _ => "got",
            put(channel, 1) -> _ => "put",
            after(MOMENT) => "neither",
        };
        assert_eq!(alone, "neither");
    });
}

// ── The user's code

/// Uses the queue it was in when it is dropped, and waits.
struct Intruder(Arc<Queue<Option<Intruder>>>);

impl Drop for Intruder {
    fn drop(&mut self) {
        assert!(self.0.len() < 10);
        thread::yield_now();
        let _ = self.0.try_put(None);
    }
}

#[test]
fn destructors_may_use_the_queue() {
    run(|| {
        let queue = Arc::new(Queue::new(1));
        queue.put(Some(Intruder(queue.clone()))).unwrap();
        let refused = queue.try_put(Some(Intruder(queue.clone())));
        drop(refused);
        let late = queue.put_timeout(Some(Intruder(queue.clone())), MOMENT);
        drop(late);
        // The value of a putter that is thrown out.
        let theirs = queue.clone();
        let putter = thread::spawn(move || {
            let value = Some(Intruder(theirs.clone()));
            drop(theirs.put(value));
        });
        settle();
        putter.cancel();
        assert!(putter.join().is_err());
        drop(queue.get());
        queue.close();
        drop(queue.close_now());
    });
}

#[test]
fn a_queue_that_goes_drops_its_values() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let (queue, stack) = (Queue::new(3), LifoQueue::unbounded());
    for _ in 0..3 {
        queue.put(Counted(dropped.clone())).unwrap();
        stack.put(Counted(dropped.clone())).unwrap();
    }
    drop(queue.get());
    assert_eq!(dropped.load(SeqCst), 1);
    drop((queue, stack));
    assert_eq!(dropped.load(SeqCst), 6);
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

// ── Stress

/// What became of each value that was ever made.
struct Ledger {
    fates: Vec<AtomicU8>,
    accepted: Vec<AtomicBool>,
    made: AtomicUsize,
}

const ALIVE: u8 = 0;
const GOT: u8 = 1;
const GIVEN_BACK: u8 = 2;
const DROPPED: u8 = 3;

/// A value that notes its own end.
struct Value {
    id: usize,
    ledger: Arc<Ledger>,
}

impl Ledger {
    fn new(size: usize) -> Arc<Ledger> {
        Arc::new(Ledger {
            fates: (0..size).map(|_| AtomicU8::new(ALIVE)).collect(),
            accepted: (0..size).map(|_| AtomicBool::new(false)).collect(),
            made: AtomicUsize::new(0),
        })
    }

    /// The next value, until all are made.
    fn make(self: &Arc<Ledger>) -> Option<Value> {
        let id = self.made.fetch_add(1, SeqCst);
        let ledger = self.clone();
        (id < self.fates.len()).then(|| Value { id, ledger })
    }

    fn accept(&self, id: usize) {
        self.accepted[id].store(true, SeqCst);
    }

    /// Every value that was made has one end; one that was accepted was got; and what was dropped was a putter's
    /// that was thrown out. Returns how many were got, given back, and dropped.
    fn close(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        let made = self.made.load(SeqCst).min(self.fates.len());
        for id in 0..made {
            let fate = self.fates[id].load(SeqCst);
            assert_ne!(fate, ALIVE, "value {id} has no end");
            if self.accepted[id].load(SeqCst) {
                assert_eq!(fate, GOT, "value {id} was accepted, and is lost");
            }
            counts[usize::from(fate) - 1] += 1;
        }
        assert_eq!(counts.iter().sum::<usize>(), made);
        counts
    }
}

impl Value {
    #[track_caller]
    fn ends(self, fate: u8) {
        let before = self.ledger.fates[self.id].swap(fate, SeqCst);
        assert_eq!(before, ALIVE, "value {} ends twice", self.id);
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        let fate = &self.ledger.fates[self.id];
        let _ = fate.compare_exchange(ALIVE, DROPPED, SeqCst, SeqCst);
    }
}

// A queue with priorities takes them in a disorder of its own.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.id == other.id
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Value) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Value) -> Ordering {
        (self.id % 17, self.id).cmp(&(other.id % 17, other.id))
    }
}

#[test]
fn stress_of_a_bounded_queue() {
    stress(|| Queue::new(2), 1);
}

#[test]
fn stress_of_an_unbounded_queue() {
    stress(Queue::unbounded, 2);
}

#[test]
fn stress_of_a_stack() {
    stress(|| LifoQueue::new(1), 3);
}

#[test]
fn stress_of_a_queue_with_priorities() {
    stress(|| PriorityQueue::new(3), 4);
}

#[test]
fn stress_of_a_rendezvous() {
    stress(Channel::new, 5);
}

/// Four hubs and two plain OS threads put and get in all ways, for a third of a second or so, while random ones are cancelled
/// and run out of time.
fn stress<Q: Kind>(make: impl Fn() -> Q, seed: u64) {
    let until = Instant::now() + Duration::from_millis(scaled(300) as u64);
    let mut totals = [0; 3];
    must_end(|| {
        four_hubs_and_two_plain(|crew| {
            // Each round ends with a queue that is closed while they use it.
            for round in 0.. {
                let seed = seed * 1000 + round;
                let (queue, ledger) = (Arc::new(make()), Ledger::new(600));
                let members: Vec<_> = (0..12)
                    .map(|place| {
                        let (queue, ledger) = (queue.clone(), ledger.clone());
                        let numbers = Numbers::new(seed * 12 + place);
                        crew.spawn(move || match place % 2 {
                            0 => keep_putting(&queue, &ledger, numbers),
                            _ => keep_getting(&queue, numbers),
                        })
                    })
                    .collect();
                let (mut putters, mut getters) = (Vec::new(), Vec::new());
                for (place, member) in members.into_iter().enumerate() {
                    match place % 2 {
                        0 => putters.push(member),
                        _ => getters.push(member),
                    }
                }
                if round % 4 == 3 {
                    crew::until(|| ledger.made.load(SeqCst) > 300);
                    queue.close();
                }
                putters.into_iter().for_each(Member::join);
                queue.close();
                getters.into_iter().for_each(Member::join);
                assert!(queue.get().is_err());
                assert!(queue.all_is_done());
                let counts = ledger.close();
                totals = std::array::from_fn(|fate| totals[fate] + counts[fate]);
                // However slow it is: some of the rounds must close a queue in the midst.
                if round >= 7 && Instant::now() > until {
                    break;
                }
            }
        });
    });
    // Whatever may become of a value did become of some.
    assert!(totals.iter().all(|total| *total > 0), "{totals:?}");
}

fn keep_putting<Q: Kind>(queue: &Arc<Q>, ledger: &Arc<Ledger>, mut numbers: Numbers) {
    while let Some(value) = ledger.make() {
        let id = value.id;
        let soon = Duration::from_micros(numbers.below(200));
        let given_back = match numbers.below(7) {
            0 => queue.try_put(value).err().map(TryPutError::into_inner),
            1 => {
                let put = queue.put_timeout(value, soon);
                put.err().map(PutTimeoutError::into_inner)
            }
            2 => match timeout(soon, || queue.put(value)) {
                Ok(put) => put.err().map(PutError::into_inner),
                Err(_) => continue,
            },
            3 => {
                let (queue, ledger) = (queue.clone(), ledger.clone());
                let putter = thread::spawn(move || match queue.put(value) {
                    Ok(()) => ledger.accept(id),
                    Err(error) => error.into_inner().ends(GIVEN_BACK),
                });
                cancelled(putter, &mut numbers);
                continue;
            }
            4 => {
                let mut slot = Some(value);
                let put = queue.select_put(&mut slot, soon);
                put.err().map(PutError::into_inner).or(slot)
            }
            _ => queue.put(value).err().map(PutError::into_inner),
        };
        match given_back {
            None => ledger.accept(id),
            Some(value) => value.ends(GIVEN_BACK),
        }
        assert!(queue.is_within_bounds());
    }
}

fn keep_getting<Q: Kind>(queue: &Arc<Q>, mut numbers: Numbers) {
    let got = |queue: &Q, value: Value| {
        value.ends(GOT);
        queue.task_done();
    };
    loop {
        let soon = Duration::from_micros(numbers.below(200));
        match numbers.below(8) {
            0 => match queue.try_get() {
                Ok(value) => got(queue, value),
                Err(TryGetError::Empty) => thread::yield_now(),
                Err(TryGetError::Closed) => return,
            },
            1 => match queue.get_timeout(soon) {
                Ok(value) => got(queue, value),
                Err(GetTimeoutError::Timeout) => {}
                Err(GetTimeoutError::Closed) => return,
            },
            2 => {
                let get = || queue.get().map(|value| got(queue, value));
                if let Ok(Err(Closed)) = timeout(soon, get) {
                    return;
                }
            }
            3 => {
                let queue = queue.clone();
                let getter = thread::spawn(move || {
                    if let Ok(value) = queue.get() {
                        got(&queue, value);
                    }
                });
                cancelled(getter, &mut numbers);
            }
            4 => queue.peek(),
            5 => match queue.select(soon) {
                None => {}
                Some(Ok(value)) => got(queue, value),
                Some(Err(Closed)) => return,
            },
            _ => match queue.get() {
                Ok(value) => got(queue, value),
                Err(Closed) => return,
            },
        }
    }
}

/// Cancels it after a random while, and waits for its end.
fn cancelled(task: JoinHandle<()>, numbers: &mut Numbers) {
    for _ in 0..numbers.below(4) {
        thread::yield_now();
    }
    task.cancel();
    if let Err(payload) = task.join() {
        assert!(payload.is::<Cancelled>(), "it panicked");
    }
}

#[test]
fn getters_of_a_queue_with_priorities_share_the_work_on_all_hubs() {
    let share = || {
        let queue = Arc::new(PriorityQueue::unbounded());
        let count = scaled(4000);
        let getters: Vec<_> = (0..4)
            .map(|_| {
                let queue = queue.clone();
                thread::spawn(move || queue.iter().count())
            })
            .collect();
        for number in 0..count {
            queue.put(number * 7919 % 1000).unwrap();
        }
        queue.close();
        let got: usize = getters
            .into_iter()
            .map(|getter| getter.join().unwrap())
            .sum();
        assert_eq!(got, count);
    };
    must_end(|| on_hubs(4, share));
}

// ── Helpers

fn run(test: impl FnOnce()) {
    must_end(|| sylvan::run(test));
}

fn everywhere(test: impl Fn(&Crew)) {
    must_end(|| crew::everywhere(test));
}

/// A green thread for each number, in their order.
fn spawn_each<Q: Send + Sync + 'static>(
    numbers: impl IntoIterator<Item = u32>,
    queue: &Arc<Q>,
    f: impl Fn(&Q, u32) + Copy + Send + 'static,
) -> Vec<JoinHandle<()>> {
    let spawn = |number| {
        let queue = queue.clone();
        thread::spawn(move || f(&queue, number))
    };
    numbers.into_iter().map(spawn).collect()
}

fn join_all(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        task.join().unwrap();
    }
}

/// The value of the first run lay in that run's offer, and the case was never done again.
#[test]
fn a_builder_used_again_puts_what_it_could_not_put_before() {
    let queue = Queue::new(1);
    queue.put(1).unwrap();
    let mut select = Select::new();
    select.send(&queue, 2, |put| put.is_ok());
    assert_eq!(select.try_select(), None);
    assert_eq!(select.select_timeout(Duration::from_millis(1)), None);
    assert_eq!(queue.get(), Ok(1));
    assert_eq!(select.try_select(), Some(true));
    assert_eq!(queue.get(), Ok(2));
}
