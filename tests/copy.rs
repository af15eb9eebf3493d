//! `io::copy` between all that has a descriptor.

mod support;

use std::fs;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Duration;

use support::{HOUR, Numbers, must_end, open_descriptors, scaled};
use sylvan::fs::{File, OpenOptions};
use sylvan::io::{self, ErrorKind, Read, Seek, Write};
use sylvan::net::{TcpListener, TcpStream};
use sylvan::os::unix::net::UnixStream;
use sylvan::process::{Command, Stdio};
use sylvan::runtime::Runtime;
use sylvan::{thread, time};

fn random_bytes(count: usize) -> Vec<u8> {
    let mut numbers = Numbers::new(count as u64);
    (0..count).map(|_| numbers.below(256) as u8).collect()
}

fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("sylvan-copy-{}-{name}", std::process::id()))
}

/// Writes these bytes by and by, so that whoever reads has to wait for more.
fn feed(mut to: impl Write + Send + 'static, bytes: &[u8]) {
    let bytes = bytes.to_vec();
    thread::spawn(move || {
        for part in bytes.chunks(bytes.len() / 3 + 1) {
            to.write_all(part).unwrap();
            thread::yield_now();
        }
    });
}

/// Copies from this to whatever there is, and sees what arrives.
fn to_all<R: Read + Send + 'static>(name: &str, bytes: &[u8], source: impl Fn(&[u8]) -> R) {
    let (mut to, far) = connected();
    arrives(name, bytes, far, || {
        let copied = io::copy(&mut source(bytes), &mut to);
        drop(to);
        copied
    });
    let (to, far) = UnixStream::pair().unwrap();
    arrives(name, bytes, far, || {
        let copied = io::copy(&mut source(bytes), &mut &to);
        drop(to);
        copied
    });
    let (far, mut to) = io::pipe().unwrap();
    arrives(name, bytes, far, || {
        let copied = io::copy(&mut source(bytes), &mut to);
        drop(to);
        copied
    });
    // One that the kernel cannot write to by itself.
    let (far, to) = io::pipe().unwrap();
    arrives(name, bytes, far, || {
        io::copy(&mut source(bytes), &mut io::BufWriter::new(to))
    });
    for append in [false, true] {
        let path = path(name);
        let mut options = OpenOptions::new();
        options
            .create_new(true)
            .read(true)
            .append(append)
            .write(true);
        let mut to = options.open(&path).unwrap();
        fs::remove_file(path).unwrap();
        to.write_all(b"before").unwrap();
        let copied = io::copy(&mut source(bytes), &mut to).unwrap();
        assert_eq!(copied, bytes.len() as u64, "{name} to a file");
        assert_eq!(to.stream_position().unwrap(), copied + 6);
        to.rewind().unwrap();
        let mut written = Vec::new();
        to.read_to_end(&mut written).unwrap();
        assert!(written == [b"before", bytes].concat(), "{name} to a file");
    }
}

/// Does what `copy` copies come out at the far end?
fn arrives(
    name: &str,
    bytes: &[u8],
    mut far: impl Read + Send + 'static,
    copy: impl FnOnce() -> io::Result<u64>,
) {
    let reader = thread::spawn(move || {
        let mut received = Vec::new();
        far.read_to_end(&mut received).map(|_| received)
    });
    assert_eq!(copy().unwrap(), bytes.len() as u64, "{name}");
    assert!(reader.join().unwrap().unwrap() == bytes, "{name}");
}

#[test]
fn from_everything_to_everything() {
    must_end(|| {
        sylvan::run(|| {
            // More than a socket takes at once, and than a pipe does.
            for count in [0, 1, 5_000, 100_000, scaled(6_000_000)] {
                let bytes = random_bytes(count);
                to_all("tcp", &bytes, |bytes| {
                    let (near, far) = connected();
                    feed(far, bytes);
                    near
                });
                to_all("unix", &bytes, |bytes| {
                    let (near, far) = UnixStream::pair().unwrap();
                    feed(far, bytes);
                    near
                });
                to_all("pipe", &bytes, |bytes| {
                    let (reader, writer) = io::pipe().unwrap();
                    feed(writer, bytes);
                    reader
                });
                to_all("file", &bytes, |bytes| {
                    let path = path("source");
                    fs::write(&path, bytes).unwrap();
                    let file = File::open(&path).unwrap();
                    fs::remove_file(path).unwrap();
                    file
                });
                to_all("bytes", &bytes, |bytes| io::Cursor::new(bytes.to_vec()));
            }
        });
    });
}

#[test]
fn a_child_s_streams_are_copied() {
    let bytes = random_bytes(1_000_000);
    let copied = must_end(|| {
        sylvan::run(|| {
            let mut cat = Command::new("cat")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let (near, far) = UnixStream::pair().unwrap();
            feed(far, &bytes);
            let mut stdin = cat.stdin.take().unwrap();
            thread::spawn(move || io::copy(&mut &near, &mut stdin).unwrap());
            let (mut to, far) = connected();
            let reader = thread::spawn(move || {
                let mut copied = Vec::new();
                { far }.read_to_end(&mut copied).unwrap();
                copied
            });
            io::copy(&mut cat.stdout.take().unwrap(), &mut to).unwrap();
            drop(to);
            assert!(cat.wait().unwrap().success());
            reader.join().unwrap()
        })
    });
    assert!(copied == bytes);
}

