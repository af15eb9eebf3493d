//! Signals: who is told of them, who waits for them, and ^C. Each test has a process of its own.

mod support;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::os::unix::thread::JoinHandleExt;
use std::panic::{self, AssertUnwindSafe};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::Duration;
use std::{fs, mem, ptr};

use support::{HOUR, Numbers, assert_success, in_child, is_child, must_end, scaled};
use sylvan::runtime::{Builder, Runtime};
use sylvan::signal::{self, Signal, Signals};
use sylvan::sync::Barrier;
use sylvan::task::{self, Cancelled, Reason, State};
use sylvan::{thread, time};

/// Runs the test in a process that no other test shares, and that must survive it.
fn alone(test: &str, f: impl FnOnce()) {
    if is_child() {
        listen_to_interrupts();
        must_end(f);
    } else {
        assert_success(&in_child(test, &[]));
    }
}

/// Runs the test in a process that it ends by this signal. Returns what it printed to stderr.
fn ends_by(test: &str, signal: Signal, f: impl FnOnce()) -> Option<String> {
    if is_child() {
        listen_to_interrupts();
        must_end(f);
        return None;
    }
    let Output { status, stderr, .. } = in_child(test, &[]);
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.signal(), Some(signal.as_raw()), "{status}: {stderr}");
    Some(stderr)
}

/// ^C is as it usually is, also if a shell without job control has started the tests in the background.
fn listen_to_interrupts() {
    // SAFETY: it touches no memory.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
}

/// Sends a signal to the calling OS thread: when this returns the handler has run.
fn raise(signal: Signal) {
    // SAFETY: it touches no memory.
    assert_eq!(unsafe { libc::raise(signal.as_raw()) }, 0);
}

/// Sends a signal to the process, as a shell does.
fn kill(signal: Signal) {
    // SAFETY: it touches no memory.
    assert_eq!(unsafe { libc::kill(libc::getpid(), signal.as_raw()) }, 0);
}

const USERS: [Signal; 2] = [Signal::USER1, Signal::USER2];

#[test]
fn signals_have_names_and_numbers() {
    assert_eq!(Signal::INTERRUPT.to_string(), "SIGINT");
    assert_eq!(Signal::TERMINATE.as_raw(), libc::SIGTERM);
    assert_eq!(Signal::from_raw(libc::SIGWINCH), Signal::WINDOW_CHANGE);
    assert_eq!(format!("{:?}", Signal::QUIT), "Signal(SIGQUIT)");
    assert_eq!(Signal::from_raw(64).to_string(), "signal 64");
}

#[test]
fn what_cannot_be_watched_is_refused() {
    use libc::{SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGSEGV, SIGSTOP};
    // 32 is the C library's own.
    for number in [
        SIGKILL,
        SIGSTOP,
        SIGSEGV,
        SIGILL,
        SIGFPE,
        SIGBUS,
        0,
        -1,
        32,
        65,
        i32::MAX,
    ] {
        let refused = Signals::new([Signal::WINDOW_CHANGE, Signal::from_raw(number)]);
        assert_eq!(
            refused.unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{number}"
        );
    }
}

#[test]
fn equal_signals_are_one_and_different_ones_are_kept() {
    alone("equal_signals_are_one_and_different_ones_are_kept", || {
        let test = || {
            let signals = Signals::new(USERS.into_iter().chain([Signal::HANGUP])).unwrap();
            for signal in [USERS[1], USERS[0], USERS[1], Signal::HANGUP, USERS[1]] {
                raise(signal);
            }
            assert_eq!(signals.try_next(), Some(Signal::HANGUP));
            assert_eq!(signals.wait().unwrap(), USERS[0]);
            assert_eq!(signals.wait().unwrap(), USERS[1]);
            assert_eq!(signals.try_next(), None);
            raise(USERS[0]);
            assert_eq!(signals.wait().unwrap(), USERS[0]);
        };
        test();
        sylvan::run(test);
    });
}

