//! Standard input, output and error. Those of a process of its own, whose other ends the test has.

mod support;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, PipeReader, Read, Write, pipe};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::panic;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::{HOUR, must_end};
use sylvan::io;
use sylvan::runtime::Runtime;
use sylvan::{task, thread, time};

/// What the other process is to be.
struct Other {
    stdin: Stdio,
    stdout: Stdio,
    stderr: Stdio,
}

/// A process in which the test of this name finds the role it is to play.
fn start(test: &str, role: &str, other: Other) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("SYLVAN_TEST_ROLE", role)
        .stdin(other.stdin)
        .stdout(other.stdout)
        .stderr(other.stderr)
        .spawn()
        .unwrap()
}

fn all_piped() -> Other {
    Other {
        stdin: Stdio::piped(),
        stdout: Stdio::piped(),
        stderr: Stdio::piped(),
    }
}

/// `None` in the test itself.
fn role() -> Option<String> {
    std::env::var("SYLVAN_TEST_ROLE").ok()
}

/// Reads on until there is a line like this; a hang is a failure.
fn wait_for(line: &str, lines: &mut impl Iterator<Item = std::io::Result<String>>) {
    let found = lines.any(|read| read.unwrap().ends_with(line));
    assert!(found, "{line} never came");
}

/// Ends the process as a program ends, without what the test harness would say.
fn end() -> ! {
    std::process::exit(0)
}

