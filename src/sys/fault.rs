//! A fault in a green thread's guard becomes a report and an abort. Every other fault goes to
//! whoever handled it before: std (which reports overflows of its own threads), a user's handler,
//! or the kernel's default.

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::ptr;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::{Once, OnceLock};

use libc::{SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_RESTART, SA_SIGINFO, c_int, c_void};

use super::stack;

/// Writes who overflowed a stack of the given size. It runs in a signal handler, on the stack's
/// thread: it must not allocate, lock, suspend or panic.
type Report = fn(stack_size: usize, out: &mut Stderr);

/// Sees to it that the overflow of a green thread's stack is reported. Only the first call counts.
///
/// It works on threads that have an alternate signal stack: see [`AlternateStack`].
pub(crate) fn install(report: Report) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = SIGNALS.map(current_action);
        // They are saved before our handler can run, which reads them.
        if SAVED.set(Saved { report, previous }).is_ok() {
            for (signal, previous) in SIGNALS.into_iter().zip(&previous) {
                // What the previous handler counts on, it gets when we call it.
                let kept = previous.sa_flags & (SA_NODEFER | SA_RESTART);
                let mut action = *previous;
                action.sa_sigaction = handle as *const () as usize;
                action.sa_flags = SA_SIGINFO | SA_ONSTACK | kept;
                set_action(signal, &action);
            }
        }
    });
}

/// An alternate signal stack for the calling OS thread, larger than std's, for as long as the value
/// lives: the handler cannot run on the stack that has overflowed.
pub(crate) struct AlternateStack {
    mapping: *mut c_void,
    length: usize,
    /// What to restore. Its pointer makes the type `!Send`, as it must be.
    previous: libc::stack_t,
}

impl AlternateStack {
    /// # Errors
    ///
    /// When there is no memory for it.
    pub fn install() -> io::Result<AlternateStack> {
        // SAFETY: both read constants of the system. The second is how much the CPU's registers
        // need in a signal frame; with AMX or SVE that is many KiB. An old kernel says 0.
        let (page, frame) = unsafe {
            let page = libc::sysconf(libc::_SC_PAGESIZE) as usize;
            (page, libc::getauxval(libc::AT_MINSIGSTKSZ) as usize)
        };
        let size = (64 * 1024 + frame).next_multiple_of(page);
        let length = size + page;

        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let mapping = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, -1, 0) };
        if mapping == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = libc::stack_t {
            ss_sp: mapping.wrapping_byte_add(page),
            ss_flags: 0,
            ss_size: size,
        };
        // SAFETY: all zeroes is a stack_t.
        let mut previous: libc::stack_t = unsafe { std::mem::zeroed() };
        // SAFETY: the guard is the first page of the new mapping, the stack is the rest, and both
        // stay mapped until `drop` has put the previous stack back.
        let failed = unsafe {
            libc::mprotect(mapping, page, libc::PROT_NONE) != 0
                || libc::sigaltstack(&raw const stack, &raw mut previous) != 0
        };
        if failed {
            let error = io::Error::last_os_error();
            // SAFETY: the mapping is ours, and the kernel has not accepted it as a stack.
            unsafe { libc::munmap(mapping, length) };
            return Err(error);
        }
        Ok(AlternateStack {
            mapping,
            length,
            previous,
        })
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        // The kernel reports this flag but does not take it back.
        self.previous.ss_flags &= !libc::SS_ONSTACK;
        // SAFETY: all zeroes is a stack_t.
        let mut current: libc::stack_t = unsafe { std::mem::zeroed() };
        // SAFETY: a query writes to `current` only. The previous stack is as valid as it was when we
        // replaced it. The mapping is unmapped only once the kernel no longer uses it.
        unsafe {
            libc::sigaltstack(ptr::null(), &raw mut current);
            let ours = current.ss_sp.addr().wrapping_sub(self.mapping.addr()) < self.length;
            // If somebody has installed another stack since, it is not ours to replace.
            if !ours || libc::sigaltstack(&raw const self.previous, ptr::null_mut()) == 0 {
                libc::munmap(self.mapping, self.length);
            }
        }
    }
}

/// The standard error stream, for signal handlers: no buffer, no lock, no allocation.
pub(crate) struct Stderr;

impl fmt::Write for Stderr {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            // SAFETY: the pointer and length are those of a live slice.
            let written = unsafe { libc::write(2, rest.as_ptr().cast(), rest.len()) };
            match usize::try_from(written) {
                Ok(0) => return Err(fmt::Error),
                Ok(count) => rest = &rest[count..],
                Err(_) if errno() == libc::EINTR => {}
                Err(_) => return Err(fmt::Error),
            }
        }
        Ok(())
    }
}

/// A guard page is one or the other, depending on how it was made and on the architecture.
const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

