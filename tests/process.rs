//! Child processes: their ends, their pipes, and what is left of them.

mod support;

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use support::{
    HOUR, assert_success, children, in_child, is_child, must_end, open_descriptors, scaled,
};
use sylvan::os::unix::process::CommandExt;
use sylvan::process::{self, Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use sylvan::task::{Reason, State};
use sylvan::time::timeout;
use sylvan::{io as green_io, thread};

/// Tests that count the descriptors or the children of this process run alone, one of them at a time.
fn alone(test: &str) -> bool {
    if is_child() {
        return true;
    }
    assert_success(&in_child(test, &[]));
    false
}

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn set_limit(limit: &libc::rlimit) {
    // SAFETY: the record is valid.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) };
    assert_eq!(set, 0);
}

fn kill(pid: u32) {
    // SAFETY: it takes numbers; the process is a child that has not been waited for.
    let killed = unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) };
    assert_eq!(killed, 0);
}

// ---- how they end

#[test]
fn statuses_are_those_of_the_children() {
    sylvan::run(|| {
        assert!(Command::new("true").status().unwrap().success());
        assert_eq!(sh("exit 7").status().unwrap().code(), Some(7));
        assert_eq!(sh("kill -9 $$").status().unwrap().signal(), Some(9));
        let mut child = Command::new("true").spawn().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(child.wait().unwrap(), status, "again");
        assert_eq!(child.try_wait().unwrap(), Some(status));
        child.kill().unwrap();
    });
    // From an OS thread as well.
    assert_eq!(sh("exit 8").status().unwrap().code(), Some(8));
    let mut child = sh("sleep 0.1; exit 9").spawn().unwrap();
    assert_eq!(child.wait_timeout(Duration::from_millis(5)).unwrap(), None);
    assert!(timeout(Duration::from_millis(5), || child.wait()).is_err());
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

#[test]
fn a_thousand_at_once_end_with_their_own_status_and_leave_nothing() {
    if !alone("a_thousand_at_once_end_with_their_own_status_and_leave_nothing") {
        return;
    }
    // What the library opens once is open then.
    sylvan::run(|| Command::new("true").status().unwrap());
    let before = open_descriptors();
    let count = scaled(1_000);
    sylvan::run(|| {
        let tasks: Vec<_> = (0..count)
            .map(|n| {
                thread::spawn(move || match n % 3 {
                    0 => assert!(Command::new("true").status().unwrap().success()),
                    1 => {
                        let mut cat = Command::new("cat")
                            .stdin(Stdio::piped())
                            .stdout(Stdio::piped())
                            .spawn()
                            .unwrap();
                        let word = format!("{n}");
                        cat.stdin
                            .as_mut()
                            .unwrap()
                            .write_all(word.as_bytes())
                            .unwrap();
                        let output = cat.wait_with_output().unwrap();
                        assert!(output.status.success());
                        assert_eq!(output.stdout, word.as_bytes());
                    }
                    _ => {
                        let script = format!("sleep 1; exit {}", n % 200);
                        let status = sh(&script).status().unwrap();
                        assert_eq!(status.code(), Some(n as i32 % 200));
                    }
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
    assert_eq!(children(), HashSet::new(), "zombies");
    assert_eq!(open_descriptors(), before);
}

#[test]
fn waiting_suspends_the_green_thread_alone() {
    sylvan::run(|| {
        let waiter = thread::spawn(|| {
            sh("read line")
                .stdin(Stdio::piped())
                .spawn()
                .unwrap()
                .wait()
        });
        while waiter.state() != State::Waiting(Reason::Child) && !waiter.is_finished() {
            thread::yield_now();
        }
        // `wait` closes the child's input, so it ends.
        assert!(!waiter.join().unwrap().unwrap().success());
    });
}

#[test]
fn a_ticker_goes_on_while_children_start_run_and_end() {
    sylvan::run(|| {
        let work = thread::spawn(|| {
            for _ in 0..30 {
                sh("sleep 0.01; head -c 100000 /dev/zero").output().unwrap();
            }
        });
        let mut longest = Duration::ZERO;
        while !work.is_finished() {
            let begun = Instant::now();
            thread::sleep(Duration::from_millis(10));
            longest = longest.max(begun.elapsed());
        }
        work.join().unwrap();
        assert!(longest < Duration::from_millis(500), "{longest:?}");
    });
}

#[test]
fn a_wait_that_is_cancelled_can_be_made_again() {
    sylvan::run(|| {
        let mut child = sh("sleep 0.2; exit 4").spawn().unwrap();
        for _ in 0..3 {
            assert!(timeout(Duration::from_millis(5), || child.wait()).is_err());
            assert_eq!(child.wait_timeout(Duration::from_millis(5)).unwrap(), None);
            assert_eq!(child.try_wait().unwrap(), None);
        }
        assert_eq!(child.wait().unwrap().code(), Some(4));
        let known = child.wait_timeout(Duration::ZERO).unwrap();
        assert_eq!(known.unwrap().code(), Some(4));
    });
}

#[test]
fn kill_and_wait_do_not_miss_each_other() {
    sylvan::run(|| {
        for turn in 0..50 {
            let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
            if turn % 2 == 0 {
                thread::yield_now();
            }
            child.kill().unwrap();
            assert_eq!(child.wait().unwrap().signal(), Some(9));
        }
    });
}

#[test]
fn what_is_dropped_goes_on() {
    sylvan::run(|| {
        let (reader, writer) = green_io::pipe().unwrap();
        drop(sh("sleep 0.1; echo here").stdout(writer).spawn().unwrap());
        assert_eq!(io::read_to_string(reader).unwrap(), "here\n");
    });
}

#[test]
fn what_is_left_behind_is_waited_for_when_others_are_started() {
    if !alone("what_is_left_behind_is_waited_for_when_others_are_started") {
        return;
    }
    must_end(|| {
        sylvan::run(|| {
            for _ in 0..30 {
                // It ends when its input is closed, which it is by the drop.
                drop(Command::new("cat").stdin(Stdio::piped()).spawn().unwrap());
            }
            // Whoever is cancelled leaves a process that goes on.
            let cancelled = timeout(Duration::from_millis(50), || {
                Command::new("sleep").arg("3600").output()
            });
            assert!(cancelled.is_err());
            let goes_on = |pid: &u32| {
                let command = fs::read_to_string(format!("/proc/{pid}/cmdline"));
                command.is_ok_and(|command| command.starts_with("sleep"))
            };
            let sleeper = children().into_iter().find(goes_on).unwrap();
            while children() != HashSet::from([sleeper]) {
                Command::new("true").status().unwrap();
            }
            kill(sleeper);
            while !children().is_empty() {
                Command::new("true").status().unwrap();
            }
        });
    });
}

#[test]
fn without_a_descriptor_of_the_process_its_end_is_noticed_as_well() {
    if !alone("without_a_descriptor_of_the_process_its_end_is_noticed_as_well") {
        return;
    }
    forbid_pidfd_open();
    let each = || {
        let mut child = sh("read line; exit 5")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        for _ in 0..3 {
            assert!(timeout(Duration::from_millis(5), || child.wait()).is_err());
            assert_eq!(child.wait_timeout(Duration::from_millis(5)).unwrap(), None);
        }
        drop(stdin);
        assert_eq!(child.wait().unwrap().code(), Some(5));
        let mut child = Command::new("sleep").arg("3600").spawn().unwrap();
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert_eq!(sh("echo out").output().unwrap().stdout, b"out\n");
    };
    must_end(|| sylvan::run(each));
    must_end(each);
    let waits_as_such = || {
        let waiter = thread::spawn(|| timeout(HOUR, || sh("sleep 0.1").status()));
        while waiter.state() != State::Waiting(Reason::Child) {
            thread::yield_now();
        }
        assert!(waiter.join().unwrap().unwrap().unwrap().success());
    };
    must_end(|| sylvan::run(waits_as_such));
    assert_eq!(children(), HashSet::new());
}

/// From here on `pidfd_open` is not known to this thread and those that it starts, as it is not to older kernels.
fn forbid_pidfd_open() {
    let statement = |code: u32, jump_if: u8, k: u32| libc::sock_filter {
        code: code as u16,
        jt: jump_if,
        jf: 0,
        k,
    };
    let mut filter = [
        // The number of the call is the first thing that the kernel shows a filter.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        statement(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            1,
            libc::SYS_pidfd_open as u32,
        ),
        statement(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
        statement(
            libc::BPF_RET | libc::BPF_K,
            0,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32,
        ),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program is whole, and the kernel takes a copy of it.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            ) == 0
    };
    assert!(done, "{}", io::Error::last_os_error());
    // SAFETY: it takes numbers, and fails.
    let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) };
    assert_eq!(opened, -1, "it has not been forbidden");
}

#[test]
fn where_the_kernel_forgets_how_children_end_waiting_fails_as_std_s() {
    if !alone("where_the_kernel_forgets_how_children_end_waiting_fails_as_std_s") {
        return;
    }
    // SAFETY: to ignore a signal is always allowed.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let expected = std::process::Command::new("true").status().unwrap_err();
    assert_eq!(expected.raw_os_error(), Some(libc::ECHILD));
    must_end(|| {
        sylvan::run(|| {
            let error = Command::new("true").status().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ECHILD));
            // Whether it has ended before it is waited for, or after that.
            let mut child = sh("sleep 0.05").spawn().unwrap();
            let error = child.wait().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ECHILD));
        });
    });
}

