//! Readiness: who is woken, when, and what becomes of a descriptor. Each test is one promise.
//!
//! Most have one hub, where the order of events is known: what the main green thread does between
//! two of its suspensions, the kernel reports as one event.

use std::borrow::Cow;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener as StdListener, TcpStream as StdStream};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use socket2::SockRef;
use sylvan::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use sylvan::thread;

const ANY: &str = "127.0.0.1:0";
const SHORT: Option<Duration> = Some(Duration::from_millis(20));

/// Runs the body on an OS thread of its own, and fails instead of hanging for ever.
fn in_time<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, finished) = channel();
    let thread = std::thread::spawn(move || {
        let value = body();
        let _ = done.send(());
        value
    });
    if finished.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
        panic!("it hangs");
    }
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs the body as a main green thread.
fn green(body: impl FnOnce() + Send + 'static) {
    in_time(|| sylvan::run(body));
}

/// Lets every other green thread run until it waits.
fn settle() {
    (0..100).for_each(|_| thread::yield_now());
}

/// Our end of a connection and the other end, which is std's: what it does is done at once.
fn pair() -> (TcpStream, StdStream) {
    let listener = TcpListener::bind(ANY).unwrap();
    let peer = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0, peer)
}

fn read_byte(mut stream: &TcpStream) -> u8 {
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    byte[0]
}

/// Makes the read side wait once, in vain, so that the kernel knows the descriptor.
fn register(mut stream: &TcpStream) {
    stream.set_read_timeout(SHORT).unwrap();
    assert_eq!(
        stream.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    stream.set_read_timeout(None).unwrap();
}

fn is_nonblocking(fd: impl AsFd) -> bool {
    // SAFETY: F_GETFL only reads.
    let flags = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_GETFL) };
    assert!(flags >= 0);
    flags & libc::O_NONBLOCK != 0
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

const CHILD: &str = "SYLVAN_TEST_CHILD";

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// This test alone in a process of its own.
fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1");
    command
}

/// Runs the body alone in a process of its own, where it sees no other test's descriptors.
fn alone(test: &str, body: impl FnOnce() + Send + 'static) {
    if is_child() {
        return in_time(body);
    }
    let output = child(test).stdin(Stdio::null()).output().unwrap();
    let (out, err) = printed(&output);
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("1 passed"), "no test is named {test}:\n{out}");
}

fn printed(output: &Output) -> (Cow<'_, str>, Cow<'_, str>) {
    (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    )
}

// ── Several waiters on one socket

#[test]
fn two_tasks_accepting_on_one_listener_both_finish() {
    green(|| {
        let listener = TcpListener::bind(ANY).unwrap();
        let address = listener.local_addr().unwrap();
        thread::scope(|scope| {
            let acceptors = [(); 2].map(|()| scope.spawn(|| listener.accept().unwrap()));
            settle();
            let _peers = [(); 2].map(|()| StdStream::connect(address).unwrap());
            for acceptor in acceptors {
                acceptor.join().unwrap();
            }
        });
    });
}

#[test]
fn two_tasks_receiving_on_one_udp_socket_both_finish() {
    green(|| {
        let socket = UdpSocket::bind(ANY).unwrap();
        let address = socket.local_addr().unwrap();
        thread::scope(|scope| {
            let receivers =
                [(); 2].map(|()| scope.spawn(|| socket.recv_from(&mut [0; 8]).unwrap()));
            settle();
            let peer = std::net::UdpSocket::bind(ANY).unwrap();
            peer.send_to(b"1", address).unwrap();
            peer.send_to(b"2", address).unwrap();
            for receiver in receivers {
                receiver.join().unwrap();
            }
        });
    });
}

#[test]
fn a_reader_that_takes_part_of_an_edge_leaves_the_rest_to_the_next() {
    green(|| {
        let (stream, mut peer) = pair();
        thread::scope(|scope| {
            let readers = [(); 3].map(|()| scope.spawn(|| read_byte(&stream)));
            settle();
            peer.write_all(&[1, 2, 3]).unwrap();
            let mut bytes = readers.map(|reader| reader.join().unwrap());
            bytes.sort_unstable();
            assert_eq!(bytes, [1, 2, 3]);
        });
    });
}

