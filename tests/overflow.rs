//! What happens at the end of a stack: an overflow of a green thread names it and aborts, and every
//! other fault is reported as it was before. All in child processes, which run this file's test
//! `scenario` with a variable that says what to do.

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::{env, ptr};
use sylvan::runtime::Runtime;
use sylvan::thread;

const CASE: &str = "SYLVAN_OVERFLOW_CASE";

#[test]
fn recursion_on_a_green_thread_is_reported() {
    assert_reported("recursion", "deep", 256 << 10);
}

#[test]
fn recursion_inside_a_callback_of_c_is_reported() {
    assert_reported("callback", "sorter", 1 << 20);
}

#[test]
fn the_smallest_stacks_are_guarded() {
    assert_reported("smallest", "small", 64 << 10);
}

#[test]
fn a_stack_beyond_the_classes_is_guarded() {
    assert_reported("largest", "large", 20 << 20);
}

#[test]
fn an_unnamed_green_thread_is_told_by_its_spawn_place() {
    assert_reported("unnamed", "<unnamed>", 1 << 20);
}

#[test]
fn the_main_green_thread_is_reported() {
    assert_reported("main", "main", 8 << 20);
}

#[test]
fn a_green_thread_of_the_default_runtime_is_reported() {
    assert_reported("default runtime", "of a plain thread", 1 << 20);
}

#[test]
fn a_green_thread_on_another_hub_is_reported() {
    assert_reported("worker", "on a worker", 1 << 20);
}

#[test]
fn a_plain_thread_gets_the_message_of_std() {
    assert_reported_by_std("plain thread", "plain");
}

#[test]
fn a_thread_that_has_left_run_gets_the_message_of_std() {
    assert_reported_by_std("after run", "after");
}

#[test]
fn a_null_dereference_still_dies_of_the_signal() {
    let output = child("null");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{text}");
    assert!(!text.contains("overflow"), "{text}");
}

#[test]
fn run_leaves_the_alternate_signal_stack_as_it_was() {
    let see = || {
        let before = alternate_stack();
        let inside = sylvan::run(|| {
            let task = thread::spawn(alternate_stack);
            task.join().unwrap()
        });
        assert_ne!(before, inside);
        assert_eq!(before, alternate_stack());
        let runtime = Runtime::builder().workers(2).build().unwrap();
        assert_eq!(before, alternate_stack());
        assert_ne!(before, runtime.run(alternate_stack));
        assert_eq!(before, alternate_stack());
        runtime.close();
        assert_eq!(before, alternate_stack());
    };
    std::thread::spawn(see).join().unwrap();
    // A thread that has none at all, as those that C made.
    let without = move || {
        // SAFETY: all zeroes is a stack_t; disabling needs nothing else, and this thread is to die
        // without an overflow.
        unsafe {
            let mut none: libc::stack_t = std::mem::zeroed();
            none.ss_flags = libc::SS_DISABLE;
            assert_eq!(libc::sigaltstack(&raw const none, ptr::null_mut()), 0);
        }
        see();
    };
    std::thread::spawn(without).join().unwrap();
}

/// The child's part: does nothing where no case is given.
#[test]
fn scenario() {
    let Ok(case) = env::var(CASE) else { return };
    match case.as_str() {
        "recursion" => sylvan::run(|| spawn_and_wait("deep", 200 << 10, overflow)),
        "callback" => sylvan::run(|| spawn_and_wait("sorter", 1 << 20, overflow_in_callback)),
        "smallest" => sylvan::run(|| spawn_and_wait("small", 1, overflow)),
        "largest" => sylvan::run(|| spawn_and_wait("large", 20 << 20, overflow)),
        "default runtime" => spawn_and_wait("of a plain thread", 1 << 20, overflow),
        "worker" => overflow_on_a_worker(),
        "unnamed" => sylvan::run(|| {
            note_place(line!() + 1);
            thread::spawn(overflow).join().unwrap();
        }),
        "main" => {
            note_place(line!() + 1);
            sylvan::run(overflow);
        }
        "plain thread" => sylvan::run(|| plain_thread("plain", overflow)),
        "after run" => plain_thread("after", || {
            sylvan::run(|| thread::spawn(|| {}).join().unwrap());
            overflow();
        }),
        "null" => sylvan::run(|| {
            // SAFETY: none, that is the point.
            let dereference = || unsafe { libc::strlen(black_box(ptr::null())) };
            thread::spawn(dereference).join().unwrap();
        }),
        other => panic!("no such case: {other}"),
    }
}

fn spawn_and_wait(name: &str, stack_size: usize, f: fn()) {
    let builder = thread::Builder::new().name(name.into());
    note_place(line!() + 1);
    let task = builder.stack_size(stack_size).spawn(f).unwrap();
    task.join().unwrap();
}

fn overflow_on_a_worker() {
    let runtime = Runtime::builder().workers(2).build().unwrap();
    runtime.run(|| {
        let main = std::thread::current().id();
        let builder = thread::Builder::new().name("on a worker".into());
        note_place(line!() + 1);
        let spawned = builder.spawn(move || {
            assert_ne!(std::thread::current().id(), main);
            overflow();
        });
        // This hub is kept busy, so that the other one must take the task.
        let task = spawned.unwrap();
        while !task.is_finished() {
            std::thread::yield_now();
        }
        task.join().unwrap();
    });
}

fn plain_thread(name: &str, f: fn()) {
    let builder = std::thread::Builder::new().name(name.into());
    builder.spawn(f).unwrap().join().unwrap();
}

fn overflow() {
    recurse(0);
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    if black_box(false) {
        return depth;
    }
    recurse(depth + 1) + frame[black_box(3)]
}

fn overflow_in_callback() {
    extern "C" fn compare(_: *const libc::c_void, _: *const libc::c_void) -> libc::c_int {
        overflow();
        0
    }
    let mut numbers = [3_u32, 1, 2];
    // SAFETY: the array has this many elements of this size; the callback does not look at them.
    unsafe { libc::qsort(numbers.as_mut_ptr().cast(), 3, 4, Some(compare)) };
}

/// Base, size and flags of the calling OS thread's alternate signal stack.
fn alternate_stack() -> (usize, usize, i32) {
    // SAFETY: all zeroes is a stack_t, and a query only writes to it.
    let stack = unsafe {
        let mut stack: libc::stack_t = std::mem::zeroed();
        libc::sigaltstack(ptr::null(), &raw mut stack);
        stack
    };
    (stack.ss_sp.addr(), stack.ss_size, stack.ss_flags)
}

/// Tells the parent where the next spawn stands.
fn note_place(line: u32) {
    eprintln!("[spawn at {}:{line}:]", file!());
}

fn child(case: &str) -> Output {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "scenario", "--nocapture", "--test-threads=1"])
        .env(CASE, case)
        .env_remove("RUST_MIN_STACK")
        .output()
        .unwrap()
}

fn assert_aborted(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{text}");
    text
}

fn assert_reported(case: &str, name: &str, size: usize) {
    let text = assert_aborted(&child(case));
    let place = text.split_once("[spawn at ").unwrap().1;
    let place = place.split_once(']').unwrap().0;
    let first = format!("green thread '{name}' has overflowed its stack ({size} bytes)");
    let second = format!("spawned at {place}");
    assert!(text.contains(&first) && text.contains(&second), "{text}");
}

fn assert_reported_by_std(case: &str, name: &str) {
    let text = assert_aborted(&child(case));
    let told = text.contains(&format!("thread '{name}'")) && text.contains("overflowed its stack");
    assert!(told && !text.contains("green thread"), "{text}");
}
