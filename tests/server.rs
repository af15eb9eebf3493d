//! `server::{StreamServer, DatagramServer}`: bounds, ends, failures of handlers and of the system, numbers.

mod support;

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream as StdStream;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{HOUR, assert_success, in_child, is_child, must_end, scaled};
use sylvan::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use sylvan::runtime::Runtime;
use sylvan::server::{DatagramServer, Serving, StreamServer};
use sylvan::sync::{Semaphore, mpsc};
use sylvan::thread;

fn bind() -> StreamServer {
    StreamServer::bind("127.0.0.1:0").unwrap()
}

fn connect(serving: &Serving) -> TcpStream {
    TcpStream::connect(serving.local_addr()).unwrap()
}

fn echo(stream: TcpStream, _: std::net::SocketAddr) -> io::Result<u64> {
    io::copy(&mut &stream, &mut &stream)
}

fn ask(stream: &mut TcpStream, word: &str) -> String {
    stream.write_all(word.as_bytes()).unwrap();
    let mut answer = vec![0; word.len()];
    stream.read_exact(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

/// Waits until `condition`, letting others run.
fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn each_connection_has_a_thread_of_its_own() {
    must_end(|| {
        sylvan::run(|| {
            let serving = bind().start(echo).unwrap();
            let mut clients: Vec<_> = (0..50).map(|_| connect(&serving)).collect();
            // The other way round: nobody waits for his neighbour.
            for (number, client) in clients.iter_mut().enumerate().rev() {
                let word = format!("client {number}");
                assert_eq!(ask(client, &word), word);
            }
            assert_eq!(serving.stats().active, 50);
            drop(clients);
            assert_eq!(serving.stop(), 0);
            let stats = serving.stats();
            assert_eq!((stats.accepted, stats.active), (50, 0));
            assert_eq!((stats.failed, stats.panicked, stats.cancelled), (0, 0, 0));
        });
    });
}

#[test]
fn several_hubs_serve() {
    must_end(|| {
        let runtime = Runtime::builder().workers(2).build().unwrap();
        let handle = runtime.handle();
        runtime.run(|| {
            let serving = bind().start(echo).unwrap();
            thread::scope(|scope| {
                for _ in 0..scaled(200) {
                    scope.spawn(|| assert_eq!(ask(&mut connect(&serving), "hello"), "hello"));
                }
            });
            serving.stop();
            assert_eq!(serving.stats().accepted as usize, scaled(200));
            // A thread leaves its group a moment before its runtime, on a hub of its own.
            until(|| handle.metrics().tasks == 1);
            assert_eq!(handle.metrics().sources, 0);
        });
    });
}

#[test]
fn a_full_server_accepts_nobody_until_there_is_room() {
    must_end(|| {
        sylvan::run(|| {
            let serving = bind().max_connections(2).start(echo).unwrap();
            let mut inside = [connect(&serving), connect(&serving)];
            for client in &mut inside {
                assert_eq!(ask(client, "in"), "in");
            }
            // The kernel has these, the server has not.
            let mut outside = [connect(&serving), connect(&serving)];
            for client in &mut outside {
                client.write_all(b"let me in").unwrap();
                client
                    .set_read_timeout(Some(Duration::from_millis(20)))
                    .unwrap();
                assert_eq!(
                    client.read(&mut [0]).unwrap_err().kind(),
                    ErrorKind::WouldBlock
                );
            }
            assert_eq!(serving.stats().accepted, 2);

            drop(inside);
            for client in &mut outside {
                client.set_read_timeout(None).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
                let mut answer = String::new();
                client.read_to_string(&mut answer).unwrap();
                assert_eq!(answer, "let me in");
            }
            assert_eq!(serving.stats().accepted, 4);
            serving.stop();
        });
    });
}

#[test]
fn failures_of_handlers_are_counted_and_end_nothing_else() {
    must_end(|| {
        sylvan::run(|| {
            let serving = bind()
                .start(|mut stream, _| {
                    let mut word = [0];
                    stream.read_exact(&mut word)?;
                    match word[0] {
                        b'p' => panic!("this handler was told to panic"),
                        b'e' => Err(io::Error::other("this one was told to fail")),
                        _ => stream.write_all(b"fine"),
                    }
                })
                .unwrap();
            let try_one = |word: &[u8]| {
                let mut client = connect(&serving);
                client.write_all(word).unwrap();
                let mut answer = String::new();
                let _ = client.read_to_string(&mut answer);
                answer
            };
            for _ in 0..3 {
                assert_eq!(try_one(b"p"), "");
                assert_eq!(try_one(b"e"), "");
                assert_eq!(try_one(b"f"), "fine");
            }
            serving.stop();
            let stats = serving.stats();
            assert_eq!((stats.accepted, stats.panicked, stats.failed), (9, 3, 3));
        });
    });
}

/// Counts how many are alive.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Alive {
        count.fetch_add(1, SeqCst);
        Alive(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[test]
fn a_graceful_stop_waits_and_then_cancels() {
    must_end(|| {
        sylvan::run(|| {
            let alive = Arc::new(AtomicUsize::new(0));
            let go_on = Arc::new(Semaphore::new(0));
            let (counted, permit) = (alive.clone(), go_on.clone());
            let serving = bind()
                .start(move |mut stream, _| {
                    let _alive = Alive::new(&counted);
                    permit.acquire().forget();
                    stream.write_all(b"done")
                })
                .unwrap();
            let mut patient = connect(&serving);
            let lost = connect(&serving);
            until(|| alive.load(SeqCst) == 2);

            let stopping = {
                let serving = serving.clone();
                thread::spawn(move || serving.stop_within(Duration::from_millis(300)))
            };
            // From here on nobody gets in.
            until(|| StdStream::connect(serving.local_addr()).is_err());
            go_on.release(1);
            let mut answer = String::new();
            patient.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "done");
            // The other one gets no permit: he is cancelled.
            assert_eq!(stopping.join().unwrap(), 1);
            assert_eq!(alive.load(SeqCst), 0);
            let stats = serving.stats();
            assert_eq!((stats.active, stats.cancelled), (0, 1));
            drop(lost);
            serving.wait().unwrap();
            // Again: there is nothing left to stop.
            assert_eq!(serving.stop(), 0);
        });
    });
}

#[test]
fn serve_forever_ends_with_its_caller_and_cancels_its_connections() {
    must_end(|| {
        sylvan::run(|| {
            let alive = Arc::new(AtomicUsize::new(0));
            let counted = alive.clone();
            let server = bind();
            let address = server.local_addr().unwrap();
            let server = thread::spawn(move || {
                server.serve_forever(move |_, _| {
                    let _alive = Alive::new(&counted);
                    thread::sleep(HOUR);
                })
            });
            let client = TcpStream::connect(address).unwrap();
            until(|| alive.load(SeqCst) == 1);
            server.cancel();
            assert!(server.join().is_err());
            until(|| alive.load(SeqCst) == 0);
            assert_eq!((&client).read(&mut [0]).unwrap(), 0);
            assert!(TcpStream::connect(address).is_err());
        });
    });
}

#[test]
fn a_connection_that_is_cancelled_before_it_starts_is_counted() {
    must_end(|| {
        sylvan::run(|| {
            let serving = bind().start(|_, _| ()).unwrap();
            let _client = connect(&serving);
            until(|| serving.stats().accepted == 1);
            serving.stop_within(Duration::ZERO);
            assert_eq!(serving.stats().active, 0);
        });
    });
}

#[test]
fn a_listener_that_is_shut_down_ends_the_server_with_an_error() {
    must_end(|| {
        sylvan::run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            // Behind its back: a duplicate, as a stream has the call that is needed.
            let duplicate = OwnedFd::from(listener.try_clone().unwrap());
            let duplicate = StdStream::from(duplicate);
            let serving = StreamServer::from(listener).start(|_, _| ()).unwrap();
            thread::yield_now();
            duplicate.shutdown(Shutdown::Both).unwrap();
            assert_eq!(serving.wait().unwrap_err().kind(), ErrorKind::InvalidInput);
        });
    });
}