#[test]
fn a_reader_that_times_out_does_not_take_the_next_ones_turn() {
    green(|| {
        let (stream, mut peer) = pair();
        thread::scope(|scope| {
            stream.set_read_timeout(SHORT).unwrap();
            let read = || (&stream).read(&mut [0]).map_err(|error| error.kind());
            let first = scope.spawn(read);
            let second = scope.spawn(move || {
                while read() == Err(ErrorKind::WouldBlock) {}
                read()
            });
            assert_eq!(first.join().unwrap(), Err(ErrorKind::WouldBlock));
            peer.write_all(&[1]).unwrap();
            drop(peer);
            assert_eq!(second.join().unwrap(), Ok(0));
        });
    });
}

#[test]
fn a_reader_and_a_writer_on_one_socket_at_once() {
    green(|| {
        const SIZE: usize = 4_000_000;
        let listener = TcpListener::bind(ANY).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut echo, _) = listener.accept().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| std::io::copy(&mut echo.try_clone().unwrap(), &mut echo).unwrap());
            let reader = scope.spawn(|| {
                let mut received = vec![0; SIZE];
                (&stream).read_exact(&mut received).unwrap();
                received.iter().all(|byte| *byte == 7)
            });
            (&stream).write_all(&vec![7; SIZE]).unwrap();
            assert!(reader.join().unwrap());
            stream.shutdown(Shutdown::Write).unwrap();
        });
    });
}

#[test]
fn two_runtimes_wait_on_one_socket() {
    let (stream, mut peer) = pair();
    let clone = stream.try_clone().unwrap();
    let waiting = std::sync::Arc::new(std::sync::Barrier::new(3));
    let readers = [stream, clone].map(|stream| {
        let waiting = waiting.clone();
        std::thread::spawn(move || {
            sylvan::run(|| {
                thread::scope(|scope| {
                    let reader = scope.spawn(|| read_byte(&stream));
                    settle();
                    waiting.wait();
                    reader.join().unwrap()
                })
            })
        })
    });
    in_time(move || {
        waiting.wait();
        peer.write_all(&[1, 2]).unwrap();
        let sum: u8 = readers.map(|reader| reader.join().unwrap()).iter().sum();
        assert_eq!(sum, 3);
    });
}

// ── What an event may hide

#[test]
fn data_and_the_end_in_one_event_are_both_seen() {
    green(|| {
        let (stream, mut peer) = pair();
        let reader = thread::spawn(move || {
            let mut buffer = [0; 64];
            let count = (&stream).read(&mut buffer).unwrap();
            assert_eq!(&buffer[..count], b"hello");
            (&stream).read(&mut buffer).unwrap()
        });
        settle();
        peer.write_all(b"hello").unwrap();
        drop(peer);
        assert_eq!(reader.join().unwrap(), 0);
    });
}

#[test]
fn data_and_a_half_close_in_one_event_are_both_seen() {
    green(|| {
        let (stream, mut peer) = pair();
        let reader = thread::spawn(move || {
            let mut buffer = [0; 64];
            assert_eq!((&stream).read(&mut buffer).unwrap(), 5);
            (&stream).read(&mut buffer).unwrap()
        });
        settle();
        peer.write_all(b"hello").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(reader.join().unwrap(), 0);
    });
}

#[test]
fn the_urgent_mark_does_not_hide_what_follows_it() {
    green(|| {
        let (stream, mut peer) = pair();
        let reader = thread::spawn(move || {
            // A read stops short at the mark, though more has come.
            let (mut all, mut buffer) = (Vec::new(), [0; 64]);
            while all.len() < 6 {
                let count = (&stream).read(&mut buffer).unwrap();
                all.extend_from_slice(&buffer[..count]);
            }
            all
        });
        settle();
        peer.write_all(b"abc").unwrap();
        SockRef::from(&peer).send_out_of_band(b"!").unwrap();
        peer.write_all(b"def").unwrap();
        // The connection stays open: nothing but the first event tells of the rest.
        assert_eq!(reader.join().unwrap(), b"abcdef");
        drop(peer);
    });
}

