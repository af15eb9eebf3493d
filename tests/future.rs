//! `future::block_on`: who wakes it, how often, and what becomes of the future.

mod support;

use std::cell::Cell;
use std::future::{self, Future, IntoFuture};
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use support::{HOUR, Numbers, must_end, scaled};
use sylvan::future::block_on;
use sylvan::runtime::Runtime;
use sylvan::sync::mpsc;
use sylvan::task::{Cancelled, Reason};
use sylvan::time::timeout;
use sylvan::{task, thread};

const SHORT: Duration = Duration::from_millis(3);

/// On one hub, on four, and on a plain OS thread.
fn everywhere(test: impl Fn()) {
    must_end(|| {
        sylvan::run(&test);
        on_four_hubs(&test);
        test();
    });
}

fn on_four_hubs(test: impl FnOnce()) {
    let runtime = Runtime::builder().workers(4).build().unwrap();
    runtime.run(test);
    runtime.close();
}

/// A place for one value, which a future waits for: the smallest channel there is.
struct Slot<T>(Mutex<(Option<T>, Option<Waker>)>);

impl<T> Slot<T> {
    fn new() -> Arc<Slot<T>> {
        Arc::new(Slot(Mutex::new((None, None))))
    }

    fn put(&self, value: T) {
        let mut slot = self.0.lock().unwrap();
        slot.0 = Some(value);
        let waker = slot.1.take();
        drop(slot);
        waker.into_iter().for_each(Waker::wake);
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<T> {
        let mut slot = self.0.lock().unwrap();
        if let Some(value) = slot.0.take() {
            return Poll::Ready(value);
        }
        slot.1 = Some(context.waker().clone());
        Poll::Pending
    }

    /// A future of the next value.
    async fn get(&self) -> T {
        future::poll_fn(|context| self.poll(context)).await
    }

    /// Waits until a future has been polled and was not ready.
    fn until_polled(&self) {
        while self.0.lock().unwrap().1.is_none() {
            thread::yield_now();
        }
    }
}

/// Never ready. It hands its waker out, and counts its polls and its drop.
#[derive(Clone, Default)]
struct Never(Arc<Counts>);

#[derive(Default)]
struct Counts {
    polls: AtomicUsize,
    drops: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

struct NeverFuture(Arc<Counts>);

impl Never {
    fn future(&self) -> NeverFuture {
        NeverFuture(self.0.clone())
    }

    fn polls(&self) -> usize {
        self.0.polls.load(SeqCst)
    }

    fn drops(&self) -> usize {
        self.0.drops.load(SeqCst)
    }

    fn until_polled(&self, polls: usize) {
        while self.polls() < polls {
            thread::yield_now();
        }
    }