#[test]
fn both_directions_at_once_on_several_hubs() {
    let bytes = random_bytes(scaled(2_000_000));
    let runtime = Runtime::builder().workers(2).build().unwrap();
    must_end(|| {
        runtime.run(|| {
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        // What is sent to the one comes back from the other, by way of two in the middle.
                        let (client, left) = connected();
                        let (right, server) = connected();
                        thread::scope(|scope| {
                            scope.spawn(|| {
                                io::copy(&mut &left, &mut &right).unwrap();
                                right.shutdown(Shutdown::Write).unwrap();
                            });
                            scope.spawn(|| {
                                io::copy(&mut &right, &mut &left).unwrap();
                                left.shutdown(Shutdown::Write).unwrap();
                            });
                            scope.spawn(|| {
                                io::copy(&mut &server, &mut &server).unwrap();
                                server.shutdown(Shutdown::Write).unwrap();
                            });
                            scope.spawn(|| {
                                (&client).write_all(&bytes).unwrap();
                                client.shutdown(Shutdown::Write).unwrap();
                            });
                            let mut back = Vec::new();
                            (&client).read_to_end(&mut back).unwrap();
                            assert!(back == bytes);
                        });
                    });
                }
            });
        });
    });
}

#[test]
fn who_waits_has_no_descriptor_more_and_who_leaves_leaks_none() {
    must_end(|| {
        sylvan::run(|| {
            let pairs: Vec<_> = (0..50).map(|_| (connected(), connected())).collect();
            thread::scope(|scope| {
                let before = open_descriptors();
                let copies: Vec<_> = pairs
                    .iter()
                    .map(|((_, from), (to, _))| scope.spawn(|| io::copy(&mut &*from, &mut &*to)))
                    .collect();
                thread::yield_now();
                // Other tests of this file open some.
                assert!(open_descriptors() < before + 50);
                // Nobody reads: they wait with full pipes, and are cancelled.
                let full = vec![0; 20 << 20];
                for ((far, _), _) in &pairs[..5] {
                    let late =
                        time::timeout(Duration::from_millis(50), || (&mut &*far).write_all(&full));
                    assert!(late.is_err());
                }
                for copy in copies {
                    copy.cancel();
                    assert!(copy.join().is_err());
                }
                assert!(open_descriptors() < before + 50);
            });
        });
    });
}

#[test]
fn errors_are_those_of_both_sides() {
    must_end(|| {
        sylvan::run(|| {
            let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
            let (reader, mut writer) = io::pipe().unwrap();
            writer.write_all(b"bytes").unwrap();
            drop(writer);
            let error = io::copy(&mut { reader }, &mut full()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull);

            let (reader, mut writer) = io::pipe().unwrap();
            let (broken, closed) = UnixStream::pair().unwrap();
            drop(closed);
            writer.write_all(b"bytes").unwrap();
            let error = io::copy(&mut { reader }, &mut &broken).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);

            // One of which a part is asked for only once.
            let (near, far) = connected();
            near.set_read_timeout(Some(Duration::from_millis(10)))
                .unwrap();
            let (_reader, mut writer) = io::pipe().unwrap();
            let error = io::copy(&mut &near, &mut writer).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            drop(far);

            // What is no file to splice: a folder, and what the kernel makes up.
            let error = io::copy(&mut File::open("/").unwrap(), &mut writer).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::IsADirectory);
            let mut status = File::open("/proc/self/status").unwrap();
            assert!(io::copy(&mut status, &mut writer).unwrap() > 100);
        });
    });
}

#[test]
fn a_socket_behaves_as_ever_afterwards() {
    sylvan::run(|| {
        let (one, other) = connected();
        let (reader, writer) = io::pipe().unwrap();
        feed(writer, &random_bytes(1000));
        io::copy(&mut { reader }, &mut &one).unwrap();
        let mut bytes = [0; 1000];
        (&other).read_exact(&mut bytes).unwrap();
        assert!(bytes == random_bytes(1000)[..]);
        // It waits, and is given back in the mode in which it was.
        let late = time::timeout(Duration::from_millis(5), || (&one).read(&mut bytes));
        assert!(late.is_err());
        let one = std::net::TcpStream::from(one);
        // SAFETY: it only reads.
        let flags = unsafe { libc::fcntl(one.as_raw_fd(), libc::F_GETFL) };
        assert_eq!(flags & libc::O_NONBLOCK, 0);
    });
}

#[test]
fn others_run_beside_a_copy_that_waits() {
    must_end(|| {
        sylvan::run(|| {
            let (reader, writer) = io::pipe().unwrap();
            let (to, _far) = connected();
            let copy = thread::spawn(move || io::copy(&mut { reader }, &mut &to));
            let sleeper = thread::spawn(|| thread::sleep(HOUR));
            thread::yield_now();
            sleeper.cancel();
            assert!(sleeper.join().is_err());
            drop(writer);
            assert_eq!(copy.join().unwrap().unwrap(), 0);
        });
    });
}