#[test]
fn a_peek_hides_nothing_from_the_read() {
    green(|| {
        let (stream, mut peer) = pair();
        let reader = thread::spawn(move || {
            assert_eq!(stream.peek(&mut [0; 64]).unwrap(), 3);
            assert_eq!(stream.peek(&mut [0; 64]).unwrap(), 3);
            (&stream).read(&mut [0; 64]).unwrap()
        });
        settle();
        peer.write_all(b"abc").unwrap();
        assert_eq!(reader.join().unwrap(), 3);
    });
}

#[test]
fn two_datagrams_in_one_event_are_both_seen() {
    green(|| {
        let socket = UdpSocket::bind(ANY).unwrap();
        let address = socket.local_addr().unwrap();
        let receiver = thread::spawn(move || [(); 2].map(|()| socket.recv(&mut [0; 64]).unwrap()));
        settle();
        let peer = std::net::UdpSocket::bind(ANY).unwrap();
        peer.send_to(b"1", address).unwrap();
        peer.send_to(b"22", address).unwrap();
        assert_eq!(receiver.join().unwrap(), [1, 2]);
    });
}

#[test]
fn an_error_on_a_udp_socket_is_told_once_and_waiting_goes_on() {
    alone(
        "an_error_on_a_udp_socket_is_told_once_and_waiting_goes_on",
        || {
            sylvan::run(|| {
                let socket = UdpSocket::bind(ANY).unwrap();
                let peer = std::net::UdpSocket::bind(ANY).unwrap();
                let address = peer.local_addr().unwrap();
                drop(peer);
                socket.connect(address).unwrap();
                thread::scope(|scope| {
                    let receiver = scope.spawn(|| socket.recv(&mut [0; 8]).unwrap_err().kind());
                    settle();
                    socket.send(b"anybody?").unwrap();
                    assert_eq!(receiver.join().unwrap(), ErrorKind::ConnectionRefused);
                });

                assert_waits_idly(|timeout| {
                    socket.set_read_timeout(Some(timeout)).unwrap();
                    socket.recv(&mut [0; 8]).unwrap_err().kind()
                });

                socket.set_read_timeout(None).unwrap();
                let peer = std::net::UdpSocket::bind(address).unwrap();
                peer.send_to(b"yes", socket.local_addr().unwrap()).unwrap();
                assert_eq!(socket.recv(&mut [0; 8]).unwrap(), 3);
            });
        },
    );
}

#[test]
fn a_writer_waits_idly_after_the_peer_half_closed() {
    alone("a_writer_waits_idly_after_the_peer_half_closed", || {
        sylvan::run(|| {
            let (stream, peer) = pair();
            peer.shutdown(Shutdown::Write).unwrap();
            assert_eq!((&stream).read(&mut [0]).unwrap(), 0);
            let much = vec![0; 100_000_000];
            assert_waits_idly(|timeout| {
                stream.set_write_timeout(Some(timeout)).unwrap();
                (&stream).write_all(&much).unwrap_err().kind()
            });
        });
    });
}

/// The call must wait for all of its time-out without using the processor.
fn assert_waits_idly(call: impl FnOnce(Duration) -> ErrorKind) {
    let timeout = Duration::from_millis(500);
    let (start, used) = (Instant::now(), processor_time());
    assert_eq!(call(timeout), ErrorKind::WouldBlock);
    assert!(start.elapsed() >= timeout);
    assert!(processor_time() - used < timeout / 2, "it spins");
}

