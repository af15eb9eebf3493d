//! Many stacks at once, and the end of them: with light guard pages memory is the only limit, with
//! guards by `mprotect` (kernels before 6.13, or `SYLVAN_GUARDS=mprotect`) the kernel's number of
//! mappings is, and whoever gets no stack is told so.

use std::any::Any;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use std::{env, fs, hint, panic, ptr};
use sylvan::runtime::{Handle, Runtime};
use sylvan::task::NoStack;
use sylvan::thread::{self, JoinHandle};

const CASE: &str = "SYLVAN_GUARDS_CASE";
const STACK: usize = 64 << 10;

#[test]
fn a_hundred_thousand_are_alive_at_once() {
    let count = scaled(100_000);
    let runtime = Runtime::builder().stack_size(STACK).build().unwrap();
    let handle = runtime.handle();
    runtime.run(|| {
        let crowd = Crowd::spawn(count);
        let refused = crowd.settle();
        crowd.wait_for_drops(refused);
        assert_eq!(handle.metrics().stacks, 1 + count - refused);
        if has_light_guards() {
            assert_eq!(refused, 0);
        } else {
            assert!(count - refused >= most_by_mprotect().min(count));
        }
        crowd.end(refused);
        assert_settled(&handle);
    });
    assert!(handle.metrics().peak_tasks > count);
}

#[test]
fn past_the_limit_of_mappings_one_hub_refuses_in_good_order() {
    in_child("one hub");
}

#[test]
fn past_the_limit_of_mappings_two_hubs_refuse_in_good_order() {
    in_child("two hubs");
}

/// The child's part: does nothing where no case is given.
#[test]
fn scenario() {
    let Ok(case) = env::var(CASE) else { return };
    // Nothing may panic, not even where it would be caught.
    panic::set_hook(Box::new(|panic| {
        eprintln!("a panic: {panic}");
        std::process::exit(3);
    }));
    assert!(!has_light_guards());
    match case.as_str() {
        "one hub" => {
            refuse(1);
            refuse_and_recover();
        }
        "two hubs" => refuse(2),
        other => panic!("no such case: {other}"),
    }
}

/// Who is beyond the limit is refused, and all else goes on as before.
fn refuse(hubs: usize) {
    let builder = Runtime::builder().workers(hubs).stack_size(STACK);
    let runtime = builder.build().unwrap();
    let handle = runtime.handle();
    let count = most_by_mprotect() + 5000;
    runtime.run(|| {
        let crowd = Crowd::spawn(count);
        let refused = crowd.settle();
        let ran = count - refused;
        eprintln!("{ran} ran, {refused} were refused");
        assert!(refused > 0 && ran >= most_by_mprotect() * 9 / 10);
        crowd.wait_for_drops(refused);
        // The process as a whole has not reached its limit.
        assert_eq!(
            sylvan::offload(|| hint::black_box(vec![1_u8; 64 << 20]).len()),
            64 << 20
        );
        crowd.end(refused);
        assert_settled(&handle);
    });
    runtime.close();
    assert_eq!(handle.metrics().stacks, 0);
}

/// At the limit, stacks that become free serve new tasks.
fn refuse_and_recover() {
    let runtime = Runtime::builder().stack_size(STACK).build().unwrap();
    runtime.run(|| {
        let mut crowd = Crowd::spawn(most_by_mprotect() + 5000);
        let refused = crowd.settle();
        crowd.wait_for_drops(refused);

        // Also other classes, and sizes beyond them.
        for size in [1 << 20, 9 << 20] {
            let large = thread::Builder::new().stack_size(size).spawn(|| {});
            assert_no_stack(large.unwrap().join().unwrap_err().as_ref());
        }
        // A failure that nobody can see is reported. It needs its turn.
        drop(thread::Builder::new().name("unseen".into()).spawn(|| {}));
        assert_no_stack(thread::spawn(|| {}).join().unwrap_err().as_ref());
        // A scope tells of it as of a panic of its thread, but whoever joins sees what it was.
        let joined = thread::scope(|scope| scope.spawn(|| {}).join());
        assert_no_stack(joined.unwrap_err().as_ref());

        crowd.end_some(100);
        for round in 0..3 {
            let tasks: Vec<_> = (0..100).map(|n| thread::spawn(move || n)).collect();
            let sum: usize = tasks.into_iter().map(|task| task.join().unwrap()).sum();
            assert_eq!(sum, 4950, "round {round}");
        }
        crowd.end(refused);
    });
}

