use std::fmt::Write;
use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;
use std::sync::Barrier;
use std::time::Duration;

use super::*;
use crate::sys::stack::Pool;
use crate::sys::stack::tests::{case, in_child};

#[test]
fn an_overflow_is_reported_and_aborts() {
    for (size, environment) in [
        (1, None),
        (1, Some(("SYLVAN_GUARDS", "mprotect"))),
        (1 << 20, None),
        (20 << 20, None),
    ] {
        let output = child_with(&format!("overflow {size}"), environment.as_slice());
        expect(
            &output,
            libc::SIGABRT,
            &format!("test: overflow of {}\n", Pool::round_up(size)),
        );
    }
}

#[test]
fn overflows_of_two_threads_are_both_reported() {
    let output = child("overflow twice");
    expect(&output, libc::SIGABRT, "test: overflow of 65536\n");
    expect(&output, libc::SIGABRT, "test: overflow of 262144\n");
}

#[test]
fn std_reports_overflows_of_its_own_threads() {
    expect(
        &child("std overflow"),
        libc::SIGABRT,
        "has overflowed its stack",
    );
}

#[test]
fn a_null_dereference_dies_as_ever() {
    expect(&child("null"), libc::SIGSEGV, "");
    expect(&child("null on a green stack"), libc::SIGSEGV, "");
}

#[test]
fn a_fault_kills_even_if_ignored() {
    expect(&child("null, ignored"), libc::SIGSEGV, "");
}

#[test]
fn a_handler_from_before_is_called() {
    expect(&child("null, handled"), 0, "the handler's own words");
    expect(&child("kill, handled plainly"), 0, "errno 42");
}

#[test]
fn a_signal_sent_is_no_fault() {
    expect(&child("kill, default"), libc::SIGSEGV, "");
    expect(&child("kill, ignored"), 0, "survived");
}

#[test]
fn the_previous_alternate_stack_comes_back() {
    let current = || {
        // SAFETY: all zeroes is a stack_t, and a query writes to it only.
        unsafe {
            let mut stack: libc::stack_t = std::mem::zeroed();
            assert_eq!(libc::sigaltstack(ptr::null(), &raw mut stack), 0);
            (stack.ss_sp.addr(), stack.ss_flags, stack.ss_size)
        }
    };
    let before = current();
    let outer = AlternateStack::install().unwrap();
    let middle = current();
    assert!(middle.2 >= 64 * 1024 && middle != before);
    let inner = AlternateStack::install().unwrap();
    assert_ne!(current(), middle);
    drop(inner);
    assert_eq!(current(), middle);
    drop(outer);
    assert_eq!(current(), before);

    // Where there was none, there is none again.
    std::thread::spawn(move || {
        let none = libc::stack_t {
            ss_sp: ptr::null_mut(),
            ss_flags: libc::SS_DISABLE,
            ss_size: 0,
        };
        // SAFETY: std's stack is disabled before its memory is unmapped, which is as std does it.
        unsafe { libc::sigaltstack(&raw const none, ptr::null_mut()) };
        drop(AlternateStack::install().unwrap());
        assert_eq!(current().1, libc::SS_DISABLE);
    })
    .join()
    .unwrap();
}