#[test]
fn a_wait_suspends_only_its_green_thread() {
    alone("a_wait_suspends_only_its_green_thread", || {
        for send in [raise, kill] {
            sylvan::run(|| {
                let signals = Signals::new(USERS).unwrap();
                let waiting = Arc::new(AtomicBool::new(false));
                let flag = waiting.clone();
                let sender = thread::spawn(move || {
                    // The only hub has come here, so main is suspended.
                    assert!(flag.load(SeqCst));
                    send(Signal::USER2);
                });
                waiting.store(true, SeqCst);
                assert_eq!(signals.wait().unwrap(), Signal::USER2);
                sender.join().unwrap();
            });
        }
    });
}

#[test]
fn a_plain_thread_waits_too() {
    alone("a_plain_thread_waits_too", || {
        let signals = Arc::new(Signals::new(USERS).unwrap());
        let theirs = signals.clone();
        let waiter = std::thread::spawn(move || theirs.wait().unwrap());
        let waited = time::timeout(Duration::from_millis(5), || {
            Signals::new(USERS).unwrap().wait()
        });
        assert!(waited.is_err());
        kill(Signal::USER1);
        assert_eq!(waiter.join().unwrap(), Signal::USER1);
        assert_eq!(signals.try_next(), None);
    });
}

#[test]
fn iteration_waits_again_and_again() {
    alone("iteration_waits_again_and_again", || {
        sylvan::run(|| {
            let signals = Signals::new(USERS).unwrap();
            let sender = thread::spawn(|| raise(USERS[0]));
            let mut seen = Vec::new();
            for signal in &signals {
                seen.push(signal.unwrap());
                if seen.len() == 2 {
                    break;
                }
                raise(USERS[1]);
            }
            assert_eq!(seen, USERS);
            sender.join().unwrap();
        });
    });
}

#[test]
fn every_watcher_sees_every_signal() {
    alone("every_watcher_sees_every_signal", || {
        let both = Signals::new(USERS).unwrap();
        let one = Signals::new([USERS[0]]).unwrap();
        let leaves = Signals::new(USERS).unwrap();
        raise(USERS[0]);
        for signals in [&both, &one, &leaves] {
            assert_eq!(signals.try_next(), Some(USERS[0]));
        }
        drop(leaves);
        raise(USERS[1]);
        raise(USERS[0]);
        assert_eq!(one.wait().unwrap(), USERS[0]);
        assert_eq!(one.try_next(), None);
        assert_eq!(both.wait().unwrap(), USERS[0]);
        assert_eq!(both.wait().unwrap(), USERS[1]);
        let comes = Signals::new(USERS).unwrap();
        assert_eq!(comes.try_next(), None, "what came before is not its");
    });
}

#[test]
fn waiters_of_one_instance_take_one_signal_each() {
    alone("waiters_of_one_instance_take_one_signal_each", || {
        let signals = Arc::new(Signals::new(USERS).unwrap());
        let begin = Arc::new(Barrier::new(3));
        let rounds = scaled(10_000);
        let waiter = || {
            let (signals, begin) = (signals.clone(), begin.clone());
            move || {
                let round = |_| {
                    begin.wait();
                    signals.wait().unwrap()
                };
                let taken: Vec<_> = (0..rounds).map(round).collect();
                // A signal that is sent to a thread is lost if the thread ends before it comes.
                begin.wait();
                taken
            }
        };
        // One of each kind: they wait for the same bell in different ways. The bell still rings from the
        // round before when they begin, and the signals come in the midst of what one of them does.
        let green = thread::spawn(waiter());
        let plain = std::thread::spawn(waiter());
        let thread = plain.as_pthread_t();
        let mut numbers = Numbers::new(7);
        for _ in 0..rounds {
            begin.wait();
            (0..numbers.below(5_000)).for_each(|_| std::hint::spin_loop());
            for signal in USERS {
                // SAFETY: the thread has not been joined, and the signal touches no memory.
                assert_eq!(unsafe { libc::pthread_kill(thread, signal.as_raw()) }, 0);
            }
        }
        begin.wait();
        let pairs = green.join().unwrap().into_iter().zip(plain.join().unwrap());
        assert!(pairs.into_iter().all(|(green, plain)| green != plain));
        assert_eq!(signals.try_next(), None);
    });
}

