//! Signal handlers: the one place that installs them, but for the handler of faults (`fault.rs`).
//!
//! A [`Watch`] is told of the signals it wants. It has a slot: the bits of the signals that are wanted,
//! the bits of those that have come, and a bell, an eventfd that ends whatever wait is under way. The
//! handler goes through all slots; where its signal is wanted it sets the bit, *then* rings. Who waits
//! looks at the bits, then silences the bell, then looks again; only one who finds no bits and a silent
//! bell waits for it. So no signal is lost, and those that come twice before anybody looks are one.
//!
//! The handler runs at any moment on any OS thread, in the midst of anything. So it takes no lock and
//! no memory, and slots are never freed, only used again, bell and all. A handler that read a slot
//! just before it changed hands may ring its next owner without need, or tell it of a signal that was being
//! delivered while it took the slot: both are harmless.
//!
//! The handler that a program had before ours still runs, after ours. A default action does not happen
//! while somebody watches the signal; when nobody does, the handler, which stays, brings it about itself. One
//! that is installed after ours is left where it is: it may call ours, and to call it back would never end.
//!
//! In the child of a fork the bells are the parent's, so there nobody watches until it does so itself.

use std::ffi::{c_int, c_void};
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use libc::{
    SA_NOCLDSTOP, SA_NOCLDWAIT, SA_NODEFER, SA_ONSTACK, SA_RESTART, SA_SIGINFO, SIG_DFL, SIG_IGN,
};

use super::fault::{call_handler, errno, reset, set_errno};
use super::fork;
use super::sync::Mutex;