/// Not a test by itself: what the children do.
#[test]
fn scenario() {
    let Some(case) = case() else { return };
    match &*case {
        "std overflow" => {
            install(report);
            recurse(0);
        }
        "null" => {
            install(report);
            null_dereference();
        }
        "null on a green stack" => {
            install(report);
            on_green_stack(1, null_dereference);
        }
        "null, ignored" => {
            set_handler(libc::SIG_IGN, 0);
            install(report);
            null_dereference();
        }
        "null, handled" => {
            set_handler(full_handler as *const () as usize, SA_SIGINFO);
            install(report);
            null_dereference();
        }
        "kill, handled plainly" => {
            set_handler(plain_handler as *const () as usize, 0);
            install(report);
            set_errno(42);
            kill();
            eprintln!("errno {}", errno());
        }
        "kill, default" => {
            set_handler(libc::SIG_DFL, 0);
            install(report);
            kill();
        }
        "kill, ignored" => {
            set_handler(libc::SIG_IGN, 0);
            install(report);
            kill();
            eprintln!("survived");
        }
        "overflow twice" => {
            install(slow_report);
            let both = Barrier::new(2);
            std::thread::scope(|scope| {
                for size in [64 << 10, 256 << 10] {
                    let both = &both;
                    scope.spawn(move || {
                        both.wait();
                        on_green_stack(size, overflow);
                    });
                }
            });
        }
        overflow_of => {
            install(report);
            install(|_, _| unreachable!("only the first call counts"));
            let size = overflow_of.strip_prefix("overflow ").unwrap();
            on_green_stack(size.parse().unwrap(), overflow);
        }
    }
}

fn child(case: &str) -> Output {
    child_with(case, &[])
}

fn child_with(case: &str, environment: &[(&str, &str)]) -> Output {
    in_child(module_path!(), "scenario", case, environment)
}

/// Checks which signal ended the child (0 for none), and what it wrote.
fn expect(output: &Output, signal: i32, text: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal().unwrap_or(0), signal, "{stderr}");
    assert!(stderr.contains(text), "{stderr:?} lacks {text:?}");
    let is_green = text.starts_with("test: ");
    assert!(is_green || !stderr.contains("test: overflow"), "{stderr}");
}

fn report(size: usize, out: &mut Stderr) {
    writeln!(out, "test: overflow of {size}").unwrap();
}

/// Gives the other thread the time to overflow in the midst of this report.
fn slow_report(size: usize, out: &mut Stderr) {
    std::thread::sleep(Duration::from_millis(300));
    report(size, out);
}

extern "C" fn full_handler(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the arguments are to be those that the kernel passes.
    let (number, address) = unsafe { ((*info).si_signo, (*info).si_addr()) };
    let complete = number == signal && address.is_null() && !context.is_null();
    writeln!(Stderr, "the handler's own words: {complete}").unwrap();
    // SAFETY: _exit is async-signal-safe.
    unsafe { libc::_exit(i32::from(!complete)) };
}

extern "C" fn plain_handler(signal: c_int) {
    assert_eq!(signal, libc::SIGSEGV);
    set_errno(7);
}

fn set_handler(handler: usize, flags: c_int) {
    let mut action = current_action(libc::SIGSEGV);
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    set_action(libc::SIGSEGV, &action);
}

fn kill() {
    // SAFETY: sending a signal to this thread has no other precondition.
    unsafe { libc::raise(libc::SIGSEGV) };
}

extern "C" fn null_dereference() {
    // SAFETY: none; it is meant to fault.
    black_box(unsafe { libc::strlen(black_box(ptr::null())) });
}

extern "C" fn overflow() {
    recurse(0);
}

#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(depth + 1) + frame[0]
}

/// Calls a function on a stack of a pool.
fn on_green_stack(size: usize, function: extern "C" fn()) {
    let _alternate = AlternateStack::install().unwrap();
    let mut pool = Pool::new();
    let stack = pool.take(size).unwrap();
    // SAFETY: the stack is fresh, aligned and in nobody's use; the old stack pointer is kept in a
    // register that the callee preserves.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!(
            "mov r12, rsp",
            "mov rsp, {top}",
            "call {function}",
            "mov rsp, r12",
            top = in(reg) stack.top(),
            function = in(reg) function,
            out("r12") _,
            clobber_abi("C"),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!(
            "mov x20, sp",
            "mov sp, {top}",
            "blr {function}",
            "mov sp, x20",
            top = in(reg) stack.top(),
            function = in(reg) function,
            out("x20") _,
            clobber_abi("C"),
        );
    }
    pool.give(stack);
}
