use std::io;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};

use super::slab::{Shape, Slab, page_size};
use super::{Pool, SIZES, Stack, overflowed};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Runs one test of this binary again, in a process of its own, where `case()` is `case`.
pub(in crate::sys) fn in_child(
    module: &str,
    test: &str,
    case: &str,
    environment: &[(&str, &str)],
) -> Output {
    let (_, module) = module.split_once("::").unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "--nocapture",
        "--test-threads=1",
        &format!("{module}::{test}"),
    ]);
    command
        .envs(environment.iter().copied())
        .env("SYLVAN_TEST_CASE", case);
    command.output().unwrap()
}

/// What the child is to do; none in the process that runs all tests.
pub(in crate::sys) fn case() -> Option<String> {
    std::env::var("SYLVAN_TEST_CASE").ok()
}

fn assert_success(output: Output) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {text}", output.status);
}

fn guard(stack: &Stack) -> usize {
    Shape::of(stack.size()).unwrap().guard
}

/// The lowest usable address.
fn low(stack: &Stack) -> usize {
    stack.limit() + guard(stack)
}

fn write(address: usize) {
    // SAFETY: the tests pass addresses of stacks that they own.
    unsafe { (address as *mut u8).write_volatile(1) };
}

/// How many bytes of a range are in memory. Pages that are not mapped count as none.
fn resident(low: usize, high: usize) -> usize {
    let page = page_size();
    let low = low / page * page;
    let mut pages = vec![0_u8; (high - low).div_ceil(page)];
    // SAFETY: the vector has one byte for each page of the range.
    unsafe { libc::mincore(low as *mut _, high - low, pages.as_mut_ptr()) };
    pages.iter().filter(|&&page| page & 1 == 1).count() * page
}

#[test]
fn sizes_round_up_to_a_class() {
    let expected = [
        (0, 64 * KIB),
        (1, 64 * KIB),
        (64 * KIB, 64 * KIB),
        (64 * KIB + 1, 256 * KIB),
        (MIB, MIB),
        (MIB + 1, 8 * MIB),
        (8 * MIB, 8 * MIB),
        (8 * MIB + 1, 8 * MIB + page_size()),
    ];
    let mut pool = Pool::new();
    for (bytes, size) in expected {
        assert_eq!(Pool::round_up(bytes), size);
        let stack = pool.take(bytes).unwrap();
        assert_eq!(stack.size(), size);
        assert_eq!(stack.top() % 64, 0);
        assert!(stack.top() - low(&stack) >= size);
        pool.give(stack);
    }
}

#[test]
fn impossible_sizes_are_errors() {
    let mut pool = Pool::new();
    for bytes in [
        usize::MAX,
        usize::MAX - 4096,
        usize::MAX / 2,
        1 << 60,
        1 << 47,
    ] {
        let error = pool.take(bytes).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory, "{bytes:x}");
        assert!(Pool::round_up(bytes) >= bytes);
    }
    let stack = pool.take(1).unwrap();
    pool.give(stack);
}

#[test]
fn all_usable_bytes_can_be_written_and_guards_are_found() {
    let mut pool = Pool::new();
    let sizes = SIZES.into_iter().chain([100 * MIB]);
    for size in sizes {
        let stacks: Vec<_> = (0..3).map(|_| pool.take(size).unwrap()).collect();
        for stack in &stacks {
            for address in (low(stack)..stack.top()).step_by(page_size()) {
                write(address);
            }
            write(stack.top() - 1);
            assert_eq!(overflowed(stack.limit()), Some(size));
            assert_eq!(overflowed(low(stack) - 1), Some(size));
            assert_eq!(overflowed(low(stack)), None);
            assert_eq!(overflowed(stack.top() - 1), None);
        }
        stacks.into_iter().for_each(|stack| pool.give(stack));
    }
    assert_eq!(overflowed(0), None);
    assert_eq!(overflowed(usize::MAX), None);
}

#[test]
fn guards_do_guard() {
    let mut pool = Pool::new();
    for size in SIZES.into_iter().chain([9 * MIB]) {
        let stack = pool.take(size).unwrap();
        assert_guarded(&stack);
        pool.give(stack);
    }
}

/// Checks each page of the guard. The kernel refuses to read there, which needs no handler to see.
fn assert_guarded(stack: &Stack) {
    let is_readable = |address: usize| {
        // SAFETY: the kernel checks the address, where it looks for a file's name.
        let found = unsafe { libc::access(address as *const _, libc::F_OK) } == 0;
        found || io::Error::last_os_error().raw_os_error() != Some(libc::EFAULT)
    };
    for address in (stack.limit()..low(stack)).step_by(page_size()) {
        assert!(!is_readable(address));
    }
    assert!(is_readable(low(stack)));
}