static SAVED: OnceLock<Saved> = OnceLock::new();

struct Saved {
    report: Report,
    /// The actions that were in force before ours, as in `SIGNALS`.
    previous: [libc::sigaction; 2],
}

extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let errno_before = errno();
    let Some(saved) = SAVED.get() else {
        return; // Impossible: it is set before this handler is installed.
    };
    // SAFETY: the kernel passes a valid siginfo to handlers that are installed with SA_SIGINFO.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr()) };
    // Positive codes are the kernel's; what kill(2) sends has no address.
    let is_fault = code > 0;
    if is_fault && let Some(size) = stack::overflowed(address) {
        report_and_abort(saved.report, size);
    }
    let index = usize::from(signal != SIGNALS[0]);
    let previous = &saved.previous[index];
    // SAFETY: the arguments are the ones of this very signal.
    unsafe { call_previous(previous, is_fault, signal, info, context) };
    set_errno(errno_before);
}

/// Does what the kernel would have done, had we not been there.
///
/// # Safety
///
/// `previous` was the signal's action, and the last three arguments are those of our own handler.
unsafe fn call_previous(
    previous: &libc::sigaction,
    is_fault: bool,
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut c_void,
) {
    let action = previous.sa_sigaction;
    // A fault that is ignored would only repeat: the kernel kills the process for it.
    if action == libc::SIG_IGN && !is_fault {
        return;
    }
    if action == libc::SIG_DFL || action == libc::SIG_IGN {
        reset(signal);
        if !is_fault {
            // Only a fault happens again by itself. This one is delivered when we return.
            // SAFETY: raise is async-signal-safe.
            unsafe { libc::raise(signal) };
        }
        return;
    }
    if previous.sa_flags & SA_RESETHAND != 0 {
        reset(signal);
    }
    // SAFETY: by the caller's promise; it is no default action, so it is a function.
    unsafe { call_handler(previous, signal, info, context) };
}

/// Calls a handler.
///
/// # Safety
///
/// `action` is a signal's action and a function, and the other arguments are those of a handler of that
/// signal that runs now.
pub(super) unsafe fn call_handler(
    action: &libc::sigaction,
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut c_void,
) {
    let function = action.sa_sigaction;
    if action.sa_flags & SA_SIGINFO != 0 {
        // SAFETY: with this flag the address is that of a function with these arguments.
        let call: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
            unsafe { std::mem::transmute(function) };
        call(signal, info, context);
    } else {
        // SAFETY: without the flag it is that of a function with this one argument.
        let call: extern "C" fn(c_int) = unsafe { std::mem::transmute(function) };
        call(signal);
    }
}

/// How many threads have an overflow to report.
static REPORTING: AtomicUsize = AtomicUsize::new(0);

/// Whose turn it is: tickets given out, and tickets done with.
static TICKETS: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// Reports one after the other if several threads overflow at once; the last of them aborts.
fn report_and_abort(report: Report, size: usize) -> ! {
    REPORTING.fetch_add(1, SeqCst);
    let ticket = TICKETS[0].fetch_add(1, Relaxed);
    wait_until(|| TICKETS[1].load(Acquire) == ticket);
    report(size, &mut Stderr);
    TICKETS[1].store(ticket + 1, Release);
    REPORTING.fetch_sub(1, SeqCst);
    wait_until(|| REPORTING.load(SeqCst) == 0);
    std::process::abort()
}

/// Waits, but for a second at most: a report that hangs must not keep the process from its end.
fn wait_until(condition: impl Fn() -> bool) {
    let pause = libc::timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000,
    };
    for _ in 0..1000 {
        if condition() {
            return;
        }
        // SAFETY: the pointer is that of a live timespec, and nanosleep is async-signal-safe.
        unsafe { libc::nanosleep(&raw const pause, ptr::null_mut()) };
    }
}

fn current_action(signal: c_int) -> libc::sigaction {
    // SAFETY: all zeroes is a sigaction (the default one), and a query writes to it only.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, ptr::null(), &raw mut action);
        action
    }
}

fn set_action(signal: c_int, action: &libc::sigaction) {
    // SAFETY: all callers pass the default action or our handler, which is async-signal-safe.
    unsafe { libc::sigaction(signal, action, ptr::null_mut()) };
}

/// Restores the default action.
pub(super) fn reset(signal: c_int) {
    // SAFETY: all zeroes is a sigaction, the default one.
    let default = unsafe { std::mem::zeroed() };
    set_action(signal, &default);
}

pub(super) fn errno() -> c_int {
    // SAFETY: the pointer is always that of the thread's own errno.
    unsafe { *libc::__errno_location() }
}

pub(super) fn set_errno(value: c_int) {
    // SAFETY: as in `errno`.
    unsafe { *libc::__errno_location() = value };
}