    fn waker(&self) -> Waker {
        self.0.waker.lock().unwrap().clone().unwrap()
    }
}

impl Future for NeverFuture {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        *self.0.waker.lock().unwrap() = Some(context.waker().clone());
        self.0.polls.fetch_add(1, SeqCst);
        Poll::Pending
    }
}

impl Drop for NeverFuture {
    fn drop(&mut self) {
        // Also this may wait, during an unwinding as well.
        thread::yield_now();
        task::mask(|| thread::sleep(Duration::from_millis(1)));
        self.0.drops.fetch_add(1, SeqCst);
    }
}

/// Wakes itself so many times, then is ready.
async fn yields(times: usize) -> usize {
    for _ in 0..times {
        let mut woken = false;
        future::poll_fn(|context| {
            context.waker().wake_by_ref();
            if std::mem::replace(&mut woken, true) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
    times
}

// Who wakes it.

#[test]
fn plain_and_green_threads_wake_it() {
    everywhere(|| {
        for n in 0..20 {
            let slot = Slot::new();
            let theirs = slot.clone();
            let put = move || {
                theirs.until_polled();
                theirs.put(n);
            };
            if n % 2 == 0 {
                let plain = std::thread::spawn(put);
                assert_eq!(block_on(slot.get()), n);
                plain.join().unwrap();
            } else {
                let green = thread::spawn(put);
                assert_eq!(block_on(async { slot.get().await }), n);
                green.join().unwrap();
            }
        }
    });
}

#[test]
fn a_waiting_future_suspends_only_its_own_thread() {
    must_end(|| {
        sylvan::run(|| {
            let slots: Vec<_> = (0..100).map(|_| Slot::new()).collect();
            let waiters: Vec<_> = slots
                .iter()
                .map(|slot| {
                    let slot = slot.clone();
                    thread::spawn(move || block_on(slot.get()))
                })
                .collect();
            slots.iter().for_each(|slot| slot.until_polled());
            let plain = std::thread::spawn(move || {
                for (n, slot) in slots.iter().enumerate().rev() {
                    slot.put(n);
                }
            });
            for (n, waiter) in waiters.into_iter().enumerate() {
                assert_eq!(waiter.join().unwrap(), n);
            }
            plain.join().unwrap();
        });
    });
}

#[test]
fn a_ready_future_does_not_suspend_beyond_the_budget() {
    must_end(|| {
        sylvan::run(|| {
            let ran = Rc::new(Cell::new(false));
            let theirs = ran.clone();
            // With a fresh budget.
            thread::yield_now();
            let other = thread::spawn_local(move || theirs.set(true));
            for n in 0..50 {
                assert_eq!(block_on(future::ready(n)), n);
            }
            assert!(!ran.get(), "it suspended");
            for n in 0..1000 {
                assert_eq!(block_on(async move { n }), n);
            }
            assert!(ran.get(), "a long series of them keeps the hub");
            other.join().unwrap();
        });
        assert_eq!(block_on(future::ready(1)), 1);
    });
}

#[test]
fn a_future_that_wakes_itself_lets_others_run() {
    everywhere(|| assert_eq!(block_on(yields(scaled(10_000))), scaled(10_000)));
    must_end(|| {
        sylvan::run(|| {
            let turns = Rc::new(Cell::new(0));
            let theirs = turns.clone();
            let other = thread::spawn_local(move || {
                for _ in 0..100 {
                    theirs.set(theirs.get() + 1);
                    thread::yield_now();
                }
            });
            block_on(yields(100));
            assert!(turns.get() >= 99);
            other.join().unwrap();
        });
    });
}

// How often.

#[test]
fn a_hundred_thousand_wakes_from_two_threads() {
    everywhere(|| {
        let wakes = scaled(50_000);
        let count = Arc::new(AtomicUsize::new(0));
        let waker: Arc<Mutex<Option<Waker>>> = Arc::default();
        let threads = [0, 1].map(|_| {
            let (count, waker) = (count.clone(), waker.clone());
            std::thread::spawn(move || {
                for _ in 0..wakes {
                    count.fetch_add(1, SeqCst);
                    let waker = waker.lock().unwrap().clone();
                    waker.into_iter().for_each(Waker::wake);
                }
            })
        });
        let mut polls = 0;
        block_on(future::poll_fn(|context| {
            polls += 1;
            *waker.lock().unwrap() = Some(context.waker().clone());
            if count.load(SeqCst) == 2 * wakes {
                return Poll::Ready(());
            }
            Poll::Pending
        }));
        assert!(polls <= 2 * wakes + 1, "it is polled when woken only");
        for thread in threads {
            sylvan::offload(|| thread.join().unwrap());
        }
    });
}

#[test]
fn no_wake_up_is_lost_however_it_meets_the_poll() {
    everywhere(|| {
        let rounds = scaled(5_000) as u64;
        let (slot, taken) = (Slot::new(), Arc::new(AtomicUsize::new(0)));
        let (theirs, is_taken) = (slot.clone(), taken.clone());
        let plain = std::thread::spawn(move || {
            let mut numbers = Numbers::new(1);
            for round in 0..rounds {
                for _ in 0..numbers.below(300) {
                    std::hint::spin_loop();
                }
                theirs.put(round);
                // Nothing but this one wake-up will come.
                while is_taken.load(SeqCst) as u64 <= round {
                    std::thread::yield_now();
                }
            }
        });
        block_on(async {
            for round in 0..rounds {
                assert_eq!(slot.get().await, round);
                taken.fetch_add(1, SeqCst);
            }
        });
        plain.join().unwrap();
    });
}

#[test]
fn the_users_park_token_has_no_part_in_it() {
    must_end(|| {
        on_four_hubs(|| {
            let never = Never::default();
            let theirs = never.clone();
            let task = thread::spawn(move || {
                let _ = timeout(HOUR, || block_on(theirs.future()));
            });
            never.until_polled(1);
            for _ in 0..10 {
                task.thread().unpark();
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(never.polls(), 1, "no waker was called");
            never.waker().wake_by_ref();
            never.until_polled(2);
            never.waker().wake();
            never.until_polled(3);
            task.cancel();
            task.join().unwrap_err();
        });
        everywhere(|| {
            // A token that was there stays, and wakers leave none.
            thread::current().unpark();
            block_on(yields(3));
            thread::park();
            block_on(yields(3));
            assert!(timeout(SHORT, thread::park).is_err());
        });
    });
}

// Its end.

#[test]
fn a_cancel_and_a_timeout_drop_the_future() {
    everywhere(|| {
        let never = Never::default();
        let late = timeout(SHORT, || block_on(never.future()));
        assert!(late.is_err());
        assert_eq!((never.polls(), never.drops()), (1, 1));
        let theirs = never.clone();
        let task = thread::spawn(move || block_on(theirs.future()));
        never.until_polled(2);
        task.cancel();
        assert!(task.join().unwrap_err().is::<Cancelled>());
        assert_eq!((never.polls(), never.drops()), (2, 2));
        // One that wakes itself for ever is ended as well.
        let late = timeout(SHORT, || {
            block_on(future::poll_fn(|context| {
                context.waker().wake_by_ref();
                Poll::<()>::Pending
            }));
        });
        assert!(late.is_err());
        assert_eq!(Reason::Future.to_string(), "future");
    });
}

#[test]
fn a_panic_of_the_future_is_the_callers() {
    everywhere(|| {
        let never = Never::default();
        let future = async {
            let _dropped = never.future();
            yields(1).await;
            panic::resume_unwind(Box::new(7));
        };
        let payload = panic::catch_unwind(AssertUnwindSafe(|| block_on(future)));
        let payload = payload.map(|never: ()| never).unwrap_err();
        assert_eq!(*payload.downcast::<i32>().unwrap(), 7);
        assert_eq!(never.drops(), 1);
    });
}

#[test]
fn a_waker_may_outlive_all_it_was_for() {
    everywhere(|| {
        let never = Never::default();
        // Its call.
        let _ = timeout(SHORT, || block_on(never.future()));
        let outlives = never.waker();
        outlives.wake_by_ref();
        assert!(
            timeout(SHORT, thread::park).is_err(),
            "it is nobody's token"
        );
        std::thread::spawn(move || outlives.wake()).join().unwrap();
        // Its thread, green or not.
        let theirs = never.clone();
        let task = thread::spawn(move || {
            let _ = timeout(SHORT, || block_on(theirs.future()));
        });
        task.join().unwrap();
        never.waker().wake();
        let theirs = never.clone();
        let plain = std::thread::spawn(move || {
            let _ = timeout(SHORT, || block_on(theirs.future()));
        });
        sylvan::offload(|| plain.join().unwrap());
        never.waker().wake();
        // Its runtime.
        let runtime = Runtime::builder().workers(2).build().unwrap();
        let theirs = never.clone();
        let before = never.polls();
        let task = runtime.handle().spawn(move || block_on(theirs.future()));
        let until_polled = never.clone();
        let watch = runtime
            .handle()
            .spawn(move || until_polled.until_polled(before + 1));
        watch.join().unwrap();
        runtime.close();
        assert!(task.join().unwrap_err().is::<Cancelled>());
        let outlives = never.waker();
        outlives.wake_by_ref();
        std::thread::spawn(move || outlives.wake()).join().unwrap();
        assert_eq!(never.drops(), never.polls());
    });
}

#[test]
fn wakes_that_race_with_the_end_of_the_thread_harm_nobody() {
    must_end(|| {
        on_four_hubs(|| {
            let (wakers, to_wake) = std::sync::mpsc::channel::<Waker>();
            let plain = std::thread::spawn(move || {
                for waker in to_wake {
                    waker.wake_by_ref();
                    std::thread::yield_now();
                    waker.wake();
                }
            });
            for n in 0..scaled(2_000) {
                let wakers = wakers.clone();
                let task = thread::spawn(move || {
                    let mut polls = 0;
                    block_on(future::poll_fn(|context| {
                        polls += 1;
                        if polls <= n % 3 {
                            wakers.send(context.waker().clone()).unwrap();
                            return Poll::Pending;
                        }
                        // This one comes too late.
                        wakers.send(context.waker().clone()).unwrap();
                        Poll::Ready(polls)
                    }))
                });
                assert!(task.join().unwrap() <= 3);
            }
            drop(wakers);
            sylvan::offload(|| plain.join().unwrap());
        });
    });
}

// What a future may be and do.

#[test]
fn calls_nest() {
    everywhere(|| {
        let (outer, inner) = (Slot::new(), Slot::new());
        let (outer2, inner2) = (outer.clone(), inner.clone());
        let plain = std::thread::spawn(move || {
            inner2.until_polled();
            // The outer call's waker while the inner one waits: it is not for that.
            outer2.put(1);
            inner2.put(2);
        });
        let sum = block_on(async {
            let first = future::poll_fn(|context| {
                let first = outer.poll(context);
                if first.is_pending() {
                    // A blocking call in the middle of a poll.
                    assert_eq!(block_on(inner.get()), 2);
                    assert_eq!(block_on(async { block_on(yields(3)) }), 3);
                }
                first
            })
            .await;
            first + 2
        });
        assert_eq!(sum, 3);
        sylvan::offload(|| plain.join().unwrap());
    });
}

#[test]
fn a_future_may_suspend_by_the_ways_of_green_threads() {
    everywhere(|| {
        let (sender, receiver) = mpsc::channel();
        let task = thread::spawn(move || {
            thread::sleep(SHORT);
            sender.send(5).unwrap();
        });
        let received = block_on(async {
            yields(2).await;
            thread::sleep(Duration::from_millis(1));
            receiver.recv().unwrap()
        });
        assert_eq!(received, 5);
        task.join().unwrap();
    });
}

#[test]
fn a_future_need_not_be_sent_nor_own_what_it_uses() {
    struct Becomes(Rc<Cell<u32>>);
    impl IntoFuture for Becomes {
        type Output = u32;
        type IntoFuture = Pin<Box<dyn Future<Output = u32>>>;

        fn into_future(self) -> Self::IntoFuture {
            Box::pin(async move {
                yields(2).await;
                self.0.get()
            })
        }
    }
    everywhere(|| {
        let number = Rc::new(Cell::new(3));
        assert_eq!(block_on(Becomes(number.clone())), 3);
        let borrowed = &number;
        block_on(async {
            yields(1).await;
            borrowed.set(4);
        });
        assert_eq!(number.get(), 4);
    });
}

#[test]
fn a_clone_wakes_as_well_and_more_than_once() {
    everywhere(|| {
        let ready = Arc::new(AtomicBool::new(false));
        let (theirs, wakers) = (ready.clone(), Arc::new(Mutex::new(Vec::<Waker>::new())));
        let to_wake = wakers.clone();
        let plain = std::thread::spawn(move || {
            while to_wake.lock().unwrap().is_empty() {
                std::thread::yield_now();
            }
            let waker = to_wake.lock().unwrap()[0].clone();
            // Too early, several times: it is polled again, and waits on.
            (0..10).for_each(|_| waker.wake_by_ref());
            assert!(waker.will_wake(&waker.clone()));
            theirs.store(true, SeqCst);
            waker.wake();
        });
        block_on(future::poll_fn(|context| {
            wakers.lock().unwrap().push(context.waker().clone());
            if ready.load(SeqCst) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
        plain.join().unwrap();
    });
}