// ---- pipes

#[test]
fn output_of_ten_megabytes_to_both_pipes_is_whole() {
    must_end(|| {
        sylvan::run(|| {
            let script = "head -c 10000000 /dev/zero >&2; head -c 10000000 /dev/zero; \
                          head -c 1000 /dev/zero >&2";
            let output = sh(script).output().unwrap();
            assert_eq!(
                (output.stdout.len(), output.stderr.len()),
                (10_000_000, 10_001_000)
            );
        });
        // And from an OS thread.
        let output = sh("head -c 10000000 /dev/zero; head -c 10000000 /dev/zero >&2").output();
        let output = output.unwrap();
        assert_eq!(
            (output.stdout.len(), output.stderr.len()),
            (10_000_000, 10_000_000)
        );
    });
}

#[test]
fn pipes_lead_from_child_to_child() {
    sylvan::run(|| {
        let mut echo = sh("echo b; echo a").stdout(Stdio::piped()).spawn().unwrap();
        let mut sort = Command::new("sort");
        sort.stdin(echo.stdout.take().unwrap());
        assert_eq!(sort.output().unwrap().stdout, b"a\nb\n");
        assert!(echo.wait().unwrap().success());
    });
}

#[test]
fn a_child_that_reads_no_more_is_a_broken_pipe() {
    sylvan::run(|| {
        let mut child = sh("read line; exec <&-; echo closed; exec sleep 1000 >&- 2>&-")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"a line\n").unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut String::new()).unwrap();
        let error = stdin.write_all(&[0; 1 << 20]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[test]
fn a_write_to_a_full_pipe_waits_for_the_child() {
    sylvan::run(|| {
        let mut child = sh("sleep 0.1; wc -c")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let vectors = [io::IoSlice::new(&[1; 10]), io::IoSlice::new(&[2; 20])];
        assert_eq!(stdin.write_vectored(&vectors).unwrap(), 30);
        (&stdin).write_all(&[0; 1_000_000]).unwrap();
        stdin.flush().unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1000030");
    });
}

#[test]
fn ends_of_pipes_come_from_descriptors_and_become_some() {
    sylvan::run(|| {
        let mut cat = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = OwnedFd::from(cat.stdin.take().unwrap());
        let stdout = OwnedFd::from(cat.stdout.take().unwrap());
        let stderr = OwnedFd::from(cat.stderr.take().unwrap());
        for fd in [&stdin, &stdout, &stderr] {
            // SAFETY: it only reads the descriptor's flags.
            let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
            assert_eq!(flags & libc::O_NONBLOCK, 0, "nobody else could use it");
        }
        let mut stdin = ChildStdin::from(stdin);
        let (mut stdout, mut stderr) = (ChildStdout::from(stdout), ChildStderr::from(stderr));
        stdin.write_all(b"round").unwrap();
        drop(stdin);
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        stderr.read_to_string(&mut text).unwrap();
        assert_eq!(text, "round");
        cat.wait().unwrap();
    });
}

#[test]
fn streams_are_what_they_were_told_to_be_each_time() {
    sylvan::run(|| {
        let mut command = sh("echo out; echo err >&2; cat");
        command.stderr(Stdio::null());
        for _ in 0..2 {
            let output = command.output().unwrap();
            assert_eq!(
                (&output.stdout[..], &output.stderr[..]),
                (&b"out\n"[..], &b""[..])
            );
        }
        // What `output` makes of the others is not told for good.
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        assert!(child.stderr.is_none() && child.stdin.is_none());
        assert_eq!(child.wait_with_output().unwrap().stdout, b"out\n");
    });
}

// ---- what they are started with

#[test]
fn arguments_environment_and_folder_arrive() {
    sylvan::run(|| {
        let mut command = sh("echo $0 $A $B $C; pwd");
        command
            .arg("zero")
            .env("A", "1")
            .envs([("B", "2"), ("C", "3")])
            .env_remove("C")
            .current_dir("/");
        assert_eq!(command.get_program(), "sh");
        assert_eq!(command.get_args().count(), 3);
        assert_eq!(command.get_envs().count(), 3);
        assert_eq!(command.get_current_dir().unwrap().to_str(), Some("/"));
        assert!(format!("{command:?}").contains("sh"));
        assert_eq!(command.output().unwrap().stdout, b"zero 1 2\n/\n");
        let output = Command::new("/usr/bin/env")
            .env_clear()
            .env("ONLY", "this")
            .output();
        assert_eq!(output.unwrap().stdout, b"ONLY=this\n");
    });
}

#[test]
fn what_unix_adds_arrives() {
    sylvan::run(|| {
        let output = sh("echo $0").arg0("named").output().unwrap();
        assert_eq!(output.stdout, b"named\n");
        let mut group = sh("cut -d' ' -f5 /proc/$$/stat");
        let child = group
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let id = child.id();
        let output = child.wait_with_output().unwrap().stdout;
        assert_eq!(String::from_utf8_lossy(&output).trim(), id.to_string());
        let mut command = sh("echo $FD");
        // SAFETY: it calls nothing that a forked child must not.
        unsafe {
            command.pre_exec(|| match libc::setpgid(0, 0) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            })
        };
        assert!(command.status().unwrap().success());
        // SAFETY: as above.
        unsafe { command.pre_exec(|| Err(io::Error::from_raw_os_error(libc::EDOM))) };
        assert_eq!(
            command.status().unwrap_err().raw_os_error(),
            Some(libc::EDOM)
        );
        #[allow(deprecated, reason = "std still has it")]
        // SAFETY: as above.
        let status = unsafe {
            sh("true")
                .before_exec(|| Err(io::Error::from_raw_os_error(libc::EDOM)))
                .status()
        };
        assert_eq!(status.unwrap_err().raw_os_error(), Some(libc::EDOM));
        let error = Command::new("/there/is/none").exec();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        // SAFETY: it only returns a number.
        if unsafe { libc::geteuid() } == 0 {
            let output = sh("id -u; id -g").uid(65534).gid(65534).output().unwrap();
            assert_eq!(output.stdout, b"65534\n65534\n");
        }
    });
}

#[test]
fn a_program_that_this_one_becomes_has_its_streams() {
    let name = "a_program_that_this_one_becomes_has_its_streams";
    if !is_child() {
        let output = in_child(name, &[]);
        let written = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && written.contains("it has become this"),
            "{written}"
        );
        return;
    }
    let mut command = sh("echo it has become this");
    // Here its output is a pipe, and below it must not be.
    assert_eq!(command.output().unwrap().stdout, b"it has become this\n");
    panic!("{}", command.exec());
}