#[test]
fn no_signal_is_lost_between_os_threads() {
    alone("no_signal_is_lost_between_os_threads", || {
        let runtime = Runtime::builder().workers(2).build().unwrap();
        let rounds = scaled(2000);
        runtime.run(|| {
            let (tell, told) = sylvan::sync::mpsc::channel();
            let watchers = (0..3).map(|_| {
                let (signals, tell) = (Signals::new(USERS).unwrap(), tell.clone());
                thread::spawn(move || {
                    for _ in 0..2 * rounds {
                        tell.send(signals.wait().unwrap()).unwrap();
                    }
                })
            });
            let watchers: Vec<_> = watchers.collect();
            for _ in 0..rounds {
                USERS.into_iter().for_each(kill);
                for _ in 0..6 {
                    told.recv().unwrap();
                }
            }
            for watcher in watchers {
                watcher.join().unwrap();
            }
        });
    });
}

#[test]
fn a_cancelled_or_timed_out_wait_takes_nothing_with_it() {
    alone(
        "a_cancelled_or_timed_out_wait_takes_nothing_with_it",
        || {
            sylvan::run(|| {
                let signals = Arc::new(Signals::new(USERS).unwrap());
                let wait = || {
                    let signals = signals.clone();
                    let waiter = thread::spawn(move || signals.wait().unwrap());
                    thread::yield_now();
                    waiter
                };
                let waited = time::timeout(Duration::from_millis(5), || signals.wait());
                assert!(waited.is_err());
                let waiter = wait();
                waiter.cancel();
                assert!(waiter.join().unwrap_err().is::<Cancelled>());
                raise(USERS[0]);
                assert_eq!(signals.wait().unwrap(), USERS[0]);

                // Both at once: it has the signal, or the next one has.
                for _ in 0..100 {
                    let (first, second) = (wait(), wait());
                    raise(USERS[1]);
                    first.cancel();
                    if let Ok(signal) = first.join() {
                        assert_eq!(signal, USERS[1]);
                        raise(USERS[1]);
                    }
                    assert_eq!(second.join().unwrap(), USERS[1]);
                    assert_eq!(signals.try_next(), None);
                }
            });
        },
    );
}

static EARLIER: AtomicUsize = AtomicUsize::new(0);

extern "C" fn earlier(_: libc::c_int) {
    EARLIER.fetch_add(1, SeqCst);
}

extern "C" fn earlier_with_info(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    _: *mut libc::c_void,
) {
    // SAFETY: the kernel's.
    let number = unsafe { (*info).si_signo };
    EARLIER.fetch_add(if number == signal { 100 } else { 0 }, SeqCst);
}

fn action(signal: Signal, new: Option<&libc::sigaction>) -> libc::sigaction {
    // SAFETY: all zeroes is a sigaction; the handlers given here only add to an atomic.
    unsafe {
        let mut before = mem::zeroed();
        let new = new.map_or(ptr::null(), ptr::from_ref);
        assert_eq!(libc::sigaction(signal.as_raw(), new, &raw mut before), 0);
        before
    }
}

fn install(signal: Signal, handler: usize, flags: libc::c_int) {
    // SAFETY: all zeroes is a sigaction.
    let mut new: libc::sigaction = unsafe { mem::zeroed() };
    new.sa_sigaction = handler;
    new.sa_flags = flags;
    action(signal, Some(&new));
}

