//! `os::unix::net`: what std's has, and that it waits as a green thread does.

mod support;

use std::fs;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::{assert_success, in_child, is_child, scaled};
use sylvan::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use sylvan::task::{Reason, State};
use sylvan::thread::{self, JoinHandle};
use sylvan::time::timeout;

/// A folder of one's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("sylvan-unix-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn abstract_address(name: &str) -> SocketAddr {
    SocketAddr::from_abstract_name(format!("sylvan-{name}-{}", std::process::id())).unwrap()
}

fn until_it_waits<T>(task: &JoinHandle<T>, reason: Reason) {
    while task.state() != State::Waiting(reason) {
        assert!(!task.is_finished());
        thread::yield_now();
    }
}

// ---- streams

#[test]
fn a_stream_carries_bytes_both_ways_and_ends() {
    sylvan::run(|| {
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.path("a")).unwrap();
        let path = folder.path("a");
        let client = thread::spawn(move || {
            let mut stream = UnixStream::connect(&path).unwrap();
            assert_eq!(stream.peer_addr().unwrap().as_pathname(), Some(&path as _));
            assert!(stream.local_addr().unwrap().is_unnamed());
            let parts = [IoSlice::new(b"ab"), IoSlice::new(b"cd")];
            assert_eq!(stream.write_vectored(&parts).unwrap(), 4);
            stream.shutdown(Shutdown::Write).unwrap();
            io::read_to_string(&stream).unwrap()
        });
        let (mut stream, peer) = listener.accept().unwrap();
        assert!(peer.is_unnamed());
        let (mut a, mut b) = ([0; 1], [0; 3]);
        let mut parts = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
        assert_eq!(stream.read_vectored(&mut parts).unwrap(), 4);
        assert_eq!((&a, &b), (b"a", b"bcd"));
        assert_eq!(stream.read_vectored(&mut []).unwrap(), 0);
        assert_eq!(stream.read(&mut a).unwrap(), 0, "the end");
        stream.try_clone().unwrap().write_all(b"bye").unwrap();
        stream.flush().unwrap();
        assert!(stream.take_error().unwrap().is_none());
        drop(stream);
        assert_eq!(client.join().unwrap(), "bye");
    });
}

#[test]
fn many_megabytes_pass_whole_between_hubs() {
    let runtime = sylvan::runtime::Runtime::builder()
        .workers(2)
        .build()
        .unwrap();
    runtime.run(|| {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let bytes: Vec<u8> = (0..scaled(5_000_000)).map(|n| (n % 251) as u8).collect();
        let sent = bytes.clone();
        let writer = thread::spawn(move || one.write_all(&sent).unwrap());
        let mut came = Vec::new();
        other.read_to_end(&mut came).unwrap();
        writer.join().unwrap();
        assert!(came == bytes);
    });
}