#[test]
fn the_last_stack_given_is_the_first_taken() {
    let mut pool = Pool::new();
    let (first, second) = (pool.take(1).unwrap(), pool.take(1).unwrap());
    let (first_top, second_top) = (first.top(), second.top());
    assert_ne!(first_top, second_top);
    pool.give(first);
    pool.give(second);
    assert_eq!(pool.take(1).unwrap().top(), second_top);
    assert_eq!(pool.take(1).unwrap().top(), first_top);
}

#[test]
fn neighbours_have_different_colours() {
    let mut pool = Pool::new();
    let stacks: Vec<_> = (0..32).map(|_| pool.take(1).unwrap()).collect();
    let mut colours: Vec<_> = stacks.iter().map(|stack| stack.top() % 4096).collect();
    colours.sort_unstable();
    colours.dedup();
    assert_eq!(colours.len(), 32);
    stacks.into_iter().for_each(|stack| pool.give(stack));
}

#[test]
fn a_trim_returns_memory_once() {
    let mut pool = Pool::new();
    let stacks: Vec<_> = (0..4000).map(|_| pool.take(1).unwrap()).collect();
    let mut places = Vec::new();
    for stack in stacks {
        write(stack.top() - 1);
        places.push((low(&stack), stack.top()));
        pool.give(stack);
    }
    let total = || {
        places
            .iter()
            .map(|&(low, top)| resident(low, top))
            .sum::<usize>()
    };
    assert!(total() >= 4000 * page_size());
    assert!(
        pool.trim(),
        "what was used lately is not all returned at once"
    );
    assert_eq!(total(), 1024 * page_size());
    while pool.trim() {}
    assert!(total() <= 64 * page_size());

    // What was returned is as good as new, and what is touched again is returned again.
    let stacks: Vec<_> = (0..4000).map(|_| pool.take(1).unwrap()).collect();
    for stack in stacks {
        assert_guarded(&stack);
        write(low(&stack));
        write(stack.top() - 1);
        pool.give(stack);
    }
    while pool.trim() {}
    assert!(total() <= 2 * 64 * page_size());
}

#[test]
fn a_trim_keeps_what_is_in_regular_use() {
    let mut pool = Pool::new();
    let mut tops = Vec::new();
    for _ in 0..3 {
        let stacks: Vec<_> = (0..500).map(|_| pool.take(1).unwrap()).collect();
        stacks.iter().for_each(|stack| write(stack.top() - 1));
        tops = stacks.iter().map(Stack::top).collect();
        stacks.into_iter().for_each(|stack| pool.give(stack));
        pool.trim();
        assert!(tops.iter().all(|&top| resident(top - 1, top) > 0));
    }
    pool.trim();
    assert!(
        tops.iter()
            .filter(|&&top| resident(top - 1, top) > 0)
            .count()
            <= 64
    );
}

#[test]
fn free_slabs_are_unmapped_and_others_are_not() {
    let mut pool = Pool::new();
    let mut stacks: Vec<_> = (0..100_000).map(|_| pool.take(1).unwrap()).collect();
    let limits: Vec<_> = stacks.iter().map(Stack::limit).collect();
    let kept = stacks.swap_remove(50_000);
    write(kept.top() - 1);
    stacks.into_iter().for_each(|stack| pool.give(stack));
    while pool.trim() {}
    assert!(resident(kept.limit(), kept.top()) > 0);
    assert_eq!(overflowed(kept.limit()), Some(64 * KIB));
    let mapped = limits
        .iter()
        .filter(|&&limit| overflowed(limit).is_some())
        .count();
    assert!((2..100_000 / 3).contains(&mapped), "{mapped}");
    pool.give(kept);
    drop(pool);
}

#[test]
fn a_pool_unmaps_all_but_live_stacks_when_dropped() {
    let mut pool = Pool::new();
    let stacks: Vec<_> = (0..1000).map(|_| pool.take(MIB).unwrap()).collect();
    let limits: Vec<_> = stacks.iter().map(Stack::limit).collect();
    let mut stacks = stacks.into_iter();
    let parked = stacks.next_back().unwrap();
    stacks.for_each(|stack| pool.give(stack));
    drop(pool);
    write(low(&parked));
    assert_eq!(overflowed(parked.limit()), Some(MIB));
    assert!(limits.iter().any(|&limit| overflowed(limit).is_none()));
}

