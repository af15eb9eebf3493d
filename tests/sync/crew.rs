//! Where a test runs, and how it starts others there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sylvan::runtime::Runtime;
use sylvan::thread;

/// Starts threads of the kind a test is run with.
pub struct Crew {
    /// Every so many-th is a plain OS thread; 0 for none.
    plain_every: usize,
    spawned: AtomicUsize,
}

/// A thread of either kind.
pub enum Member<T> {
    Green(thread::JoinHandle<T>),
    Plain(std::thread::JoinHandle<T>),
}

impl Crew {
    fn new(plain_every: usize) -> Crew {
        Crew {
            plain_every,
            spawned: AtomicUsize::new(0),
        }
    }

    pub fn spawn<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> Member<T> {
        let number = self.spawned.fetch_add(1, Ordering::Relaxed);
        if self.plain_every > 0 && number.is_multiple_of(self.plain_every) {
            Member::Plain(std::thread::spawn(f))
        } else {
            Member::Green(thread::spawn(f))
        }
    }
}

impl<T: Send + 'static> Member<T> {
    pub fn try_join(self) -> thread::Result<T> {
        match self {
            Member::Green(handle) => handle.join(),
            Member::Plain(handle) => sylvan::offload(|| handle.join()),
        }
    }

    pub fn join(self) -> T {
        self.try_join().expect("a member of the crew failed")
    }
}

/// Runs a test on one hub, on four, on four with plain threads mixed in, and on plain threads alone.
pub fn everywhere(test: impl Fn(&Crew)) {
    sylvan::run(|| test(&Crew::new(0)));
    on_hubs(4, || test(&Crew::new(0)));
    on_hubs(4, || test(&Crew::new(2)));
    test(&Crew::new(1));
}

pub fn on_hubs<T>(hubs: usize, f: impl FnOnce() -> T) -> T {
    let runtime = Runtime::builder().workers(hubs).build().unwrap();
    let result = runtime.run(f);
    runtime.close();
    result
}

/// Four hubs, and of the first few threads two plain ones.
pub fn four_hubs_and_two_plain(test: impl FnOnce(&Crew)) {
    // The third and the sixth of six.
    on_hubs(4, || test(&Crew::new(3)));
}

/// `count`, or the share of it that the environment asks for.
pub fn scaled(count: usize) -> usize {
    let percent = std::env::var("SYLVAN_STRESS_SCALE").ok();
    let percent = percent.map_or(100, |percent| percent.parse().expect("a number of percent"));
    (count * percent / 100).max(1)
}

/// Lets others run until `condition` holds.
#[track_caller]
pub fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "it never came true"
        );
        thread::yield_now();
    }
}

/// Lets all other green threads of this hub run until they wait.
pub fn settle() {
    for _ in 0..10 {
        thread::yield_now();
    }
}

/// An hour: longer than any test.
pub const LONG: Duration = Duration::from_secs(3600);
