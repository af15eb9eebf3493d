//! Channels, locks and time.

use std::hint::black_box;
use std::time::{Duration, Instant};
use sylvan::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use sylvan::sync::select;
use sylvan::sync::{Arc, Mutex};
use sylvan::{thread, time};
use sylvan_benches::arguments::Arguments;
use sylvan_benches::machine;
use sylvan_benches::outcome::{Meter, Outcome, overshoots};
use sylvan_benches::random;

use super::LIMIT;

pub fn pingpong(arguments: &Arguments) -> Outcome {
    let count: u64 = arguments.number("count", 2_000_000);
    let timeout = arguments.flag("timeout");
    super::run(arguments, || {
        let (to_pong, at_pong) = sync_channel(1);
        let (to_ping, at_ping) = sync_channel(1);
        let meter = Meter::start();
        let ping = thread::spawn(move || ping(count, &to_pong, &at_ping, timeout));
        let pong = thread::spawn(move || pong(count, &to_ping, &at_pong, timeout));
        ping.join().unwrap();
        pong.join().unwrap();
        meter.stop(count)
    })
}

fn ping(count: u64, sender: &SyncSender<u64>, receiver: &Receiver<u64>, timeout: bool) {
    for number in 0..count {
        sender.send(number).unwrap();
        receive(receiver, timeout);
    }
}

fn pong(count: u64, sender: &SyncSender<u64>, receiver: &Receiver<u64>, timeout: bool) {
    for _ in 0..count {
        let number = receive(receiver, timeout);
        sender.send(number).unwrap();
    }
}

fn receive(receiver: &Receiver<u64>, timeout: bool) -> u64 {
    if timeout {
        receiver.recv_timeout(LIMIT).unwrap()
    } else {
        receiver.recv().unwrap()
    }
}

/// Two runtimes with a hub each, on OS threads that keep to a core each.
pub fn wake(arguments: &Arguments) -> Outcome {
    let count: u64 = arguments.number("count", 100_000);
    let (to_pong, at_pong) = sync_channel(1);
    let (to_ping, at_ping) = sync_channel(1);
    let meter = Meter::start();
    let other = std::thread::spawn(move || {
        // Where there is one core only, they share it.
        let _ = machine::pin(1);
        sylvan::run(|| pong(count, &to_ping, &at_pong, false));
    });
    let _ = machine::pin(0);
    sylvan::run(|| ping(count, &to_pong, &at_ping, false));
    other.join().unwrap();
    meter.stop(count)
}

pub fn stream(arguments: &Arguments) -> Outcome {
    let count: u64 = arguments.number("count", 10_000_000);
    super::run(arguments, || {
        let (sender, receiver) = channel();
        let meter = Meter::start();
        let from = thread::spawn(move || (0..count).for_each(|it| sender.send(it).unwrap()));
        let to = thread::spawn(move || receiver.iter().fold(0, u64::wrapping_add));
        from.join().unwrap();
        black_box(to.join().unwrap());
        meter.stop(count)
    })
}

pub fn select(arguments: &Arguments) -> Outcome {
    let each: u64 = arguments.number("count", 2_000_000) / 2;
    super::run(arguments, || {
        let (left, lefts) = sync_channel(1);
        let (right, rights) = sync_channel(1);
        let meter = Meter::start();
        // They keep their ends: a closed channel is always ready.
        let senders = [left, right].map(|sender| {
            thread::spawn(move || {
                (0..each).for_each(|it| sender.send(it).unwrap());
                sender
            })
        });
        let to = thread::spawn(move || {
            let mut sum = 0_u64;
            for _ in 0..2 * each {
                let it = select! {
                    recv(lefts) -> it => it,
                    recv(rights) -> it => it,
                };
                sum = sum.wrapping_add(it.unwrap_or(0));
            }
            sum
        });
        let ends = senders.map(|sender| sender.join().unwrap());
        black_box(to.join().unwrap());
        drop(ends);
        meter.stop(2 * each)
    })
}

pub fn mutex(arguments: &Arguments) -> Outcome {
    let tasks: u64 = arguments.number("tasks", 1000);
    let each: u64 = arguments.number("each", 1000);
    let yielding = arguments.flag("yield");
    super::run(arguments, || {
        let counter = Arc::new(Mutex::new(0));
        let meter = Meter::start();
        let tasks: Vec<_> = (0..tasks)
            .map(|_| {
                let counter = counter.clone();
                thread::spawn(move || (0..each).for_each(|_| count_up(&counter, yielding)))
            })
            .collect();
        let count = tasks.len() as u64 * each;
        for task in tasks {
            task.join().unwrap();
        }
        assert_eq!(*counter.lock().unwrap(), count);
        meter.stop(count)
    })
}

fn count_up(counter: &Mutex<u64>, yielding: bool) {
    let mut counter = counter.lock().unwrap();
    *counter += 1;
    if yielding {
        thread::yield_now();
    }
}

pub fn lock(arguments: &Arguments) -> Outcome {
    let count: u64 = arguments.number("count", 10_000_000);
    super::run(arguments, || {
        let counter = Mutex::new(0);
        let meter = Meter::start();
        (0..count).for_each(|_| count_up(black_box(&counter), false));
        meter.stop(count)
    })
}

pub fn sleeps(arguments: &Arguments) -> Outcome {
    let sleeps = random::sleeps(arguments.number("tasks", 100_000));
    let longest = Duration::from_micros(sleeps.iter().copied().max().unwrap_or(0));
    super::run(arguments, || {
        let meter = Meter::start();
        let tasks: Vec<_> = sleeps
            .into_iter()
            .map(|micros| thread::spawn(move || sleep(Duration::from_micros(micros))))
            .collect();
        let late = tasks.into_iter().map(|task| task.join().unwrap()).collect();
        overshoots(late, &meter, longest)
    })
}

/// Returns how much too long it was, in microseconds.
fn sleep(duration: Duration) -> u64 {
    let begun = Instant::now();
    thread::sleep(duration);
    (begun.elapsed() - duration).as_micros() as u64
}

/// A limit of ten seconds around what does not wait, or waits for the others' turn.
pub fn timer(arguments: &Arguments) -> Outcome {
    let count: u64 = arguments.number("count", 1_000_000);
    let waiting = arguments.flag("wait");
    super::run(arguments, || {
        // Somebody else there, so that a turn is a turn.
        let others = if waiting { count } else { 0 };
        thread::spawn(move || (0..others).for_each(|_| thread::yield_now()));
        let meter = Meter::start();
        for number in 0..count {
            if waiting {
                time::timeout(LIMIT, thread::yield_now).unwrap();
            } else {
                black_box(time::timeout(LIMIT, || black_box(number)).unwrap());
            }
        }
        meter.stop(count)
    })
}