/// Tasks that park at once, and capture something whose destructor suspends.
struct Crowd {
    tasks: Vec<JoinHandle<()>>,
    ran: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

struct Captured(Arc<AtomicUsize>);

impl Drop for Captured {
    fn drop(&mut self) {
        thread::yield_now();
        if self.0.load(SeqCst).is_multiple_of(1000) {
            thread::sleep(Duration::from_micros(100));
        }
        self.0.fetch_add(1, SeqCst);
    }
}

impl Crowd {
    fn spawn(count: usize) -> Crowd {
        let (ran, dropped) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let spawn = |_| {
            let (ran, captured) = (ran.clone(), Captured(dropped.clone()));
            thread::spawn(move || {
                let _captured = captured;
                ran.fetch_add(1, SeqCst);
                thread::park();
            })
        };
        let tasks = (0..count).map(spawn).collect();
        Crowd {
            tasks,
            ran,
            dropped,
        }
    }

    /// Lets every task come to its park or its refusal; returns how many were refused.
    fn settle(&self) -> usize {
        loop {
            let refused = self.tasks.iter().filter(|task| task.is_finished()).count();
            if self.ran.load(SeqCst) + refused == self.tasks.len() {
                return refused;
            }
            thread::yield_now();
        }
    }

    fn wait_for_drops(&self, count: usize) {
        while self.dropped.load(SeqCst) < count {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(self.dropped.load(SeqCst), count);
    }

    /// Ends so many that were not refused.
    fn end_some(&mut self, count: usize) {
        let waiting = |task: &mut JoinHandle<()>| !task.is_finished();
        for task in self.tasks.extract_if(.., waiting).take(count) {
            task.thread().unpark();
            task.join().unwrap();
        }
    }

    /// Ends all.
    fn end(self, refused: usize) {
        for task in &self.tasks {
            task.thread().unpark();
        }
        let count = self.tasks.len();
        let failures = self.tasks.into_iter().filter_map(|task| task.join().err());
        let count_failures = failures.inspect(|failure| assert_no_stack(failure.as_ref()));
        assert_eq!(count_failures.count(), refused);
        while self.dropped.load(SeqCst) < count {
            thread::yield_now();
        }
    }
}

fn assert_no_stack(failure: &(dyn Any + Send)) {
    let text = failure
        .downcast_ref::<NoStack>()
        .expect("a NoStack")
        .to_string();
    assert!(text.contains("vm.max_map_count"), "{text}");
}

/// Waits until nobody but the main task is left.
fn assert_settled(handle: &Handle) {
    while handle.metrics().tasks > 1 || handle.metrics().stacks > 1 {
        thread::yield_now();
    }
}

fn in_child(case: &str) {
    let limit = max_map_count();
    if limit > 200_000 {
        println!("skipped: vm.max_map_count is {limit}, which is too high to be met");
        return;
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "scenario", "--nocapture", "--test-threads=1"])
        .env(CASE, case)
        .env("SYLVAN_GUARDS", "mprotect")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {text}", output.status);
    if case == "one hub" {
        let reported = "'unseen'";
        let place = text.lines().find(|line| line.contains(reported));
        assert!(
            place.is_some_and(|line| line.contains("vm.max_map_count")),
            "{text}"
        );
    }
}

fn max_map_count() -> usize {
    let text = fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    text.trim().parse().unwrap()
}

/// About how many guards by `mprotect` there can be: each costs two mappings, and some are left to
/// others.
fn most_by_mprotect() -> usize {
    (max_map_count() - 4096) / 2
}

fn has_light_guards() -> bool {
    let install = 102; // MADV_GUARD_INSTALL
    let forced = env::var_os("SYLVAN_GUARDS").is_some_and(|guards| guards == "mprotect");
    let (read, flags) = (libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping of a page, which nothing else knows, is advised and unmapped.
    let supported = unsafe {
        let page = libc::mmap(ptr::null_mut(), 4096, read, flags, -1, 0);
        assert_ne!(page, libc::MAP_FAILED);
        let supported = libc::madvise(page, 4096, install) == 0;
        libc::munmap(page, 4096);
        supported
    };
    supported && !forced
}

/// Heavy numbers, in percent of their full size.
fn scaled(count: usize) -> usize {
    let percent = env::var("SYLVAN_STRESS_SCALE").map_or(100, |text| text.parse().unwrap());
    (count * percent / 100).max(1)
}