/// Keeps what is logged.
struct Log(Mutex<Vec<String>>);

impl Log {
    fn count(&self, words: &str) -> usize {
        let lines = self.0.lock().unwrap();
        lines.iter().filter(|line| line.contains(words)).count()
    }
}

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

static LOG: Log = Log(Mutex::new(Vec::new()));

#[test]
fn without_descriptors_it_waits_and_tells_once() {
    if !is_child() {
        let output = in_child("without_descriptors_it_waits_and_tells_once", &[]);
        return assert_success(&output);
    }
    log::set_logger(&LOG).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    must_end(|| {
        sylvan::run(|| {
            let serving = bind()
                .start(|mut stream, _| stream.write_all(b"hello"))
                .unwrap();
            // It connects before the server has had a chance to accept, and before there is no descriptor left.
            let mut client = StdStream::connect(serving.local_addr()).unwrap();
            let limit = libc::rlimit {
                rlim_cur: 64,
                rlim_max: 64,
            };
            // SAFETY: it only reads what it is given, and changes this process's limit only.
            let result = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
            assert_eq!(result, 0);
            let mut hoard = Vec::new();
            while let Ok(duplicate) = client.try_clone() {
                hoard.push(duplicate);
            }
            until(|| LOG.count("failed, and is tried again: Too many open files") == 1);
            // Several more attempts: nothing more is told.
            thread::sleep(Duration::from_millis(60));
            assert_eq!(LOG.count("is tried again"), 1);
            assert_eq!(serving.stats().accepted, 0);

            drop(hoard);
            // std's client blocks the OS thread of the handler, which therefore must be done.
            until(|| serving.stats().accepted == 1 && serving.stats().active == 0);
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "hello");
            serving.stop();
        });
    });
}