// ---- errors

#[test]
fn what_cannot_be_started_is_an_error_and_leaves_nothing() {
    if !alone("what_cannot_be_started_is_an_error_and_leaves_nothing") {
        return;
    }
    sylvan::run(|| {
        Command::new("true").status().unwrap();
        let before = open_descriptors();
        for (program, kind) in [
            ("/there/is/none", ErrorKind::NotFound),
            ("there-is-none", ErrorKind::NotFound),
            ("/", ErrorKind::PermissionDenied),
            ("nul\0inside", ErrorKind::InvalidInput),
        ] {
            let mut command = Command::new(program);
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            assert_eq!(command.spawn().unwrap_err().kind(), kind, "{program}");
            // It can be asked again, and gives the same.
            assert_eq!(command.status().unwrap_err().kind(), kind, "{program}");
        }
        let error = Command::new("true").current_dir("/there/is/none").status();
        assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(open_descriptors(), before);
        assert_eq!(children(), HashSet::new());
    });
}

#[test]
fn without_descriptors_it_fails_as_std_does_and_leaks_none() {
    if !alone("without_descriptors_it_fails_as_std_does_and_leaks_none") {
        return;
    }
    sylvan::run(|| {
        Command::new("true").status().unwrap();
        let before = open_descriptors();
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: the record is valid for the write.
        let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
        assert_eq!(got, 0);
        let usual = limit.rlim_cur;
        // One after the other comes free: each attempt fails at another place, until one succeeds.
        for spare in 0..20 {
            limit.rlim_cur = before as libc::rlim_t - 1 + spare;
            set_limit(&limit);
            let output = Command::new("true").output();
            limit.rlim_cur = usual;
            set_limit(&limit);
            match output {
                Ok(output) => assert!(spare > 3 && output.status.success()),
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}"),
            }
            thread::sleep(Duration::from_millis(5));
            assert_eq!(open_descriptors(), before, "{spare} to spare");
        }
        assert!(Command::new("true").status().unwrap().success());
    });
    let begun = Instant::now();
    while !children().is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{:?}",
            children()
        );
        std::thread::yield_now();
    }
}