/// Signals that somebody wants to be told of, until it is dropped.
pub(crate) struct Watch(&'static Slot);

impl Watch {
    /// A watch for no signal yet.
    pub(crate) fn new() -> io::Result<Watch> {
        fork::watch();
        let _changes = CHANGES.lock();
        Ok(Watch(Slot::take()?))
    }

    /// Is told of this signal from now on.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for what is no signal, and for those that cannot be watched: KILL and STOP, which
    /// have no handlers, and faults, from which a handler must not return.
    pub(crate) fn add(&self, signal: c_int) -> io::Result<()> {
        if !(1..=MOST).contains(&signal) || UNWATCHABLE.contains(&signal) {
            let message = format!("signal {signal} cannot be watched");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let _changes = CHANGES.lock();
        // Before the handler is there, so that it never finds a signal that nobody seems to want.
        self.0.wanted.fetch_or(bit(signal), Ordering::SeqCst);
        install(signal).inspect_err(|_| {
            self.0.wanted.fetch_and(!bit(signal), Ordering::SeqCst);
        })
    }

    /// Is told of no signal any more.
    pub(crate) fn clear(&self) {
        self.0.wanted.store(0, Ordering::SeqCst);
    }

    /// Takes one of the signals that have come, that of the lowest number.
    pub(crate) fn take(&self) -> Option<c_int> {
        let wanted = self.0.wanted.load(Ordering::Relaxed);
        let mut pending = self.0.pending.load(Ordering::Acquire);
        loop {
            let number = (pending & wanted).trailing_zeros();
            if number == u64::BITS {
                return None;
            }
            let signal = number as c_int + 1;
            match self.0.pending.compare_exchange_weak(
                pending,
                pending & !bit(signal),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(signal),
                Err(now) => pending = now,
            }
        }
    }

    /// As [`take`](Self::take). `WouldBlock`: none has come, and the descriptor will be readable when
    /// one does.
    pub(crate) fn attempt(&self) -> io::Result<c_int> {
        if self.0.generation != fork::generation() {
            return Err(io::Error::other(
                "this process was forked; the signals are watched in its parent",
            ));
        }
        let mut silenced = false;
        loop {
            if let Some(signal) = self.take() {
                // Others may wait for the bell that was silenced here.
                if silenced && self.0.pending.load(Ordering::Acquire) != 0 {
                    self.0.ring();
                }
                return Ok(signal);
            }
            self.0.silence()?;
            silenced = true;
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.bell.as_fd()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.clear();
        self.0.taken.store(false, Ordering::Release);
    }
}

/// Does the signal do now what it does in a program without handlers?
pub(crate) fn is_default(signal: c_int) -> bool {
    change_action(signal, None).is_ok_and(|current| current.sa_sigaction == SIG_DFL)
}

/// Lets the signal do what it does in a program without handlers, from now on, whoever watches it.
pub(crate) fn restore_default(signal: c_int) {
    reset(signal);
}

/// Ends the process by this signal, whose default action is in force and ends it.
pub(crate) fn end_process(signal: c_int) -> ! {
    // SAFETY: all zeroes is a set of signals, which the calls fill and read.
    unsafe {
        let mut set: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut());
        libc::raise(signal);
        // The first process of a container is spared by the kernel. This is what a shell would say.
        libc::_exit(128 + signal)
    }
}

/// The highest number of a signal.
const MOST: c_int = 64;

const UNWATCHABLE: [c_int; 6] = [
    libc::SIGKILL,
    libc::SIGSTOP,
    libc::SIGSEGV,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGBUS,
];

/// See the module's text.
struct Slot {
    wanted: AtomicU64,
    pending: AtomicU64,
    bell: OwnedFd,
    generation: u32,
    taken: AtomicBool,
    next: Option<&'static Slot>,
}

/// The slot that was made last, which leads to all others.
static LAST: AtomicPtr<Slot> = AtomicPtr::new(ptr::null_mut());

/// Held by who takes a slot or installs a handler. The handler does not know of it.
static CHANGES: Mutex<()> = Mutex::new(());

impl Slot {
    /// A slot of one's own. The caller holds [`CHANGES`].
    fn take() -> io::Result<&'static Slot> {
        let unused = |slot: &&Slot| {
            slot.generation == fork::generation() && !slot.taken.load(Ordering::Acquire)
        };
        if let Some(slot) = Slot::all().find(unused) {
            slot.taken.store(true, Ordering::Relaxed);
            slot.pending.store(0, Ordering::Relaxed);
            return Ok(slot);
        }
        let slot = Box::leak(Box::new(Slot {
            wanted: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            bell: bell()?,
            generation: fork::generation(),
            taken: AtomicBool::new(true),
            next: Slot::all().next(),
        }));
        LAST.store(slot, Ordering::Release);
        Ok(slot)
    }

    fn all() -> impl Iterator<Item = &'static Slot> {
        // SAFETY: null, or a slot, and those are never freed.
        let last = unsafe { LAST.load(Ordering::Acquire).as_ref() };
        std::iter::successors(last, |slot| slot.next)
    }

    /// Ends the waits that are under way. A bell that has rung 2^64 - 2 times needs no more.
    fn ring(&self) {
        let one = 1_u64;
        // SAFETY: an eventfd is written eight bytes, which are there.
        unsafe {
            libc::write(
                self.bell.as_raw_fd(),
                (&raw const one).cast(),
                size_of::<u64>(),
            )
        };
    }

    /// `WouldBlock`: it has not rung since it was silenced last.
    fn silence(&self) -> io::Result<()> {
        let mut count = 0_u64;
        // SAFETY: an eventfd gives eight bytes, for which there is room.
        let read = unsafe {
            libc::read(
                self.bell.as_raw_fd(),
                (&raw mut count).cast(),
                size_of::<u64>(),
            )
        };
        if read < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// An eventfd that never blocks.
fn bell() -> io::Result<OwnedFd> {
    // SAFETY: it only makes a descriptor.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bit(signal: c_int) -> u64 {
    1 << (signal - 1)
}

/// What was in force for each signal before our handler. Null: ours was never installed.
static PREVIOUS: [AtomicPtr<libc::sigaction>; MOST as usize + 1] =
    [const { AtomicPtr::new(ptr::null_mut()) }; MOST as usize + 1];

extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let errno_before = errno();
    let watched = notice(signal);
    // SAFETY: null, or an action that was leaked for this.
    let previous = unsafe { PREVIOUS[signal as usize].load(Ordering::Acquire).as_ref() };
    if let Some(previous) = previous {
        match previous.sa_sigaction {
            SIG_IGN => {}
            SIG_DFL if watched => {}
            SIG_DFL => act_by_default(signal),
            // SAFETY: the action of this very signal, whose arguments these are.
            _ => unsafe { call_handler(previous, signal, info, context) },
        }
    }
    set_errno(errno_before);
}

/// Tells all who want to know. Returns whether there is anybody.
fn notice(signal: c_int) -> bool {
    let mut watched = false;
    let generation = fork::generation();
    for slot in Slot::all() {
        let wanted = slot.wanted.load(Ordering::SeqCst) & bit(signal) != 0;
        if wanted && slot.generation == generation {
            slot.pending.fetch_or(bit(signal), Ordering::AcqRel);
            slot.ring();
            watched = true;
        }
    }
    watched
}

/// What the kernel would do now, had we not been there; in a handler.
fn act_by_default(signal: c_int) {
    let raised = match signal {
        libc::SIGCHLD | libc::SIGCONT | libc::SIGURG | libc::SIGWINCH => return,
        // They stop the process. Our handler stays for whoever watches them when it goes on.
        libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => libc::SIGSTOP,
        _ => {
            reset(signal);
            signal
        }
    };
    // SAFETY: raise is async-signal-safe. The signal that is handled comes when the handler returns.
    unsafe { libc::raise(raised) };
}

/// Sees to it that our handler runs for this signal. The caller holds [`CHANGES`].
fn install(signal: c_int) -> io::Result<()> {
    let current = change_action(signal, None)?;
    let place = &PREVIOUS[signal as usize];
    let ours = handle as *const () as usize;
    let is_function = current.sa_sigaction != SIG_DFL && current.sa_sigaction != SIG_IGN;
    let came_later = is_function && !place.load(Ordering::Relaxed).is_null();
    if current.sa_sigaction == ours || came_later {
        return Ok(());
    }
    // There before our handler can run, which reads it.
    place.store(Box::leak(Box::new(current)), Ordering::Release);
    let replaced = change_action(signal, Some(&ours_in_place_of(&current)))?;
    if replaced.sa_sigaction != current.sa_sigaction {
        place.store(Box::leak(Box::new(replaced)), Ordering::Release);
    }
    Ok(())
}

fn ours_in_place_of(previous: &libc::sigaction) -> libc::sigaction {
    let is_function = previous.sa_sigaction != SIG_DFL && previous.sa_sigaction != SIG_IGN;
    // An earlier handler gets what it counts on: its stack, its mask, system calls that are interrupted.
    // Without one nothing is interrupted, and a green thread's stack, which may be small, is spared.
    let flags = if is_function {
        SA_ONSTACK | SA_RESTART | SA_NODEFER
    } else {
        0
    };
    let kept = previous.sa_flags & (flags | SA_NOCLDSTOP | SA_NOCLDWAIT);
    let own = if is_function {
        0
    } else {
        SA_ONSTACK | SA_RESTART
    };
    let mut action = *previous;
    action.sa_sigaction = handle as *const () as usize;
    action.sa_flags = SA_SIGINFO | kept | own;
    if !is_function {
        // One at a time: std's threads have 8 KiB of alternate stack, and a frame of a signal may take half of that.
        // SAFETY: it fills a set of signals that is there.
        unsafe { libc::sigfillset(&raw mut action.sa_mask) };
    }
    action
}

/// Sets the signal's action if one is given; returns what was in force before.
fn change_action(signal: c_int, new: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    // SAFETY: all zeroes is a sigaction, the default one.
    let mut before: libc::sigaction = unsafe { mem::zeroed() };
    let new = new.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: null or an action with our handler, which is async-signal-safe; `before` can be written to.
    match unsafe { libc::sigaction(signal, new, &raw mut before) } {
        0 => Ok(before),
        _ => Err(io::Error::last_os_error()),
    }
}
