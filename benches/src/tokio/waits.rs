//! Channels, locks and time.

use std::future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};
use sylvan_benches::arguments::Arguments;
use sylvan_benches::machine;
use sylvan_benches::outcome::{Meter, Outcome, overshoots};
use sylvan_benches::random;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel, unbounded_channel};
use tokio::task::yield_now;
use tokio::time;

use super::LIMIT;

pub fn pingpong(arguments: &Arguments) -> Outcome {
    let count: u64 = arguments.number("count", 2_000_000);
    let timeout = arguments.flag("timeout");
    super::run(arguments, async move {
        let (to_pong, at_pong) = channel(1);
        let (to_ping, at_ping) = channel(1);
        let meter = Meter::start();
        let ping = tokio::spawn(ping(count, to_pong, at_ping, timeout));
        let pong = tokio::spawn(pong(count, to_ping, at_pong, timeout));
        ping.await.unwrap();
        pong.await.unwrap();
        meter.stop(count)
    })
}

async fn ping(count: u64, sender: Sender<u64>, mut receiver: Receiver<u64>, timeout: bool) {
    for number in 0..count {
        sender.send(number).await.unwrap();
        receive(&mut receiver, timeout).await;
    }
}

async fn pong(count: u64, sender: Sender<u64>, mut receiver: Receiver<u64>, timeout: bool) {
    for _ in 0..count {
        let number = receive(&mut receiver, timeout).await;
        sender.send(number).await.unwrap();
    }
}

async fn receive(receiver: &mut Receiver<u64>, timeout: bool) -> u64 {
    if timeout {
        time::timeout(LIMIT, receiver.recv())
            .await
            .unwrap()
            .unwrap()
    } else {
        receiver.recv().await.unwrap()
    }
}

/// Two runtimes of the current-thread flavour, on OS threads that keep to a core each.
pub fn wake(arguments: &Arguments) -> Outcome {
    let count: u64 = arguments.number("count", 100_000);
    let (to_pong, at_pong) = channel(1);
    let (to_ping, at_ping) = channel(1);
    let meter = Meter::start();
    let other = thread::spawn(move || {
        // Where there is one core only, they share it.
        let _ = machine::pin(1);
        super::current_thread().block_on(pong(count, to_ping, at_pong, false));
    });
    let _ = machine::pin(0);
    super::current_thread().block_on(ping(count, to_pong, at_ping, false));
    other.join().unwrap();
    meter.stop(count)
}

pub fn stream(arguments: &Arguments) -> Outcome {
    let count: u64 = arguments.number("count", 10_000_000);
    super::run(arguments, async move {
        let (sender, mut receiver) = unbounded_channel();
        let meter = Meter::start();
        let from = tokio::spawn(async move { (0..count).for_each(|it| sender.send(it).unwrap()) });
        let to = tokio::spawn(async move {
            let mut sum = 0_u64;
            while let Some(it) = receiver.recv().await {
                sum = sum.wrapping_add(it);
            }
            sum
        });
        from.await.unwrap();
        black_box(to.await.unwrap());
        meter.stop(count)
    })
}

pub fn select(arguments: &Arguments) -> Outcome {
    let each: u64 = arguments.number("count", 2_000_000) / 2;
    super::run(arguments, async move {
        let (left, mut lefts) = channel(1);
        let (right, mut rights) = channel(1);
        let meter = Meter::start();
        let senders = [left, right].map(|sender| {
            tokio::spawn(async move {
                for it in 0..each {
                    sender.send(it).await.unwrap();
                }
                // They keep their ends: a closed channel is always ready.
                sender
            })
        });
        let to = tokio::spawn(async move {
            let mut sum = 0_u64;
            for _ in 0..2 * each {
                let it = tokio::select! {
                    it = lefts.recv() => it,
                    it = rights.recv() => it,
                };
                sum = sum.wrapping_add(it.unwrap_or(0));
            }
            sum
        });
        let mut ends = Vec::new();
        for sender in senders {
            ends.push(sender.await.unwrap());
        }
        black_box(to.await.unwrap());
        drop(ends);
        meter.stop(2 * each)
    })
}

pub fn mutex(arguments: &Arguments) -> Outcome {
    let tasks: u64 = arguments.number("tasks", 1000);
    let each: u64 = arguments.number("each", 1000);
    let yielding = arguments.flag("yield");
    super::run(arguments, async move {
        let counter = Arc::new(Mutex::new(0));
        let meter = Meter::start();
        let tasks: Vec<_> = (0..tasks)
            .map(|_| {
                let counter = counter.clone();
                tokio::spawn(async move {
                    for _ in 0..each {
                        count_up(&counter, yielding).await;
                    }
                })
            })
            .collect();
        let count = tasks.len() as u64 * each;
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*counter.lock().await, count);
        meter.stop(count)
    })
}

async fn count_up(counter: &Mutex<u64>, yielding: bool) {
    let mut counter = counter.lock().await;
    *counter += 1;
    if yielding {
        yield_now().await;
    }
}

pub fn lock(arguments: &Arguments) -> Outcome {
    let count: u64 = arguments.number("count", 10_000_000);
    super::run(arguments, async move {
        let counter = Mutex::new(0);
        let meter = Meter::start();
        for _ in 0..count {
            count_up(black_box(&counter), false).await;
        }
        meter.stop(count)
    })
}

pub fn sleeps(arguments: &Arguments) -> Outcome {
    let sleeps = random::sleeps(arguments.number("tasks", 100_000));
    let longest = Duration::from_micros(sleeps.iter().copied().max().unwrap_or(0));
    super::run(arguments, async move {
        let meter = Meter::start();
        let tasks: Vec<_> = sleeps
            .into_iter()
            .map(|micros| tokio::spawn(sleep(Duration::from_micros(micros))))
            .collect();
        let mut late = Vec::with_capacity(tasks.len());
        for task in tasks {
            late.push(task.await.unwrap());
        }
        overshoots(late, &meter, longest)
    })
}

/// Returns how much too long it was, in microseconds.
async fn sleep(duration: Duration) -> u64 {
    let begun = Instant::now();
    time::sleep(duration).await;
    (begun.elapsed() - duration).as_micros() as u64
}

/// A timer that is set and dropped; or a limit of ten seconds around what waits for the others' turn.
pub fn timer(arguments: &Arguments) -> Outcome {
    let count: u64 = arguments.number("count", 1_000_000);
    let waiting = arguments.flag("wait");
    super::run(arguments, async move {
        // Somebody else there, so that a turn is a turn.
        let others = if waiting { count } else { 0 };
        tokio::spawn(async move {
            for _ in 0..others {
                yield_now().await;
            }
        });
        let meter = Meter::start();
        for _ in 0..count {
            if waiting {
                time::timeout(LIMIT, yield_now()).await.unwrap();
            } else {
                set_and_drop().await;
            }
        }
        meter.stop(count)
    })
}

/// A timer is set when it is first polled.
async fn set_and_drop() {
    let mut timer = pin!(time::sleep(LIMIT));
    future::poll_fn(|context| {
        assert!(timer.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}
