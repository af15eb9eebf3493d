//! Three tasks on one OS thread: A waits for one second, B for two, C computes meanwhile. All of it takes
//! two seconds, and there is no `await` in sight.
//!
//! Run it: `cargo run --example interleave`

use std::time::{Duration, Instant};

use sylvan::thread;

fn main() {
    let start = Instant::now();
    let say = move |words: &str| {
        let os_thread = std::thread::current().id();
        println!(
            "{:4.1} s  {os_thread:?}  {words}",
            start.elapsed().as_secs_f32()
        );
    };

    sylvan::run(|| {
        let a = thread::spawn(move || {
            say("A begins, and waits for 1 s");
            thread::sleep(Duration::from_secs(1));
            say("A is done");
        });
        let b = thread::spawn(move || {
            say("B begins, and waits for 2 s");
            thread::sleep(Duration::from_secs(2));
            say("B is done");
        });
        let c = thread::spawn(move || {
            for step in 1..=3 {
                let sum: u64 = (0..step * 1_000_000).sum();
                say(&format!("C computes: step {step}, sum {sum}"));
                thread::yield_now();
            }
        });
        for task in [a, b, c] {
            task.join().expect("no task panics");
        }
    });
    say("all done");
}