// ---- as std's

/// The same lines with std's types and with ours: what compiles with the one compiles with the other.
macro_rules! complete {
    ($name:ident, $process:path, $ext:path) => {
        #[test]
        fn $name() {
            use $ext as _;
            use $process::{
                Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitCode, ExitStatus, Output,
                Stdio, Termination,
            };
            fn parts(
                child: Child,
            ) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
                let _: u32 = child.id();
                (child.stdin, child.stdout, child.stderr)
            }
            fn report(code: impl Termination) -> ExitCode {
                code.report()
            }
            fn has_all<T: std::fmt::Debug + Send + Sync>() {}
            has_all::<Command>();
            has_all::<Child>();
            has_all::<ChildStdin>();
            has_all::<ChildStdout>();
            has_all::<ChildStderr>();
            fn may_cross_an_unwinding<T: UnwindSafe + RefUnwindSafe>() {}
            may_cross_an_unwinding::<Child>();
            may_cross_an_unwinding::<ChildStdin>();
            may_cross_an_unwinding::<ChildStdout>();
            may_cross_an_unwinding::<ChildStderr>();
            fn becomes<A: Into<OwnedFd> + Into<Stdio> + AsRawFd + std::os::fd::AsFd>() {}
            becomes::<ChildStdin>();
            becomes::<ChildStdout>();
            becomes::<ChildStderr>();
            fn comes<A: From<OwnedFd> + std::os::fd::IntoRawFd>() {}
            comes::<ChildStdin>();
            comes::<ChildStdout>();
            comes::<ChildStderr>();

            let output: Output = Command::new("echo")
                .arg("-n")
                .args(["a", "b"])
                .output()
                .unwrap();
            let status: ExitStatus = output.status;
            assert!(status.success() && output.stdout == b"a b" && output.stderr.is_empty());
            let mut child = Command::new("cat")
                .env_clear()
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::inherit())
                .process_group(0)
                .spawn()
                .unwrap();
            assert!(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
            assert_eq!(child.wait().unwrap().signal(), Some(9));
            let (stdin, stdout, stderr) = parts(child);
            // Waiting has closed the one.
            assert!(stdin.is_none() && stdout.is_some() && stderr.is_none());
            let _ = report(());
            let file = fs::File::open("/dev/null").unwrap();
            assert!(Command::new("cat").stdin(file).status().unwrap().success());
        }
    };
}

complete!(
    complete_with_std,
    std::process,
    std::os::unix::process::CommandExt
);
complete!(
    complete_with_ours,
    sylvan::process,
    sylvan::os::unix::process::CommandExt
);

#[test]
fn what_does_not_wait_is_std_s() {
    assert_eq!(process::id(), std::process::id());
    let _: fn(i32) -> ! = process::exit;
    let _: fn() -> ! = process::abort;
    let _: u32 = sylvan::os::unix::process::parent_id();
    let child: fn(&Child) -> u32 = Child::id;
    let _ = child;
}