#[test]
fn an_earlier_handler_still_runs() {
    alone("an_earlier_handler_still_runs", || {
        install(USERS[0], earlier as *const () as usize, 0);
        let with_info = earlier_with_info as *const () as usize;
        install(USERS[1], with_info, libc::SA_SIGINFO);
        let signals = Signals::new(USERS).unwrap();
        // It asked for system calls to be interrupted, and for the stack of whoever is interrupted.
        let flags = action(USERS[0], None).sa_flags;
        assert_eq!(flags & (libc::SA_RESTART | libc::SA_ONSTACK), 0);
        raise(USERS[0]);
        assert_eq!(EARLIER.load(SeqCst), 1);
        raise(USERS[1]);
        assert_eq!(EARLIER.load(SeqCst), 101);
        assert_eq!(signals.wait().unwrap(), USERS[0]);
        assert_eq!(signals.wait().unwrap(), USERS[1]);
        // And when nobody watches any more.
        drop(signals);
        raise(USERS[0]);
        assert_eq!(EARLIER.load(SeqCst), 102);
    });
}

#[test]
fn a_later_handler_is_left_in_its_place() {
    alone("a_later_handler_is_left_in_its_place", || {
        let first = Signals::new(USERS).unwrap();
        install(USERS[0], earlier as *const () as usize, 0);
        let second = Signals::new(USERS).unwrap();
        raise(USERS[0]);
        assert_eq!(EARLIER.load(SeqCst), 1);
        assert_eq!((first.try_next(), second.try_next()), (None, None));
        // When it has gone the next watcher takes its place.
        install(USERS[0], libc::SIG_IGN, 0);
        let third = Signals::new(USERS).unwrap();
        raise(USERS[0]);
        for signals in [first, second, third] {
            assert_eq!(signals.try_next(), Some(USERS[0]));
        }
        raise(USERS[0]);
        assert_eq!(EARLIER.load(SeqCst), 1);
    });
}

#[test]
fn the_handler_spares_stacks_and_system_calls() {
    alone("the_handler_spares_stacks_and_system_calls", || {
        let _signals = Signals::new(USERS).unwrap();
        let flags = action(USERS[0], None).sa_flags;
        let expected = libc::SA_RESTART | libc::SA_ONSTACK;
        assert_eq!(flags & expected, expected);
        // SAFETY: errno is the calling thread's own.
        unsafe {
            *libc::__errno_location() = libc::EXDEV;
            raise(USERS[0]);
            assert_eq!(*libc::__errno_location(), libc::EXDEV);
        }
    });
}

#[test]
fn without_watchers_the_default_action_is_back() {
    ends_by(
        "without_watchers_the_default_action_is_back",
        Signal::TERMINATE,
        || {
            let signals = Signals::new([Signal::TERMINATE, Signal::WINDOW_CHANGE, Signal::PIPE]);
            raise(Signal::TERMINATE);
            drop(signals);
            // Ignored by default, and ignored by every Rust program.
            raise(Signal::WINDOW_CHANGE);
            raise(Signal::PIPE);
            // As good as new.
            let signals = Signals::new([Signal::WINDOW_CHANGE, Signal::PIPE]).unwrap();
            raise(Signal::WINDOW_CHANGE);
            raise(Signal::PIPE);
            assert_eq!(signals.wait().unwrap(), Signal::PIPE);
            assert_eq!(signals.wait().unwrap(), Signal::WINDOW_CHANGE);
            raise(Signal::TERMINATE);
            unreachable!("the process has ended");
        },
    );
}

#[test]
fn ctrl_c_returns_for_one() {
    ends_by("ctrl_c_returns_for_one", Signal::INTERRUPT, || {
        for _ in 0..2 {
            sylvan::run(|| {
                let sender = thread::spawn(|| raise(Signal::INTERRUPT));
                signal::ctrl_c().unwrap();
                sender.join().unwrap();
            });
        }
        raise(Signal::INTERRUPT);
        unreachable!("the process has ended");
    });
}

#[test]
fn in_the_child_of_a_fork_nobody_watches() {
    alone("in_the_child_of_a_fork_nobody_watches", || {
        let signals = Signals::new(USERS).unwrap();
        let in_child = |f: &dyn Fn()| {
            // SAFETY: the child calls only what needs no lock that another thread might hold, and exits.
            unsafe {
                let child = libc::fork();
                if child == 0 {
                    f();
                    libc::_exit(0);
                }
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
                status
            }
        };
        let status = in_child(&|| assert!(signals.wait().is_err()));
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0);
        let status = in_child(&|| raise(USERS[0]));
        assert_eq!(libc::WTERMSIG(status), libc::SIGUSR1);
        let status = in_child(&|| {
            let signals = Signals::new(USERS).unwrap();
            raise(USERS[1]);
            assert_eq!(signals.try_next(), Some(USERS[1]));
        });
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0);
        assert_eq!(signals.try_next(), None);
    });
}