fn processor_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` can be written to.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

// ── Shutdown under a waiter

#[test]
fn shutdown_wakes_a_waiting_reader() {
    green(|| {
        let (stream, _peer) = pair();
        thread::scope(|scope| {
            let reader = scope.spawn(|| (&stream).read(&mut [0]).unwrap());
            settle();
            stream.shutdown(Shutdown::Read).unwrap();
            assert_eq!(reader.join().unwrap(), 0);
        });
    });
}

#[test]
fn shutdown_wakes_a_waiting_writer() {
    green(|| {
        let (stream, _peer) = pair();
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                (&stream)
                    .write_all(&vec![0; 100_000_000])
                    .unwrap_err()
                    .kind()
            });
            settle();
            stream.shutdown(Shutdown::Write).unwrap();
            assert_eq!(writer.join().unwrap(), ErrorKind::BrokenPipe);
        });
    });
}

// ── Clones, and numbers that are used again

#[test]
fn dropping_a_clone_never_disturbs_a_waiter_on_another() {
    green(|| {
        let (stream, mut peer) = pair();
        let (first, last) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
        // The kernel knows the description by this clone's descriptor.
        register(&first);
        let reader = thread::spawn(move || read_byte(&stream));
        settle();
        drop(first);
        drop(last);
        settle();
        peer.write_all(&[1]).unwrap();
        assert_eq!(reader.join().unwrap(), 1);
    });
}

#[test]
fn handing_out_a_clone_never_disturbs_a_waiter_on_another() {
    green(|| {
        let (stream, mut peer) = pair();
        let clone = stream.try_clone().unwrap();
        register(&clone);
        let reader = thread::spawn(move || read_byte(&stream));
        settle();
        let handed_out = OwnedFd::from(clone);
        peer.write_all(&[1]).unwrap();
        assert_eq!(reader.join().unwrap(), 1);
        drop(handed_out);
    });
}

#[test]
fn a_number_used_again_never_gets_the_old_ones_event() {
    alone("a_number_used_again_never_gets_the_old_ones_event", || {
        sylvan::run(|| {
            let listener = StdListener::bind(ANY).unwrap();
            let (old, mut old_peer) = pair();
            let clone = old.try_clone().unwrap();
            register(&old);
            // The description lives on in the clone, but the number is free.
            let number = old.as_raw_fd();
            drop(old);
            let new = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            assert_eq!(
                new.as_raw_fd(),
                number,
                "the lowest free number is the next"
            );
            let (mut new_peer, _) = listener.accept().unwrap();

            new.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            let reader = thread::spawn(move || read_byte(&new));
            settle();
            old_peer.write_all(&[1]).unwrap();
            settle();
            new_peer.write_all(&[2]).unwrap();
            assert_eq!(reader.join().unwrap(), 2);
            assert_eq!(read_byte(&clone), 1);
        });
    });
}

#[test]
fn a_clone_sees_the_others_timeout() {
    green(|| {
        let (stream, _peer) = pair();
        let mut clone = stream.try_clone().unwrap();
        stream.set_read_timeout(SHORT).unwrap();
        stream.set_write_timeout(SHORT).unwrap();
        assert_eq!(
            clone.read(&mut [0]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        let error = clone.write_all(&vec![0; 100_000_000]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert_eq!(
            clone.read_timeout().unwrap(),
            stream.read_timeout().unwrap()
        );
    });
}

#[test]
fn a_clone_sees_the_others_mode() {
    green(|| {
        let (stream, _peer) = pair();
        let mut clone = stream.try_clone().unwrap();
        stream.set_nonblocking(true).unwrap();
        assert_eq!(
            clone.read(&mut [0]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );

        let listener = TcpListener::bind(ANY).unwrap();
        let clone = listener.try_clone().unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(clone.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

// ── A socket outlives its runtime

#[test]
fn a_socket_made_in_one_run_works_in_the_next_and_on_a_plain_thread() {
    in_time(|| {
        let (listener, stream, mut peer) = sylvan::run(|| {
            let listener = TcpListener::bind(ANY).unwrap();
            let (stream, peer) = pair();
            register(&stream);
            (listener, stream, peer)
        });
        let address = listener.local_addr().unwrap();
        for byte in 0..3 {
            sylvan::run(|| {
                thread::scope(|scope| {
                    let reader = scope.spawn(|| read_byte(&stream));
                    let acceptor = scope.spawn(|| listener.accept().unwrap());
                    settle();
                    peer.write_all(&[byte]).unwrap();
                    let client = StdStream::connect(address).unwrap();
                    assert_eq!(reader.join().unwrap(), byte);
                    let (_, from) = acceptor.join().unwrap();
                    assert_eq!(from, client.local_addr().unwrap());
                });
            });
            // And here, where no runtime is.
            register(&stream);
            peer.write_all(&[byte]).unwrap();
            assert_eq!(read_byte(&stream), byte);
            let _client = StdStream::connect(address).unwrap();
            listener.accept().unwrap();
        }
    });
}

#[test]
fn a_waiter_survives_the_runtime_that_registered_its_socket() {
    in_time(|| {
        let (stream, mut peer) = pair();
        let (waiting, is_waiting) = channel();
        let reader = sylvan::run(|| {
            register(&stream);
            let clone = stream.try_clone().unwrap();
            let other = std::thread::spawn(move || {
                sylvan::run(|| {
                    let reader = thread::spawn(move || read_byte(&clone));
                    settle();
                    waiting.send(()).unwrap();
                    reader.join().unwrap()
                })
            });
            is_waiting.recv().unwrap();
            other
        });
        peer.write_all(&[1]).unwrap();
        assert_eq!(reader.join().unwrap(), 1);
    });
}

// ── The descriptor's mode

#[test]
fn what_leaves_is_in_the_mode_the_user_set() {
    green(|| {
        for nonblocking in [false, true] {
            let listener = TcpListener::bind(ANY).unwrap();
            let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (accepted, _) = listener.accept().unwrap();
            let socket = UdpSocket::bind(ANY).unwrap();
            assert!(!is_nonblocking(&connected));
            assert!(!is_nonblocking(&accepted));
            assert!(!is_nonblocking(&socket));
            listener.set_nonblocking(nonblocking).unwrap();
            connected.set_nonblocking(nonblocking).unwrap();
            accepted.set_nonblocking(nonblocking).unwrap();
            socket.set_nonblocking(nonblocking).unwrap();
            let leavers: [OwnedFd; 4] = [
                listener.into(),
                connected.into(),
                accepted.into(),
                socket.into(),
            ];
            for leaver in leavers {
                assert_eq!(is_nonblocking(leaver), nonblocking);
            }
        }
    });
}

#[test]
fn what_comes_keeps_its_mode_and_timeouts() {
    green(|| {
        let listener = StdListener::bind(ANY).unwrap();
        let stream = StdStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_read_timeout(SHORT).unwrap();
        let mut stream = TcpStream::from(stream);
        assert_eq!(
            stream.read(&mut [0]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );

        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from(listener);
        listener.accept().unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(is_nonblocking(StdListener::from(listener)));

        let listener = TcpListener::from(StdListener::bind(ANY).unwrap());
        assert!(!is_nonblocking(StdListener::from(listener)));
    });
}

#[test]
fn a_listener_whose_clone_left_still_suspends() {
    green(|| {
        let listener = TcpListener::bind(ANY).unwrap();
        let clone = listener.try_clone().unwrap();
        let left = StdListener::from(clone);
        assert!(!is_nonblocking(&left));
        let acceptor = thread::spawn(move || listener.accept().unwrap().1);
        settle();
        // This hub goes on: the connection comes from it.
        let client = StdStream::connect(left.local_addr().unwrap()).unwrap();
        assert_eq!(acceptor.join().unwrap(), client.local_addr().unwrap());
        assert!(!is_nonblocking(&left));
    });
}

#[test]
fn a_child_process_gets_blocking_descriptors() {
    green(|| {
        let (stream, mut peer) = pair();
        register(&stream);
        let clone = stream.try_clone().unwrap();
        let mut echo = Command::new("sh")
            .args(["-c", "read line; echo \"got $line\""])
            .stdin(OwnedFd::from(stream))
            .stdout(OwnedFd::from(clone))
            .spawn()
            .unwrap();
        peer.write_all(b"it\n").unwrap();
        let mut answer = [0; 7];
        peer.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"got it\n");
        assert!(echo.wait().unwrap().success());
    });
}

#[test]
fn non_blocking_mode_never_appears_on_the_standard_descriptors() {
    const NAME: &str = "non_blocking_mode_never_appears_on_the_standard_descriptors";
    if !is_child() {
        let listener = StdListener::bind(ANY).unwrap();
        let mut command = child(NAME);
        command
            .stdin(OwnedFd::from(listener))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        let (out, err) = printed(&output);
        assert!(output.status.success(), "{out}\n{err}");
        return;
    }
    let assert_all_blocking = || {
        assert!(!is_nonblocking(std::io::stdin()));
        assert!(!is_nonblocking(std::io::stdout()));
        assert!(!is_nonblocking(std::io::stderr()));
    };
    in_time(move || {
        sylvan::run(|| {
            // Under its own number, and under another.
            // SAFETY: the descriptor is open, and nobody else in this process uses it.
            let zero = unsafe { TcpListener::from_raw_fd(0) };
            let duplicate = TcpListener::from(zero.as_fd().try_clone_to_owned().unwrap());
            for listener in [&zero, &duplicate] {
                assert_all_blocking();
                let acceptor = thread::spawn({
                    let clone = listener.try_clone().unwrap();
                    move || drop(clone.accept().unwrap())
                });
                settle();
                let _client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
                acceptor.join().unwrap();
                assert_all_blocking();
                listener.set_nonblocking(true).unwrap();
                assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
                assert_all_blocking();
            }
            drop(duplicate);
            std::mem::forget(zero);
            assert_all_blocking();
        });
    });
}

// ── Failures give std's errors and leak nothing

#[test]
fn accept_without_a_free_descriptor_fails_and_works_again_later() {
    alone(
        "accept_without_a_free_descriptor_fails_and_works_again_later",
        || {
            limit_descriptors(128);
            sylvan::run(|| {
                let listener = TcpListener::bind(ANY).unwrap();
                let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
                let mut filling = Vec::new();
                while let Ok(duplicate) = client.try_clone() {
                    filling.push(duplicate);
                }
                for _ in 0..3 {
                    let error = listener.accept().unwrap_err();
                    assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
                }
                filling.clear();
                let (_, from) = listener.accept().unwrap();
                assert_eq!(from, client.local_addr().unwrap());
            });
        },
    );
}

fn limit_descriptors(most: libc::rlim_t) {
    let limit = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    // SAFETY: `limit` is only read.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(result, 0);
}

#[test]
fn a_refused_connection_leaks_nothing() {
    alone("a_refused_connection_leaks_nothing", || {
        leaks_nothing(|| {
            let taken = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
            let taken = taken.unwrap();
            taken
                .bind(&ANY.parse::<std::net::SocketAddr>().unwrap().into())
                .unwrap();
            let address = taken.local_addr().unwrap().as_socket().unwrap();
            let error = TcpStream::connect(address).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        });
    });
}

#[test]
fn a_connection_that_times_out_leaks_nothing() {
    alone("a_connection_that_times_out_leaks_nothing", || {
        leaks_nothing(|| {
            let listener =
                socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            listener
                .bind(&ANY.parse::<std::net::SocketAddr>().unwrap().into())
                .unwrap();
            listener.listen(0).unwrap();
            let address = listener.local_addr().unwrap().as_socket().unwrap();
            let mut in_line = Vec::new();
            let error = loop {
                match TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
                    Ok(stream) => in_line.push(stream),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        });
    });
}

#[test]
fn a_failing_lookup_leaks_nothing() {
    alone("a_failing_lookup_leaks_nothing", || {
        leaks_nothing(|| {
            let askers = [(); 4].map(|()| {
                thread::spawn(|| "no such host:80".to_socket_addrs().map(drop).unwrap_err())
            });
            let theirs = std::net::ToSocketAddrs::to_socket_addrs("no such host:80");
            let theirs = theirs.map(drop).unwrap_err();
            for asker in askers {
                let ours = asker.join().unwrap();
                assert_eq!(ours.kind(), theirs.kind());
                assert_eq!(ours.to_string(), theirs.to_string());
            }
        });
    });
}

#[test]
fn a_reset_connection_leaks_nothing() {
    alone("a_reset_connection_leaks_nothing", || {
        leaks_nothing(|| {
            let (stream, peer) = pair();
            let reader = thread::spawn(move || (&stream).read(&mut [0]).unwrap_err().kind());
            settle();
            // Closed without lingering, a connection is reset.
            SockRef::from(&peer)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
            drop(peer);
            assert_eq!(reader.join().unwrap(), ErrorKind::ConnectionReset);
        });
    });
}

#[test]
fn a_half_closed_connection_still_carries_the_other_half() {
    alone(
        "a_half_closed_connection_still_carries_the_other_half",
        || {
            leaks_nothing(|| {
                let (mut stream, mut peer) = pair();
                let server = thread::spawn(move || {
                    let mut request = String::new();
                    stream.read_to_string(&mut request).unwrap();
                    stream.write_all(request.to_uppercase().as_bytes()).unwrap();
                });
                settle();
                peer.write_all(b"request").unwrap();
                peer.shutdown(Shutdown::Write).unwrap();
                server.join().unwrap();
                let mut answer = String::new();
                peer.read_to_string(&mut answer).unwrap();
                assert_eq!(answer, "REQUEST");
            });
        },
    );
}

/// What the body opens is closed after it, within a runtime and after it.
fn leaks_nothing(body: impl Fn()) {
    let run = || {
        sylvan::run(|| {
            // The first round starts what is started on first use.
            body();
            let before = open_descriptors();
            (0..5).for_each(|_| body());
            comes_down_to(before);
        });
    };
    run();
    let before = open_descriptors();
    run();
    comes_down_to(before);
}

/// Waits until no more descriptors are open than this. An OS thread of the lookups' pool that has only just
/// started may have one open for a moment: the C library reads the number of processors.
fn comes_down_to(count: usize) {
    let start = Instant::now();
    while open_descriptors() > count {
        let open = open_descriptors();
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{open} > {count}"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

// ── Cancelled waiters

#[test]
fn a_cancelled_reader_passes_the_event_on() {
    green(|| {
        let (stream, mut peer) = pair();
        let clone = stream.try_clone().unwrap();
        let first = thread::spawn(move || read_byte(&clone));
        let second = thread::spawn(move || read_byte(&stream));
        settle();
        // The event is there before the first in line learns of its end.
        peer.write_all(&[1]).unwrap();
        first.cancel();
        assert!(first.join().is_err());
        assert_eq!(second.join().unwrap(), 1);
    });
}

#[test]
fn a_cancelled_acceptor_passes_the_event_on() {
    green(|| {
        let listener = TcpListener::bind(ANY).unwrap();
        let address = listener.local_addr().unwrap();
        let clone = listener.try_clone().unwrap();
        let first = thread::spawn(move || clone.accept().map(drop).unwrap());
        let second = thread::spawn(move || listener.accept().map(drop).unwrap());
        settle();
        let _client = StdStream::connect(address).unwrap();
        first.cancel();
        assert!(first.join().is_err());
        second.join().unwrap();
    });
}

#[test]
fn a_lookup_survives_the_one_who_asked_first() {
    green(|| {
        let ask = || "localhost:80".to_socket_addrs().unwrap().count();
        let first = thread::spawn(ask);
        let second = thread::spawn(ask);
        thread::yield_now();
        first.cancel();
        assert!(second.join().unwrap() > 0);
        let _ = first.join();
        assert!(ask() > 0);
    });
}

#[test]
fn a_lookup_cancelled_before_it_began_is_begun_by_the_next() {
    green(|| {
        let ask = || "localhost:80".to_socket_addrs().unwrap().count();
        let first = thread::spawn(ask);
        first.cancel();
        assert!(thread::spawn(ask).join().unwrap() > 0);
    });
}
