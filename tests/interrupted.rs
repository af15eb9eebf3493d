//! Signals that interrupt system calls (EINTR): what was asked for is done all the same, as in std.
//!
//! A handler without `SA_RESTART` is installed, and an OS thread keeps on sending signals to all others while they wait.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use support::must_end;
use sylvan::net::{TcpListener, TcpStream, UdpSocket};
use sylvan::os::unix::net::{UnixListener, UnixStream};
use sylvan::process::{Command, Stdio};
use sylvan::sync::{Condvar, Mutex, mpsc};
use sylvan::{fs, io, thread};

static HANDLED: AtomicU64 = AtomicU64::new(0);

extern "C" fn handle(_: libc::c_int) {
    HANDLED.fetch_add(1, SeqCst);
}

/// While `f` runs, every other OS thread of the process is interrupted a thousand times a second.
fn interrupted<R>(f: impl FnOnce() -> R) -> R {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        // SAFETY: all zeroes is a valid record; the handler only counts.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handle as *const () as usize;
            assert_eq!(
                libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()),
                0
            );
        }
    });
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // SAFETY: it only returns a number.
            let own = unsafe { libc::gettid() };
            while !done.load(SeqCst) {
                for thread in std::fs::read_dir("/proc/self/task").unwrap() {
                    let name = thread.unwrap().file_name();
                    let id: i32 = std::str::from_utf8(name.as_bytes())
                        .unwrap()
                        .parse()
                        .unwrap();
                    if id != own {
                        // SAFETY: a plain call. One that has ended meanwhile gets none.
                        unsafe {
                            libc::syscall(libc::SYS_tgkill, libc::getpid(), id, libc::SIGUSR1);
                        }
                    }
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let before = HANDLED.load(SeqCst);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
        done.store(true, SeqCst);
        assert!(HANDLED.load(SeqCst) > before, "nothing was interrupted");
        result.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
    })
}

const PAUSE: Duration = Duration::from_millis(30);

/// As a green thread and as a plain OS thread.
fn both_ways(f: impl Fn() + Send + Sync) {
    must_end(|| interrupted(|| sylvan::run(&f)));
    must_end(|| interrupted(&f));
}

#[test]
fn sockets() {
    both_ways(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut received = Vec::new();
            stream.read_to_end(&mut received).unwrap();
            received.len()
        });
        thread::sleep(PAUSE);
        let mut client = TcpStream::connect(address).unwrap();
        thread::sleep(PAUSE);
        client.write_all(&vec![0; 8 << 20]).unwrap();
        drop(client);
        assert_eq!(server.join().unwrap(), 8 << 20);

        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let receiver = thread::spawn(move || socket.recv(&mut [0; 9]).unwrap());
        thread::sleep(PAUSE);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"hello", address).unwrap();
        assert_eq!(receiver.join().unwrap(), 5);
    });
}

#[test]
fn sockets_of_one_machine() {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    both_ways(|| {
        let name = format!(
            "sylvan-interrupted-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, SeqCst)
        );
        let path = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            BufReader::new(stream).lines().map(Result::unwrap).count()
        });
        thread::sleep(PAUSE);
        let mut client = UnixStream::connect(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        for _ in 0..3 {
            client.write_all(b"line\n").unwrap();
            thread::sleep(PAUSE / 3);
        }
        drop(client);
        assert_eq!(server.join().unwrap(), 3);
    });
}

#[test]
fn pipes_and_files() {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    both_ways(|| {
        let (reader, writer) = io::pipe().unwrap();
        let reading = thread::spawn(move || io::read_to_string(reader).unwrap().len());
        thread::sleep(PAUSE);
        let mut writer = writer;
        writer.write_all(&vec![b'x'; 1 << 20]).unwrap();
        drop(writer);
        assert_eq!(reading.join().unwrap(), 1 << 20);

        let name = format!(
            "sylvan-interrupted-file-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, SeqCst)
        );
        let path = std::env::temp_dir().join(name);
        let bytes = vec![7; 4 << 20];
        for _ in 0..5 {
            fs::write(&path, &bytes).unwrap();
            assert!(fs::read(&path).unwrap() == bytes);
        }
        let copy = path.with_extension("copy");
        assert_eq!(fs::copy(&path, &copy).unwrap(), 4 << 20);
        let file = fs::File::open(&path).unwrap();
        file.sync_all().unwrap();
        file.lock().unwrap();
        fs::remove_file(path).unwrap();
        fs::remove_file(copy).unwrap();
    });
}

#[test]
fn a_named_pipe_that_is_opened() {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    both_ways(|| {
        let name = format!(
            "sylvan-interrupted-fifo-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, SeqCst)
        );
        let path = std::env::temp_dir().join(name);
        let c_path = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: the path ends with a zero.
        assert_eq!(unsafe { libc::mkfifo(c_path.as_ptr(), 0o600) }, 0);
        let theirs = path.clone();
        // Opening waits for the other side.
        let reading = thread::spawn(move || fs::read_to_string(theirs).unwrap());
        thread::sleep(PAUSE);
        let mut writer = fs::OpenOptions::new().write(true).open(&path).unwrap();
        thread::sleep(PAUSE);
        writer.write_all(b"through").unwrap();
        drop(writer);
        assert_eq!(reading.join().unwrap(), "through");
        fs::remove_file(path).unwrap();
    });
}

#[test]
fn children() {
    both_ways(|| {
        let status = Command::new("sleep").arg("0.05").status().unwrap();
        assert!(status.success());
        let mut cat = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = cat.stdin.take().unwrap();
        let writing = thread::spawn(move || stdin.write_all(&vec![b'x'; 1 << 20]).unwrap());
        let output = cat.wait_with_output().unwrap();
        assert_eq!(output.stdout.len(), 1 << 20);
        writing.join().unwrap();
    });
}

#[test]
fn what_waits_for_no_descriptor() {
    both_ways(|| {
        let begin = Instant::now();
        thread::sleep(PAUSE);
        assert!(begin.elapsed() >= PAUSE);

        let (sender, receiver) = mpsc::channel();
        let waiter = thread::spawn(move || receiver.recv().unwrap());
        thread::sleep(PAUSE);
        sender.send(7).unwrap();
        assert_eq!(waiter.join().unwrap(), 7);

        let (lock, changed) = (Mutex::new(()), Condvar::new());
        let guard = lock.lock().unwrap();
        let begin = Instant::now();
        let (_guard, result) = changed.wait_timeout(guard, PAUSE).unwrap();
        assert!(result.timed_out() && begin.elapsed() >= PAUSE);

        let begin = Instant::now();
        sylvan::offload(|| std::thread::sleep(PAUSE));
        assert!(begin.elapsed() >= PAUSE);
    });
}

#[test]
fn standard_input() {
    if std::env::var_os("SYLVAN_TEST_CHILD").is_some() {
        let mut line = String::new();
        interrupted(|| sylvan::run(|| io::stdin().read_line(&mut line).unwrap()));
        interrupted(|| io::stdin().read_line(&mut line).unwrap());
        sylvan::println!("read {line:?}");
        std::process::exit(0);
    }
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "standard_input", "--nocapture"])
        .env("SYLVAN_TEST_CHILD", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for line in ["one\n", "two\n"] {
        std::thread::sleep(PAUSE);
        stdin.write_all(line.as_bytes()).unwrap();
    }
    let output = must_end(|| child.wait_with_output().unwrap());
    let written = String::from_utf8(output.stdout).unwrap();
    assert!(written.contains(r#"read "one\ntwo\n""#), "{written}");
}