#[test]
fn descriptors_are_used_again() {
    alone("descriptors_are_used_again", || {
        let open = || fs::read_dir("/proc/self/fd").unwrap().count();
        drop(Signals::new(USERS).unwrap());
        let before = open();
        for _ in 0..100 {
            raise_and_see(&Signals::new(USERS).unwrap());
        }
        assert_eq!(open(), before);
    });
}

fn raise_and_see(signals: &Signals) {
    raise(USERS[0]);
    raise(USERS[1]);
    // The bell still rings for the other one when the next owner comes.
    assert_eq!(signals.wait().unwrap(), USERS[0]);
}

/// Counts its drop, after a suspension.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        thread::sleep(Duration::from_millis(1));
        self.0.fetch_add(1, SeqCst);
    }
}

fn listening() -> Builder {
    Runtime::builder().cancel_on_ctrl_c(true)
}

/// Spawns some that wait for ever, and waits until they do.
fn spawn_waiters(count: usize, drops: &Arc<AtomicUsize>) {
    let (tell, told) = sylvan::sync::mpsc::channel();
    for _ in 0..count {
        let (one, tell) = (Counted(drops.clone()), tell.clone());
        thread::spawn(move || {
            let _one = one;
            tell.send(()).unwrap();
            thread::sleep(HOUR);
        });
    }
    (0..count).for_each(|_| told.recv().unwrap());
}

#[test]
fn the_first_ctrl_c_unwinds_everything() {
    alone("the_first_ctrl_c_unwinds_everything", || {
        for workers in [1, 2] {
            let drops = Arc::new(AtomicUsize::new(0));
            let runtime = listening().workers(workers).build().unwrap();
            let outcome = runtime.try_run(|| {
                let _one = Counted(drops.clone());
                spawn_waiters(20, &drops);
                kill(Signal::INTERRUPT);
                thread::sleep(HOUR);
            });
            assert!(outcome.unwrap_err().is::<Cancelled>());
            assert_eq!(drops.load(SeqCst), 1);
            runtime.close();
            assert_eq!(drops.load(SeqCst), 21);

            let runtime = listening().workers(workers).build().unwrap();
            let rethrown = panic::catch_unwind(AssertUnwindSafe(|| {
                runtime.run(|| {
                    spawn_waiters(20, &drops);
                    kill(Signal::INTERRUPT);
                    thread::sleep(HOUR);
                });
            }));
            assert!(rethrown.unwrap_err().is::<Cancelled>());
            drop(runtime);
            assert_eq!(drops.load(SeqCst), 41);
        }
    });
}

#[test]
fn ctrl_c_is_a_first_one_again_in_the_next_run() {
    alone("ctrl_c_is_a_first_one_again_in_the_next_run", || {
        let runtime = listening().build().unwrap();
        let drops = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            let outcome = runtime.try_run(|| {
                spawn_waiters(2, &drops);
                kill(Signal::INTERRUPT);
                thread::sleep(HOUR);
            });
            assert!(outcome.unwrap_err().is::<Cancelled>());
            runtime.run(thread::yield_now);
            let handle = runtime.handle();
            assert_eq!(handle.task_count(), 2 * (1 + drops.load(SeqCst) / 2));
            drops.fetch_add(2, SeqCst);
        }
        // One that comes while nothing runs ends the next run, as `stop` does.
        let watch = Signals::new([Signal::INTERRUPT]).unwrap();
        kill(Signal::INTERRUPT);
        watch.wait().unwrap();
        assert!(runtime.try_run(|| thread::sleep(HOUR)).is_err());
        runtime.run(|| ());
    });
}

