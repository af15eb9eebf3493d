//! The life of a green thread as its handle sees it: pending, running, waiting, and one of three ends.
//! Callbacks are told of the end before joiners are.
//!
//! Run it: `cargo run --example task_states`

#![forbid(unsafe_code)]

use std::time::Duration;

use sylvan::task::{self, WaitFor};
use sylvan::thread::{self, JoinHandle};

fn main() {
    // Who receives a panic tells of it. Nobody receives main's.
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if thread::current().name() == Some("main") {
            tell(panic);
        }
    }));
    sylvan::run(|| {
        println!("one that returns");
        let task = thread::spawn(|| {
            println!("  itself: {}", state_of_current());
            thread::park();
            thread::sleep(Duration::from_millis(1));
            3 + 4
        });
        println!("  spawned: {}", task.state());
        thread::yield_now(); // it runs until it waits
        println!("  parked: {}", task.state());
        task.thread().unpark();
        thread::yield_now();
        println!("  woken, and asleep: {}", task.state());
        watch_its_end(task);

        println!("one that panics");
        watch_its_end(thread::spawn(|| panic!("out of luck")));

        println!("one that is cancelled while it waits");
        let task = thread::spawn(|| {
            let _guard = SaysGoodbye;
            thread::sleep(Duration::from_secs(3600));
            unreachable!("nobody waits that long")
        });
        thread::yield_now();
        task.cancel();
        println!("  asked to end: {}", task.state());
        watch_its_end(task);

        println!("one that is cancelled before it starts");
        let task = thread::spawn(|| unreachable!("it never runs"));
        task.cancel();
        watch_its_end(task);
    });
}

/// Adds two callbacks, waits, and tells how it ended.
fn watch_its_end(task: JoinHandle<i32>) {
    for number in 1..=2 {
        task.on_done(move |result| println!("  callback {number}: {}", outcome(result)));
    }
    // This waits, and gives the handle back; `join` would give the result.
    let (mut done, _) = task::wait([task], WaitFor::All, None);
    let task = done.remove(0);
    println!("  at the end: {}", task.state());
    println!("  joined: {}", outcome(&task.join()));
}

fn outcome(result: &thread::Result<i32>) -> String {
    match result {
        Ok(value) => format!("it returned {value}"),
        Err(payload) if payload.is::<task::Cancelled>() => "it was cancelled".to_owned(),
        Err(payload) => match payload.downcast_ref::<&str>() {
            Some(message) => format!("it panicked: {message}"),
            None => "it panicked".to_owned(),
        },
    }
}

/// A handle tells the state, and so does the list of all.
fn state_of_current() -> task::State {
    let id = thread::current().id();
    let mut all = task::all().into_iter();
    let current = all.find(|task| task.id() == id);
    current.expect("it is alive").state()
}

struct SaysGoodbye;

impl Drop for SaysGoodbye {
    fn drop(&mut self) {
        println!("  its destructors run");
    }
}