#[test]
fn reading_lets_others_run() {
    if role().is_some() {
        sylvan::run(|| {
            let reader = thread::spawn(|| {
                let mut line = String::new();
                assert_eq!(io::stdin().read_line(&mut line).unwrap(), 6);
                sylvan::println!("read {line:?}");
            });
            thread::spawn(|| sylvan::eprintln!("others run"));
            reader.join().unwrap();
            let rest: Vec<_> = io::stdin().lines().map(Result::unwrap).collect();
            sylvan::println!("and {rest:?}");
        });
        end();
    }
    let mut other = start("reading_lets_others_run", "reader", all_piped());
    must_end(|| {
        let mut errors = BufReader::new(other.stderr.take().unwrap()).lines();
        wait_for("others run", &mut errors);
        let mut input = other.stdin.take().unwrap();
        input.write_all(b"hello\none\ntwo").unwrap();
        drop(input);
        let mut lines = BufReader::new(other.stdout.take().unwrap()).lines();
        wait_for(r#"read "hello\n""#, &mut lines);
        wait_for(r#"and ["one", "two"]"#, &mut lines);
    });
    assert!(other.wait().unwrap().success());
}

#[test]
fn who_gives_up_waiting_has_read_nothing() {
    if role().is_some() {
        sylvan::run(|| {
            let mut line = String::new();
            let late = time::timeout(Duration::from_millis(20), || {
                io::stdin().read_line(&mut line)
            });
            assert!(late.is_err());
            sylvan::eprintln!("gave up");
            io::stdin().read_line(&mut line).unwrap();
            sylvan::eprintln!("read {line:?}");
        });
        end();
    }
    let mut other = start(
        "who_gives_up_waiting_has_read_nothing",
        "reader",
        all_piped(),
    );
    must_end(|| {
        let mut errors = BufReader::new(other.stderr.take().unwrap()).lines();
        wait_for("gave up", &mut errors);
        let mut input = other.stdin.take().unwrap();
        input.write_all(b"still here\n").unwrap();
        wait_for(r#"read "still here\n""#, &mut errors);
    });
    assert!(other.wait().unwrap().success());
}

/// More than a pipe takes, and more than the buffer does.
fn long_line(writer: usize, number: usize) -> String {
    let filling = char::from(b'a' + u8::try_from(writer % 26).unwrap());
    let filling = filling.to_string().repeat(number * 7 % 3000);
    format!("<{writer} {number} {filling}>")
}

const WRITERS: usize = 20;
const LINES: usize = 100;

#[test]
fn lines_of_many_writers_never_mix() {
    if let Some(role) = role() {
        let runtime = Runtime::builder().workers(2).build().unwrap();
        runtime.run(|| {
            let writers = (0..WRITERS).map(|writer| {
                let to_stderr = role == "stderr";
                thread::spawn(move || {
                    for number in 0..LINES {
                        let line = long_line(writer, number);
                        // In several pieces.
                        let (begin, rest) = line.split_at(line.len() / 2);
                        if to_stderr {
                            sylvan::eprintln!("{begin}{rest}{}", "");
                        } else {
                            sylvan::println!("{begin}{rest}{}", "");
                        }
                    }
                })
            });
            let writers: Vec<_> = writers.collect();
            for writer in writers {
                writer.join().unwrap();
            }
        });
        end();
    }
    for role in ["stdout", "stderr"] {
        must_end(|| {
            let (reader, writer) = pipe().unwrap();
            let mut other = all_piped();
            match role {
                "stdout" => other.stdout = writer.into(),
                _ => other.stderr = writer.into(),
            }
            let mut other = start("lines_of_many_writers_never_mix", role, other);
            let mut seen = 0;
            let mut next = [0; WRITERS];
            for line in BufReader::new(reader).lines() {
                let line = line.unwrap();
                // The harness of the test has its say, too.
                let Some(at) = line.find('<') else { continue };
                let words: Vec<_> = line[at + 1..].split(' ').collect();
                let writer: usize = words[0].parse().unwrap();
                assert_eq!(line[at..], long_line(writer, next[writer]));
                next[writer] += 1;
                seen += 1;
            }
            assert_eq!(seen, WRITERS * LINES);
            assert!(other.wait().unwrap().success());
        });
    }
}

#[test]
fn a_full_pipe_keeps_its_writer_only() {
    if role().is_some() {
        sylvan::run(|| {
            let writer = thread::spawn(|| {
                for _ in 0..1000 {
                    sylvan::println!("{}", "x".repeat(999));
                }
            });
            thread::yield_now();
            sylvan::eprintln!("others run");
            writer.join().unwrap();
        });
        end();
    }
    let mut other = start("a_full_pipe_keeps_its_writer_only", "writer", all_piped());
    must_end(|| {
        let mut errors = BufReader::new(other.stderr.take().unwrap()).lines();
        wait_for("others run", &mut errors);
        let mut written = String::new();
        let mut stdout = other.stdout.take().unwrap();
        stdout.read_to_string(&mut written).unwrap();
        assert_eq!(written.matches('x').count(), 999_000);
    });
    assert!(other.wait().unwrap().success());
}

/// The two ends of a terminal of our own: the one where somebody sits, and the program's.
fn terminal() -> (File, File) {
    // SAFETY: plain calls; the descriptors they return are open, and nobody else's.
    unsafe {
        let master = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY);
        assert!(master >= 0 && libc::grantpt(master) == 0 && libc::unlockpt(master) == 0);
        let master = File::from_raw_fd(master);
        let program = libc::ioctl(
            master.as_raw_fd(),
            libc::TIOCGPTPEER,
            libc::O_RDWR | libc::O_NOCTTY,
        );
        assert!(program >= 0);
        (master, File::from_raw_fd(program))
    }
}

#[test]
fn a_terminal_edits_its_lines() {
    if role().is_some() {
        sylvan::run(|| {
            assert!(io::stdin().is_terminal() && io::stdout().lock().is_terminal());
            assert!(!io::stderr().is_terminal());
            let reader = thread::spawn(|| {
                let mut line = String::new();
                io::stdin().read_line(&mut line).unwrap();
                sylvan::print!("read {line:?}\n");
            });
            thread::spawn(|| sylvan::eprintln!("others run"));
            reader.join().unwrap();
        });
        end();
    }
    let (master, program) = terminal();
    let other = Other {
        stdin: program.try_clone().unwrap().into(),
        stdout: program.into(),
        stderr: Stdio::piped(),
    };
    let mut other = start("a_terminal_edits_its_lines", "program", other);
    must_end(|| {
        let mut errors = BufReader::new(other.stderr.take().unwrap()).lines();
        wait_for("others run", &mut errors);
        (&master).write_all(b"hex\x7fllo\n").unwrap();
        // At the end of all programs reading a terminal fails.
        let mut lines = BufReader::new(&master).lines();
        wait_for("read \"hello\\n\"\r", &mut lines.by_ref().map(no_carriage));
    });
    assert!(other.wait().unwrap().success());
}

/// A terminal ends its lines with a carriage return, which `lines` takes off.
fn no_carriage(line: std::io::Result<String>) -> std::io::Result<String> {
    line.map(|line| line.trim_end_matches('\r').to_owned() + "\r")
}

#[test]
fn what_is_left_is_written_at_the_end() {
    match role().as_deref() {
        Some("returns") => {
            sylvan::print!("half a line");
            // The harness ends the process.
            return;
        }
        Some("exits") => sylvan::run(|| {
            sylvan::print!("half a line");
            end();
        }),
        // Others print on while the process ends.
        Some("prints on") => sylvan::run(|| {
            sylvan::print!("half a line");
            thread::spawn(|| thread::sleep(HOUR));
            let _kept = io::stdout().lock();
            end();
        }),
        _ => {}
    }
    for role in ["returns", "exits", "prints on"] {
        let other = start(
            "what_is_left_is_written_at_the_end",
            role,
            Other {
                stderr: Stdio::inherit(),
                ..all_piped()
            },
        );
        let output = must_end(|| other.wait_with_output().unwrap());
        assert!(output.status.success());
        let written = String::from_utf8(output.stdout).unwrap();
        assert_eq!(written.matches("half a line").count(), 1, "{role}");
    }
}

/// Also if somebody was cancelled while he wrote it.
#[test]
fn what_a_cancelled_write_has_left_is_written_at_the_end() {
    if role().is_some() {
        sylvan::run(|| {
            sylvan::print!("and this");
            let writer = thread::spawn(|| {
                // SAFETY: they take numbers and bytes; the stream has no other user here.
                unsafe {
                    libc::fcntl(1, libc::F_SETFL, libc::O_NONBLOCK);
                    while libc::write(1, [b'x'; 64].as_ptr().cast(), 64) > 0 {}
                    while libc::write(1, b"x".as_ptr().cast(), 1) > 0 {}
                    libc::fcntl(1, libc::F_SETFL, 0);
                }
                io::stdout().flush()
            });
            while !matches!(writer.state(), task::State::Waiting(_)) {
                thread::yield_now();
            }
            writer.cancel();
            assert!(writer.join().is_err());
            sylvan::eprintln!("cancelled");
        });
        end();
    }
    let (near, far) = pipe().unwrap();
    let name = "what_a_cancelled_write_has_left_is_written_at_the_end";
    let mut other = start(
        name,
        "writer",
        Other {
            stdout: far.into(),
            ..all_piped()
        },
    );
    must_end(move || {
        wait_for(
            "cancelled",
            &mut BufReader::new(other.stderr.take().unwrap()).lines(),
        );
        let mut written = Vec::new();
        BufReader::new(near).read_to_end(&mut written).unwrap();
        assert!(other.wait().unwrap().success());
        assert!(written.ends_with(b"xand this"), "{}", written.len());
    });
}

/// Puts something else behind a descriptor.
fn replace(number: i32, by: &impl AsRawFd) {
    // SAFETY: both are open.
    assert_eq!(unsafe { libc::dup2(by.as_raw_fd(), number) }, number);
}

#[test]
fn what_is_behind_them_may_change() {
    if role().is_some() {
        sylvan::run(|| {
            let stdin = |text: &[u8]| -> PipeReader {
                let (reader, mut writer) = pipe().unwrap();
                // It comes by and by: the kernel is asked to tell of it.
                let text = text.to_owned();
                thread::spawn(move || writer.write_all(&text));
                reader
            };
            let mut bytes = [0; 3];
            for text in [b"one", b"two"] {
                let reader = stdin(text);
                replace(0, &reader);
                drop(reader);
                io::stdin().read_exact(&mut bytes).unwrap();
                assert_eq!(&bytes, text);
            }
            let (reader, writer) = pipe().unwrap();
            replace(1, &writer);
            drop(writer);
            sylvan::println!("elsewhere");
            // What is closed is empty, and takes all.
            for number in [0, 1] {
                // SAFETY: nobody else uses them here.
                unsafe { libc::close(number) };
            }
            assert_eq!(io::read_to_string(reader).unwrap(), "elsewhere\n");
            sylvan::println!("into nothing");
            assert_eq!(io::stdin().read(&mut bytes).unwrap(), 0);
            sylvan::eprintln!("all right");
        });
        end();
    }
    let other = start("what_is_behind_them_may_change", "", all_piped());
    let output = must_end(|| other.wait_with_output().unwrap());
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && errors == "all right\n",
        "{errors}"
    );
}

#[test]
fn errors_are_std_s() {
    if let Some(role) = role() {
        // Only now: the harness of the test has its say before.
        match role.as_str() {
            "full" => replace(1, &File::options().write(true).open("/dev/full").unwrap()),
            "broken" => replace(1, &pipe().unwrap().1),
            // One that is open, but not for writing, is to std as one that is closed.
            _ => replace(1, &File::open("/dev/null").unwrap()),
        }
        sylvan::run(|| {
            let error = io::stdout().write_all(b"a line\n").err();
            let panic = panic::catch_unwind(|| sylvan::println!("another")).err();
            let panic = panic.map(|panic| panic.downcast_ref::<String>().unwrap().clone());
            sylvan::eprintln!("{:?}, {panic:?}", error.map(|error| error.kind()));
        });
        end();
    }
    let cases = [
        ("full", "Some(StorageFull)", "No space left on device"),
        ("broken", "Some(BrokenPipe)", "Broken pipe"),
        ("unwritable", "None, None", ""),
    ];
    for (role, kind, message) in cases {
        let other = start("errors_are_std_s", role, all_piped());
        let output = must_end(|| other.wait_with_output().unwrap());
        let errors = String::from_utf8(output.stderr).unwrap();
        let is_told =
            message.is_empty() || errors.contains(&format!("failed printing to stdout: {message}"));
        assert!(errors.contains(kind) && is_told, "{errors}");
        assert!(output.status.success(), "{errors}");
    }
}

#[test]
fn files_are_read_and_written() {
    if role().is_some() {
        sylvan::run(|| {
            let mut lines = io::stdin().lock();
            let mut line = String::new();
            while lines.read_line(&mut line).unwrap() > 0 {
                sylvan::print!("{line}");
                line.clear();
            }
        });
        end();
    }
    let path = |name| {
        let name = format!("sylvan-stdio-{}-{name}", std::process::id());
        std::env::temp_dir().join(name)
    };
    let (from, to) = (path("from"), path("to"));
    let text: String = (0..2_000)
        .map(|line| format!("{}\n", "#".repeat(line % 90)))
        .collect();
    fs::write(&from, &text).unwrap();
    let other = Other {
        stdin: File::open(&from).unwrap().into(),
        stdout: File::create(&to).unwrap().into(),
        stderr: Stdio::inherit(),
    };
    let mut other = start("files_are_read_and_written", "", other);
    assert!(must_end(|| other.wait().unwrap()).success());
    let written = fs::read_to_string(&to).unwrap();
    fs::remove_file(from).unwrap();
    fs::remove_file(to).unwrap();
    // Before it stands what the harness has to say.
    assert!(written.ends_with(&text));
}

#[test]
fn its_own_lock_again() {
    sylvan::run(|| {
        let mut out = io::stdout().lock();
        writeln!(out, "locked").unwrap();
        sylvan::println!("and printed to");
        let errors = io::stderr().lock();
        sylvan::eprintln!("and so here");
        drop((out, errors));

        // A child writes to what is ours.
        let child = sylvan::process::Command::new("true")
            .stdout(io::stdout())
            .stderr(io::stderr())
            .status();
        assert!(child.unwrap().success());
        assert_eq!(format!("{:?}", io::stdin()), "Stdin { .. }");
        assert_eq!(format!("{:?}", io::stdout().lock()), "StdoutLock { .. }");
    });
}

#[test]
fn plain_threads_read_too() {
    if role().is_some() {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).unwrap();
        sylvan::print!("{}", text.to_uppercase());
        io::stdout().flush().unwrap();
        end();
    }
    let mut other = start("plain_threads_read_too", "", all_piped());
    let written = must_end(|| {
        let mut input = other.stdin.take().unwrap();
        for part in ["by ", "and ", "by"] {
            input.write_all(part.as_bytes()).unwrap();
        }
        drop(input);
        other.wait_with_output().unwrap().stdout
    });
    assert!(String::from_utf8(written).unwrap().contains("BY AND BY"));
}