#[test]
fn run_forever_returns_on_ctrl_c() {
    alone("run_forever_returns_on_ctrl_c", || {
        let runtime = listening().workers(2).build().unwrap();
        for _ in 0..2 {
            // The other hub may run it, but not before this hub runs for ever.
            runtime.run(|| thread::spawn_local(|| kill(Signal::INTERRUPT)));
            runtime.run_forever();
        }
    });
}

#[test]
fn one_ctrl_c_stops_all_runtimes_that_asked() {
    alone("one_ctrl_c_stops_all_runtimes_that_asked", || {
        let (ready, all_ready) = mpsc::channel();
        let start = |builder: Builder| {
            let ready = ready.clone();
            std::thread::spawn(move || {
                let runtime = builder.build().unwrap();
                runtime.try_run(|| {
                    ready.send(runtime.handle()).unwrap();
                    thread::sleep(HOUR);
                })
            })
        };
        let asked: Vec<_> = (0..3).map(|_| start(listening())).collect();
        (0..3).for_each(|_| drop(all_ready.recv().unwrap()));
        let did_not = start(Runtime::builder());
        let handle = all_ready.recv().unwrap();
        kill(Signal::INTERRUPT);
        for thread in asked {
            let outcome = thread.join().unwrap();
            assert!(outcome.unwrap_err().is::<Cancelled>());
        }
        assert_eq!(handle.task_count(), 1);
        handle.stop();
        did_not.join().unwrap().unwrap_err();
    });
}

