//! Channels, locks and time.

use may::sync::Mutex;
use may::sync::mpsc::{Receiver, Sender, channel};
use may::{coroutine, go};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use sylvan_benches::arguments::Arguments;
use sylvan_benches::outcome::{Meter, Outcome, overshoots};
use sylvan_benches::random;

use super::LIMIT;

/// may has no channel with a bound; with one message under way it makes no difference.
pub fn pingpong(arguments: &Arguments) -> Outcome {
    let count: u64 = arguments.number("count", 2_000_000);
    let timeout = arguments.flag("timeout");
    super::run(arguments, move || {
        let (to_pong, at_pong) = channel();
        let (to_ping, at_ping) = channel();
        let meter = Meter::start();
        let ping = go!(move || ping(count, &to_pong, &at_ping, timeout));
        let pong = go!(move || pong(count, &to_ping, &at_pong, timeout));
        ping.join().unwrap();
        pong.join().unwrap();
        meter.stop(count)
    })
}

fn ping(count: u64, sender: &Sender<u64>, receiver: &Receiver<u64>, timeout: bool) {
    for number in 0..count {
        sender.send(number).unwrap();
        receive(receiver, timeout);
    }
}

fn pong(count: u64, sender: &Sender<u64>, receiver: &Receiver<u64>, timeout: bool) {
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

/// Two workers. may moves coroutines between them as it likes, so not each message need cross.
pub fn wake(arguments: &Arguments) -> Outcome {
    let count: u64 = arguments.number("count", 100_000);
    may::config().set_workers(2);
    let (to_pong, at_pong) = channel();
    let (to_ping, at_ping) = channel();
    let meter = Meter::start();
    let ping = go!(move || ping(count, &to_pong, &at_ping, false));
    let pong = go!(move || pong(count, &to_ping, &at_pong, false));
    ping.join().unwrap();
    pong.join().unwrap();
    meter.stop(count)
}

pub fn stream(arguments: &Arguments) -> Outcome {
    let count: u64 = arguments.number("count", 10_000_000);
    super::run(arguments, move || {
        let (sender, receiver) = channel();
        let meter = Meter::start();
        let from = go!(move || (0..count).for_each(|it| sender.send(it).unwrap()));
        let to = go!(move || receiver.iter().fold(0, u64::wrapping_add));
        from.join().unwrap();
        black_box(to.join().unwrap());
        meter.stop(count)
    })
}

pub fn mutex(arguments: &Arguments) -> Outcome {
    let tasks: u64 = arguments.number("tasks", 1000);
    let each: u64 = arguments.number("each", 1000);
    let yielding = arguments.flag("yield");
    super::run(arguments, move || {
        let counter = Arc::new(Mutex::new(0));
        let meter = Meter::start();
        let tasks: Vec<_> = (0..tasks)
            .map(|_| {
                let counter = counter.clone();
                go!(move || (0..each).for_each(|_| count_up(&counter, yielding)))
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
        coroutine::yield_now();
    }
}

pub fn lock(arguments: &Arguments) -> Outcome {
    let count: u64 = arguments.number("count", 10_000_000);
    super::run(arguments, move || {
        let counter = Mutex::new(0);
        let meter = Meter::start();
        (0..count).for_each(|_| count_up(black_box(&counter), false));
        meter.stop(count)
    })
}

pub fn sleeps(arguments: &Arguments) -> Outcome {
    let sleeps = random::sleeps(arguments.number("tasks", 100_000));
    let longest = Duration::from_micros(sleeps.iter().copied().max().unwrap_or(0));
    super::run(arguments, move || {
        let meter = Meter::start();
        let tasks: Vec<_> = sleeps
            .into_iter()
            .map(|micros| go!(move || sleep(Duration::from_micros(micros))))
            .collect();
        let late = tasks.into_iter().map(|task| task.join().unwrap()).collect();
        overshoots(late, &meter, longest)
    })
}

/// Returns how much too long it was, in microseconds.
fn sleep(duration: Duration) -> u64 {
    let begun = Instant::now();
    coroutine::sleep(duration);
    (begun.elapsed() - duration).as_micros() as u64
}