#[test]
fn descriptors_are_the_usual_ones() {
    use std::os::fd::AsFd;

    assert_eq!(io::stdin().as_raw_fd(), 0);
    assert_eq!(io::stdout().lock().as_fd().as_raw_fd(), 1);
    assert_eq!(io::stderr().as_fd().as_raw_fd(), 2);
    let copy: OwnedFd = io::stderr().as_fd().try_clone_to_owned().unwrap();
    assert!(copy.as_raw_fd() > 2);
}

#[test]
fn no_descriptor_is_needed() {
    if role().is_some() {
        sylvan::run(|| {
            let none = libc::rlimit {
                rlim_cur: 0,
                rlim_max: 0,
            };
            // SAFETY: the record lives across the call.
            let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const none) };
            assert_eq!(set, 0);
            assert!(File::open("/dev/null").is_err());
            // Both wait: for what is typed by and by, and for room in the pipe.
            let mut line = String::new();
            io::stdin().read_line(&mut line).unwrap();
            sylvan::println!("{}", line.trim_end().repeat(50_000));
        });
        end();
    }
    let mut other = start("no_descriptor_is_needed", "", all_piped());
    let output = must_end(|| {
        let mut input = other.stdin.take().unwrap();
        std::thread::sleep(Duration::from_millis(50));
        input.write_all(b"again\n").unwrap();
        other.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{output:?}");
    let written = String::from_utf8(output.stdout).unwrap();
    assert_eq!(written.matches("again").count(), 50_000);
}