/// Interrupts this process until it has ended: signals that come before the first was looked at are one.
fn interrupt_for_ever() {
    std::thread::spawn(|| {
        loop {
            kill(Signal::INTERRUPT);
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}

/// The lines about green threads, without the lines and columns of their places.
fn listed(stderr: &str) -> BTreeSet<String> {
    let mut lines = stderr.lines();
    let head = lines.find(|line| line.contains("a second ^C ends the process"));
    assert!(head.is_some(), "{stderr}");
    lines
        .map(|line| {
            let (name, rest) = line.trim().split_once(" (spawned at ").unwrap();
            let (place, doing) = rest.split_once("): ").unwrap();
            assert!(place.starts_with("tests/signals.rs:"), "{line}");
            format!("{name}: {doing}")
        })
        .collect()
}

#[test]
fn who_listens_for_ctrl_c_never_wakes_without_one() {
    alone("who_listens_for_ctrl_c_never_wakes_without_one", || {
        let runtime = listening().build().unwrap();
        let switches = || {
            let mut threads = fs::read_dir("/proc/self/task").unwrap();
            threads.find_map(|thread| {
                let status = fs::read_to_string(thread.unwrap().path().join("status")).ok()?;
                let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
                let counts: Vec<_> = lines.map(str::to_owned).collect();
                status.contains("\tsylvan-signals\n").then_some(counts)
            })
        };
        // It has its name, and comes to rest, a moment after it was started.
        let mut before = switches();
        loop {
            runtime.run(|| thread::sleep(Duration::from_millis(300)));
            let after = switches();
            if before.is_some() && before == after {
                break;
            }
            before = after;
        }
    });
}

#[test]
fn a_second_ctrl_c_names_who_spins_on_the_only_hub() {
    let stderr = ends_by(
        "a_second_ctrl_c_names_who_spins_on_the_only_hub",
        Signal::INTERRUPT,
        || {
            listening().build().unwrap().run(|| {
                named("waits").spawn(|| thread::sleep(HOUR)).unwrap();
                named("reads")
                    .spawn(|| Signals::new(USERS).unwrap().wait())
                    .unwrap();
                named("spins")
                    .spawn(|| {
                        // Not started, and never will be.
                        for _ in 0..3 {
                            named("new").spawn(|| ()).unwrap();
                        }
                        interrupt_for_ever();
                        loop {
                            std::hint::spin_loop();
                        }
                    })
                    .unwrap();
                thread::sleep(HOUR);
            });
        },
    );
    let Some(stderr) = stderr else { return };
    assert!(
        stderr.contains("green threads that had not ended: 7"),
        "{stderr}"
    );
    let expected = [
        "'main': sleep",
        "'waits': sleep",
        "'reads': signal",
        "'spins': runs, or blocks its OS thread",
        "'new': has not started (3 of them)",
    ];
    assert_eq!(listed(&stderr), expected.map(str::to_owned).into());
}

#[test]
fn a_second_ctrl_c_names_who_hangs_in_the_end_of_the_runtime() {
    let stderr = ends_by(
        "a_second_ctrl_c_names_who_hangs_in_the_end_of_the_runtime",
        Signal::INTERRUPT,
        || {
            let runtime = listening().workers(2).build().unwrap();
            let outcome = runtime.try_run(|| {
                let (tell, told) = sylvan::sync::mpsc::channel();
                named("swallows")
                    .spawn(move || {
                        tell.send(()).unwrap();
                        loop {
                            let _ = panic::catch_unwind(|| thread::sleep(HOUR));
                        }
                    })
                    .unwrap();
                named("ends").spawn(|| thread::sleep(HOUR)).unwrap();
                told.recv().unwrap();
                kill(Signal::INTERRUPT);
                thread::sleep(HOUR);
            });
            assert!(outcome.unwrap_err().is::<Cancelled>());
            let handle = runtime.handle();
            std::thread::spawn(move || {
                while handle.task_count() > 1 {
                    std::thread::yield_now();
                }
                kill(Signal::INTERRUPT);
            });
            runtime.close();
        },
    );
    let Some(stderr) = stderr else { return };
    // What it does at that moment is a matter of chance.
    let lines = Vec::from_iter(listed(&stderr));
    assert!(
        lines.len() == 1 && lines[0].starts_with("'swallows': "),
        "{stderr}"
    );
}

#[test]
fn a_second_ctrl_c_ends_a_main_that_unwinds_for_too_long() {
    struct Hangs;
    impl Drop for Hangs {
        fn drop(&mut self) {
            let main = task::all().remove(0);
            std::thread::spawn(move || {
                while main.state() != State::Waiting(Reason::Sleep) {
                    std::thread::yield_now();
                }
                kill(Signal::INTERRUPT);
            });
            thread::sleep(HOUR);
        }
    }
    let stderr = ends_by(
        "a_second_ctrl_c_ends_a_main_that_unwinds_for_too_long",
        Signal::INTERRUPT,
        || {
            listening().build().unwrap().run(|| {
                let _hangs = Hangs;
                kill(Signal::INTERRUPT);
                thread::sleep(HOUR);
            });
        },
    );
    let Some(stderr) = stderr else { return };
    assert_eq!(listed(&stderr), ["'main': sleep".to_owned()].into());
}

#[test]
fn a_logger_that_hangs_does_not_keep_the_second_ctrl_c() {
    struct Hangs;
    impl log::Log for Hangs {
        fn enabled(&self, _: &log::Metadata) -> bool {
            true
        }
        fn log(&self, _: &log::Record) {
            std::thread::sleep(HOUR);
        }
        fn flush(&self) {}
    }
    ends_by(
        "a_logger_that_hangs_does_not_keep_the_second_ctrl_c",
        Signal::INTERRUPT,
        || {
            log::set_logger(&Hangs).unwrap();
            log::set_max_level(log::LevelFilter::Trace);
            listening().build().unwrap().run(|| {
                interrupt_for_ever();
                loop {
                    std::hint::spin_loop();
                }
            });
        },
    );
}

#[test]
fn ctrl_c_ends_a_process_whose_runtimes_are_gone() {
    ends_by(
        "ctrl_c_ends_a_process_whose_runtimes_are_gone",
        Signal::INTERRUPT,
        || {
            for _ in 0..2 {
                let runtime = listening().build().unwrap();
                let outcome = runtime.try_run(|| {
                    kill(Signal::INTERRUPT);
                    thread::sleep(HOUR);
                });
                assert!(outcome.is_err());
            }
            raise(Signal::INTERRUPT);
            unreachable!("the process has ended");
        },
    );
}