#[test]
fn live_counts_what_is_handed_out() {
    let mut pool = Pool::new();
    let (a, b) = (pool.take(1).unwrap(), pool.take(10 * MIB).unwrap());
    assert_eq!(pool.live(), 2);
    let stacks: Vec<_> = (0..1000).map(|_| pool.take(1).unwrap()).collect();
    assert_eq!(pool.live(), 1002);
    stacks.into_iter().for_each(|stack| pool.give(stack));
    assert_eq!(pool.live(), 2);
    // A mapping of its own goes at once, a slab with the pool.
    let own = b.limit();
    pool.give(b);
    assert_eq!(overflowed(own), None);
    assert_eq!(overflowed(a.limit()), Some(64 * KIB));
    // A stack that is dropped is leaked, and counts for ever.
    drop(a);
    assert_eq!(pool.live(), 1);
}

/// Without light guards the number of mappings is the limit, and reaching it is an orderly error.
#[test]
fn the_limit_of_mappings_is_an_error() {
    if case().is_none() {
        let environment = [("SYLVAN_GUARDS", "mprotect")];
        let output = in_child(
            module_path!(),
            "the_limit_of_mappings_is_an_error",
            "limit",
            &environment,
        );
        return assert_success(output);
    }
    let mut pool = Pool::new();
    let mut stacks = Vec::new();
    let error = loop {
        match pool.take(1) {
            Ok(stack) => stacks.push(stack),
            Err(error) => break error,
        }
        assert!(stacks.len() < 200_000, "no limit was met");
    };
    assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
    assert_eq!(pool.live(), stacks.len());
    assert!(pool.take(MIB).is_err() && pool.take(9 * MIB).is_err());
    // Others still get their mappings.
    std::thread::spawn(|| vec![1_u8; 10 * MIB].len())
        .join()
        .unwrap();

    let count = stacks.len();
    for stack in stacks.drain(count / 2..) {
        write(low(&stack));
        assert_eq!(overflowed(stack.limit()), Some(64 * KIB));
        pool.give(stack);
    }
    stacks.extend((count / 2..count).map(|_| pool.take(1).unwrap()));
    assert!(pool.take(1).is_err());

    stacks.drain(..).for_each(|stack| pool.give(stack));
    while pool.trim() {}
    // The slabs that are gone have left room for other classes.
    stacks.extend((0..1000).map(|_| pool.take(MIB).unwrap()));
    stacks.extend((0..1000).map(|_| pool.take(1).unwrap()));
    stacks.drain(..).for_each(|stack| pool.give(stack));
    assert_eq!(pool.live(), 0);
}

#[test]
fn the_fallback_guards_as_well() {
    if case().is_none() {
        let environment = [("SYLVAN_GUARDS", "mprotect")];
        return assert_success(in_child(
            module_path!(),
            "the_fallback_guards_as_well",
            "all",
            &environment,
        ));
    }
    guards_do_guard();
    all_usable_bytes_can_be_written_and_guards_are_found();
    a_trim_returns_memory_once();
    a_trim_keeps_what_is_in_regular_use();
}

#[test]
fn the_registry_is_consistent_while_slabs_come_and_go() {
    let stop = AtomicBool::new(false);
    let mut pool = Pool::new();
    let stack = pool.take(MIB).unwrap();
    std::thread::scope(|scope| {
        for size in [9 * MIB, 20 * MIB] {
            let stop = &stop;
            scope.spawn(move || {
                let shape = Shape::of(size).unwrap();
                for _ in 0..20_000 {
                    let slab = Slab::map(shape, 1).unwrap_or_else(|error| panic!("{error}"));
                    assert_eq!(overflowed(slab.start()), Some(size));
                    assert_eq!(overflowed(slab.start() + shape.guard), None);
                    assert!(slab.unmap().is_ok());
                }
                stop.store(true, Ordering::Relaxed);
            });
        }
        while !stop.load(Ordering::Relaxed) {
            assert_eq!(overflowed(stack.limit()), Some(MIB));
            assert_eq!(overflowed(low(&stack)), None);
            if let Some(size) = overflowed(stack.limit() - 20 * MIB) {
                assert!(
                    [MIB, 9 * MIB, 20 * MIB].contains(&size) || SIZES.contains(&size),
                    "{size}"
                );
            }
        }
    });
    pool.give(stack);
}