#[test]
fn a_panic_of_a_handler_is_reported_with_its_peer() {
    if !is_child() {
        let output = in_child("a_panic_of_a_handler_is_reported_with_its_peer", &[]);
        return assert_success(&output);
    }
    log::set_logger(&LOG).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    must_end(|| {
        sylvan::run(|| {
            let serving = bind().start(|_, _| panic!("no luck")).unwrap();
            let client = connect(&serving);
            let peer = client.local_addr().unwrap();
            until(|| serving.stats().panicked == 1);
            let words = format!("the handler of the connection from {peer} panicked: no luck");
            assert_eq!(LOG.count(&words), 1);
            serving.stop();
        });
    });
}

#[test]
fn datagrams_are_handled_and_bounded() {
    must_end(|| {
        sylvan::run(|| {
            let (begun, beginnings) = mpsc::channel();
            let go_on = Arc::new(Semaphore::new(0));
            let permit = go_on.clone();
            let serving = DatagramServer::bind("127.0.0.1:0")
                .unwrap()
                .max_active(2)
                .start(move |datagram| {
                    begun.send(datagram.data[0]).unwrap();
                    permit.acquire().forget();
                    match datagram.data[0] {
                        b'c' => panic!("this handler was told to panic"),
                        _ => datagram.reply(&datagram.data.to_ascii_uppercase()),
                    }
                })
                .unwrap();
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            for word in [b"a", b"b", b"c", b"d"] {
                client.send_to(word, serving.local_addr()).unwrap();
            }
            assert_eq!(beginnings.recv().unwrap(), b'a');
            assert_eq!(beginnings.recv().unwrap(), b'b');
            let none = beginnings.recv_timeout(Duration::from_millis(20));
            assert!(none.is_err(), "two at once are as many as there may be");
            go_on.release(4);
            let mut answers = Vec::new();
            for _ in 0..3 {
                let mut answer = [0; 8];
                let (length, _) = client.recv_from(&mut answer).unwrap();
                answers.extend_from_slice(&answer[..length]);
            }
            answers.sort_unstable();
            assert_eq!(answers, b"ABD");
            serving.stop();
            let stats = serving.stats();
            assert_eq!((stats.accepted, stats.panicked, stats.active), (4, 1, 0));
        });
    });
}

#[test]
fn a_socket_that_does_not_wait_is_no_scarcity() {
    if !is_child() {
        let output = in_child("a_socket_that_does_not_wait_is_no_scarcity", &[]);
        assert_success(&output);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("is tried again"), "{said}");
        return;
    }
    must_end(|| {
        sylvan::run(|| {
            let limited = UdpSocket::bind("127.0.0.1:0").unwrap();
            let short = Duration::from_millis(1);
            limited.set_read_timeout(Some(short)).unwrap();
            let impatient = UdpSocket::bind("127.0.0.1:0").unwrap();
            impatient.set_nonblocking(true).unwrap();
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            for socket in [limited, impatient] {
                let serving = DatagramServer::from(socket)
                    .start(|datagram| datagram.reply(&datagram.data))
                    .unwrap();
                thread::sleep(Duration::from_millis(20));
                client.send_to(b"a", serving.local_addr()).unwrap();
                assert_eq!(client.recv(&mut [0; 8]).unwrap(), 1);
                assert_eq!(serving.stats().refused, 0);
                serving.stop();
            }
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            let serving = StreamServer::from(listener).start(echo).unwrap();
            thread::sleep(Duration::from_millis(20));
            assert_eq!(ask(&mut connect(&serving), "word"), "word");
            serving.stop();
        });
    });
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn nothing_is_left_of_those_who_were_served() {
    if !is_child() {
        // Alone: it counts the descriptors of the process.
        let output = in_child("nothing_is_left_of_those_who_were_served", &[]);
        return assert_success(&output);
    }
    must_end(|| {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle();
        // What is opened once and kept.
        runtime.run(|| bind().start(echo).unwrap().stop());
        let before = open_descriptors();
        runtime.run(|| {
            let serving = bind().start(echo).unwrap();
            thread::scope(|scope| {
                for number in 0..scaled(300) {
                    let serving = &serving;
                    scope.spawn(move || {
                        let mut client = connect(serving);
                        if number % 3 > 0 {
                            assert_eq!(ask(&mut client, "hello"), "hello");
                        }
                    });
                }
            });
            serving.stop();
            assert_eq!(serving.stats().active, 0);
        });
        assert_eq!(handle.metrics().tasks, 0);
        assert_eq!(handle.metrics().sources, 0);
        assert_eq!(open_descriptors(), before);
    });
}