#[test]
fn errors_are_std_s() {
    sylvan::run(|| {
        let folder = Folder::new();
        let nobody = folder.path("nobody");
        assert_eq!(
            UnixStream::connect(&nobody).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        drop(UnixListener::bind(&nobody).unwrap());
        let refused = UnixStream::connect(&nobody).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let taken = UnixListener::bind(&nobody).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        let long = folder.path(&"x".repeat(200));
        for error in [
            UnixStream::connect(&long).err(),
            UnixListener::bind(&long).err(),
            UnixDatagram::bind(&long).err(),
            UnixStream::connect("with\0nul").err(),
        ] {
            assert_eq!(error.unwrap().kind(), ErrorKind::InvalidInput);
        }
        let (stream, _other) = UnixStream::pair().unwrap();
        let unnamed = stream.local_addr().unwrap();
        assert_eq!(
            UnixStream::connect_addr(&unnamed).unwrap_err().kind(),
            std::os::unix::net::UnixStream::connect_addr(&unnamed)
                .unwrap_err()
                .kind()
        );
        let zero = stream.set_read_timeout(Some(Duration::ZERO)).unwrap_err();
        assert_eq!(zero.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_peer_that_has_left_is_a_broken_pipe_and_no_signal() {
    sylvan::run(|| {
        let (mut one, other) = UnixStream::pair().unwrap();
        drop(other);
        assert_eq!(one.write(b"!").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(one.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn time_outs_and_modes_are_as_std_has_them() {
    let check = || {
        let (mut one, other) = UnixStream::pair().unwrap();
        let short = Some(Duration::from_millis(8));
        one.set_read_timeout(short).unwrap();
        other.set_write_timeout(short).unwrap();
        assert_eq!(one.read_timeout().unwrap(), short);
        assert_eq!(other.write_timeout().unwrap(), short);
        assert_eq!(
            one.read(&mut [0]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        let full = loop {
            if let Err(error) = (&other).write(&[0; 1 << 16]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        let (mut one, _other) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        assert_eq!(
            one.read(&mut [0]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
    };
    check();
    sylvan::run(check);
}

#[test]
fn a_wait_that_is_cancelled_takes_nothing() {
    sylvan::run(|| {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        assert!(timeout(Duration::from_millis(5), || one.read(&mut [0])).is_err());
        other.write_all(b"!").unwrap();
        let mut byte = [0];
        assert_eq!(one.read(&mut byte).unwrap(), 1);

        let listener = UnixListener::bind_addr(&abstract_address("cancelled")).unwrap();
        assert!(timeout(Duration::from_millis(5), || listener.accept()).is_err());
        let waiter = thread::spawn(move || listener.accept().map(drop));
        until_it_waits(&waiter, Reason::Accept);
        UnixStream::connect_addr(&abstract_address("cancelled")).unwrap();
        waiter.join().unwrap().unwrap();
    });
}

#[test]
fn a_clone_that_is_shut_down_wakes_who_reads() {
    sylvan::run(|| {
        let (one, _other) = UnixStream::pair().unwrap();
        let clone = one.try_clone().unwrap();
        let reader = thread::spawn(move || (&one).read(&mut [0]));
        until_it_waits(&reader, Reason::UnixRead);
        clone.shutdown(Shutdown::Read).unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), 0);
    });
}

// ---- listeners

#[test]
fn whoever_connects_to_a_full_line_waits_for_room() {
    sylvan::run(|| {
        let address = abstract_address("full");
        // std's listens with a long line; this one's is short.
        let socket = socket(&address, 1);
        let listener = UnixListener::from(socket);
        let clients: Vec<_> = (0..10)
            .map(|_| {
                let address = address.clone();
                thread::spawn(move || {
                    let mut stream = UnixStream::connect_addr(&address)?;
                    stream.write_all(b"!")
                })
            })
            .collect();
        let waits = || {
            clients
                .iter()
                .filter(|it| it.state() == State::Waiting(Reason::Connect))
                .count()
        };
        while waits() < 8 {
            thread::yield_now();
        }
        for stream in listener.incoming().take(10) {
            assert_eq!(stream.unwrap().read(&mut [0]).unwrap(), 1);
        }
        clients
            .into_iter()
            .for_each(|it| it.join().unwrap().unwrap());
    });
}

/// A listening socket with a line of such a length.
fn socket(address: &SocketAddr, backlog: i32) -> OwnedFd {
    let listener = std::os::unix::net::UnixListener::bind_addr(address).unwrap();
    // SAFETY: it takes two numbers; a second `listen` changes the length.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), backlog) }, 0);
    listener.into()
}

#[test]
fn clones_of_a_listener_share_its_line() {
    sylvan::run(|| {
        let address = abstract_address("clones");
        let listener = UnixListener::bind_addr(&address).unwrap();
        let clone = listener.try_clone().unwrap();
        assert_eq!(
            listener.local_addr().unwrap().as_abstract_name(),
            clone.local_addr().unwrap().as_abstract_name()
        );
        let servers = [listener, clone].map(|it| thread::spawn(move || it.accept().map(drop)));
        for _ in &servers {
            UnixStream::connect_addr(&address).unwrap();
        }
        for server in servers {
            server.join().unwrap().unwrap();
        }
    });
}

#[test]
fn a_listener_that_says_would_block_does_not_wait() {
    sylvan::run(|| {
        let listener = UnixListener::bind_addr(&abstract_address("nonblocking")).unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(listener.take_error().unwrap().is_none());
        let std: std::os::unix::net::UnixListener = listener.into();
        assert_eq!(std.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

// ---- datagrams

#[test]
fn datagrams_go_to_paths_and_to_who_is_connected() {
    sylvan::run(|| {
        let folder = Folder::new();
        let inbox = UnixDatagram::bind(folder.path("inbox")).unwrap();
        let sender = UnixDatagram::bind(folder.path("sender")).unwrap();
        assert_eq!(
            sender.peer_addr().unwrap_err().kind(),
            ErrorKind::NotConnected
        );
        sender.send_to(b"one", folder.path("inbox")).unwrap();
        let mut buffer = [0; 2];
        let (count, from) = inbox.recv_from(&mut buffer).unwrap();
        assert_eq!((count, &buffer), (2, b"on"), "the rest of it is lost");
        assert_eq!(from.as_pathname(), Some(&folder.path("sender") as _));
        sender.connect(folder.path("inbox")).unwrap();
        assert!(sender.peer_addr().unwrap().as_pathname().is_some());
        sender.try_clone().unwrap().send(b"two").unwrap();
        assert_eq!(inbox.recv(&mut buffer).unwrap(), 2);
        let address = abstract_address("datagram");
        let other = UnixDatagram::bind_addr(&address).unwrap();
        inbox.send_to_addr(b"3", &address).unwrap();
        assert_eq!(other.recv(&mut buffer).unwrap(), 1);
        let third = UnixDatagram::unbound().unwrap();
        assert!(third.local_addr().unwrap().is_unnamed());
        third.connect_addr(&address).unwrap();
        third.shutdown(Shutdown::Both).unwrap();
        assert!(third.send(b"4").is_err());
        assert!(third.take_error().unwrap().is_none());
    });
}

#[test]
fn whoever_sends_to_a_full_queue_waits_for_room() {
    let count = 200;
    for connected in [true, false] {
        sylvan::run(|| {
            let address = abstract_address(if connected { "queue-1" } else { "queue-2" });
            let inbox = UnixDatagram::bind_addr(&address).unwrap();
            let sender = thread::spawn(move || {
                let socket = UnixDatagram::unbound().unwrap();
                if connected {
                    socket.connect_addr(&address).unwrap();
                }
                for number in 0..count {
                    let datagram = [number as u8];
                    let sent = match connected {
                        true => socket.send(&datagram),
                        false => socket.send_to_addr(&datagram, &address),
                    };
                    assert_eq!(sent.unwrap(), 1);
                }
            });
            until_it_waits(&sender, Reason::UnixWrite);
            for number in 0..count {
                let mut datagram = [0; 2];
                assert_eq!(inbox.recv(&mut datagram).unwrap(), 1);
                assert_eq!(datagram[0], number as u8);
            }
            sender.join().unwrap();
        });
    }
}

#[test]
fn a_datagram_socket_has_its_time_outs_and_modes() {
    let (one, other) = UnixDatagram::pair().unwrap();
    let short = Some(Duration::from_millis(8));
    one.set_read_timeout(short).unwrap();
    one.set_write_timeout(short).unwrap();
    assert_eq!(
        (one.read_timeout().unwrap(), one.write_timeout().unwrap()),
        (short, short)
    );
    sylvan::run(|| {
        assert_eq!(
            one.recv(&mut [0]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        let full = (0..).find_map(|_| one.send(&[0; 64]).err()).unwrap();
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        other.set_nonblocking(true).unwrap();
        while other.recv(&mut [0]).is_ok() {}
    });
}

// ---- descriptors

#[test]
fn sockets_come_from_descriptors_and_become_some() {
    sylvan::run(|| {
        let (one, other) = UnixStream::pair().unwrap();
        let raw = OwnedFd::from(one).into_raw_fd();
        // SAFETY: nobody else has it.
        let mut one = unsafe { UnixStream::from_raw_fd(raw) };
        assert_eq!(one.as_raw_fd(), one.as_fd().as_raw_fd());
        let std = std::os::unix::net::UnixStream::from(other);
        (&std).write_all(b"!").unwrap();
        assert_eq!(one.read(&mut [0]).unwrap(), 1);
        // Blocking, whatever we had to make it meanwhile.
        let listener = UnixListener::bind_addr(&abstract_address("released")).unwrap();
        let fd = OwnedFd::from(listener);
        // SAFETY: it only reads the descriptor's flags.
        let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
        assert_eq!(flags & libc::O_NONBLOCK, 0);
    });
}

#[test]
fn nothing_leaks() {
    if !is_child() {
        return assert_success(&in_child("nothing_leaks", &[]));
    }
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    let work = || {
        sylvan::run(|| {
            let folder = Folder::new();
            let listener = UnixListener::bind(folder.path("a")).unwrap();
            for _ in 0..20 {
                let client = UnixStream::connect(folder.path("a")).unwrap();
                let (server, _) = listener.accept().unwrap();
                let clone = server.try_clone().unwrap();
                let reader = thread::spawn(move || (&clone).read(&mut [0]));
                until_it_waits(&reader, Reason::UnixRead);
                reader.cancel();
                assert!(reader.join().is_err());
                drop((client, server));
                let _ = UnixDatagram::pair().unwrap();
            }
        });
    };
    work();
    let before = open();
    work();
    assert_eq!(open(), before);
}

// ---- as std's

/// The same lines with std's types and with ours: what compiles with the one compiles with the other.
macro_rules! complete {
    ($name:ident, $net:path, $label:literal) => {
        #[test]
        fn $name() {
            use $net::{Incoming, SocketAddr, UnixDatagram, UnixListener, UnixStream};
            fn is_a_socket<T>()
            where
                T: std::fmt::Debug + Send + Sync + AsFd + AsRawFd + IntoRawFd + FromRawFd,
                T: From<OwnedFd> + Into<OwnedFd>,
            {
            }
            is_a_socket::<UnixStream>();
            is_a_socket::<UnixListener>();
            is_a_socket::<UnixDatagram>();
            let folder = Folder::new();
            let path = folder.path("socket");
            let listener = UnixListener::bind(&path).unwrap();
            let mut stream = UnixStream::connect(&path).unwrap();
            let mut incoming: Incoming<'_> = (&listener).into_iter();
            let mut server: UnixStream = incoming.next().unwrap().unwrap();
            stream.write_all(b"x").unwrap();
            (&stream).flush().unwrap();
            server.read_exact(&mut [0]).unwrap();
            let _: SocketAddr = server.local_addr().unwrap();
            stream.set_read_timeout(None).unwrap();
            stream
                .set_write_timeout(Some(Duration::from_secs(1)))
                .unwrap();
            let _: Option<Duration> = stream.write_timeout().unwrap();
            assert!(format!("{stream:?}").contains("fd"));
            let (one, other) = UnixDatagram::pair().unwrap();
            one.send(b"x").unwrap();
            let (count, _): (usize, SocketAddr) = other.recv_from(&mut [0; 4]).unwrap();
            assert_eq!(count, 1);
            let address =
                SocketAddr::from_abstract_name(format!("sylvan-{}-{}", $label, std::process::id()));
            let _ = UnixListener::bind_addr(&address.unwrap())
                .unwrap()
                .incoming();
        }
    };
}

complete!(complete_with_std, std::os::unix::net, "std");
complete!(complete_with_ours, sylvan::os::unix::net, "ours");
