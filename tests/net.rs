//! `sylvan::net` behaves as `std::net`: what std's own tests of TCP, UDP and addresses check.

use std::fmt::Debug;
use std::io::{ErrorKind, IoSlice, IoSliceMut, prelude::*};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use sylvan::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener,
    TcpStream, ToSocketAddrs, UdpSocket,
};
use sylvan::os::linux::net::TcpStreamExt;
use sylvan::thread;

/// Runs the body as a main green thread, and fails instead of hanging for ever.
fn green(body: impl FnOnce() + Send + 'static) {
    let (done, finished) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        sylvan::run(body);
        let _ = done.send(());
    });
    if finished.recv_timeout(Duration::from_secs(60))
        == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
    {
        panic!("it hangs");
    }
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// Runs the body for IPv4, and for IPv6 where the machine has it.
fn for_each_family(body: impl Fn(SocketAddr) + Clone + Send + 'static) {
    let six = body.clone();
    green(move || body(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))));
    let loopback = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    if std::net::UdpSocket::bind(loopback).is_ok() {
        green(move || six(loopback));
    } else {
        eprintln!("no IPv6 here: skipped");
    }
}

/// Two ends of one connection.
fn pair(any: SocketAddr) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(any).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (client, server)
}

/// An address where nobody listens, taken as long as the socket lives.
fn nobody(any: SocketAddr) -> (socket2::Socket, SocketAddr) {
    let domain = socket2::Domain::for_address(any);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

fn assert_kind<T: Debug>(result: std::io::Result<T>, kinds: &[ErrorKind]) {
    let error = result.expect_err("an error was expected");
    assert!(
        kinds.contains(&error.kind()),
        "{error:?} is none of {kinds:?}"
    );
}

// ── TCP: binding and connecting

#[test]
fn binding_to_a_foreign_address_is_an_error() {
    green(|| {
        assert_kind(
            TcpListener::bind("1.1.1.1:9999"),
            &[ErrorKind::AddrNotAvailable],
        );
    });
}

#[test]
fn connecting_to_nobody_is_refused() {
    for_each_family(|any| {
        let (_taken, free) = nobody(any);
        assert_kind(TcpStream::connect(free), &[ErrorKind::ConnectionRefused]);
    });
}

#[test]
fn binding_twice_is_an_error() {
    for_each_family(|any| {
        let first = TcpListener::bind(any).unwrap();
        assert_kind(
            TcpListener::bind(first.local_addr().unwrap()),
            &[ErrorKind::AddrInUse],
        );
    });
}

#[test]
fn an_address_can_be_bound_again_at_once() {
    for_each_family(|any| {
        let listener = TcpListener::bind(any).unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        // The side that closes first is left in TIME_WAIT.
        drop((server, listener, client));
        TcpListener::bind(address).unwrap();
    });
}

#[test]
fn connect_tries_every_address() {
    green(|| {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (_taken, refused) = nobody(any);
        let listener = TcpListener::bind(any).unwrap();
        let open = listener.local_addr().unwrap();
        let stream = TcpStream::connect(&[refused, open][..]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        assert_kind(
            TcpStream::connect(&[refused, refused][..]),
            &[ErrorKind::ConnectionRefused],
        );
    });
}

#[test]
fn bind_tries_every_address() {
    green(|| {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [taken.local_addr().unwrap(), "127.0.0.1:0".parse().unwrap()];
        TcpListener::bind(&addresses[..]).unwrap();
        UdpSocket::bind(&["1.1.1.1:9999".parse().unwrap(), addresses[1]][..]).unwrap();
    });
}

#[test]
fn no_address_is_an_error_in_stds_words() {
    green(|| {
        let none: &[SocketAddr] = &[];
        let errors = [
            (
                TcpStream::connect(none).unwrap_err(),
                std::net::TcpStream::connect(none).unwrap_err(),
            ),
            (
                TcpListener::bind(none).unwrap_err(),
                std::net::TcpListener::bind(none).unwrap_err(),
            ),
            (
                UdpSocket::bind(none).unwrap_err(),
                std::net::UdpSocket::bind(none).unwrap_err(),
            ),
        ];
        for (ours, theirs) in errors {
            assert_eq!(ours.kind(), theirs.kind());
            assert_eq!(ours.to_string(), theirs.to_string());
        }
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let error = socket.send_to(b"lost", none).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "no addresses to send data to");
    });
}

#[test]
fn connect_timeout_reaches_a_listener() {
    for_each_family(|any| {
        let listener = TcpListener::bind(any).unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(20)).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        TcpStream::connect_timeout(&address, Duration::MAX).unwrap();
    });
}

#[test]
fn connect_timeout_is_refused_by_nobody() {
    for_each_family(|any| {
        let (_taken, free) = nobody(any);
        let result = TcpStream::connect_timeout(&free, Duration::from_secs(20));
        assert_kind(result, &[ErrorKind::ConnectionRefused]);
    });
}

#[test]
fn connect_timeout_of_zero_is_invalid() {
    green(|| {
        let address = "127.0.0.1:1".parse().unwrap();
        let ours = TcpStream::connect_timeout(&address, Duration::ZERO).unwrap_err();
        assert_eq!(ours.kind(), ErrorKind::InvalidInput);
        assert_eq!(ours.to_string(), "cannot set a 0 duration timeout");
    });
}

#[test]
fn connect_timeout_ends_when_nobody_answers() {
    green(|| {
        // A listener whose line is full answers no more.
        let listener = socket2::Socket::new(
            socket2::Domain::IPV4,
            socket2::Type::STREAM,
            Some(socket2::Protocol::TCP),
        )
        .unwrap();
        listener
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let timeout = Duration::from_millis(100);
        let mut waiting = Vec::new();
        let error = loop {
            assert!(waiting.len() < 16, "the line is never full");
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(stream) => waiting.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "connection timed out");
    });
}

#[test]
fn addresses_of_both_ends() {
    for_each_family(|any| {
        let listener = TcpListener::bind(any).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, peer) = listener.accept().unwrap();
        assert_eq!(client.peer_addr().unwrap(), listener.local_addr().unwrap());
        assert_eq!(server.local_addr().unwrap(), listener.local_addr().unwrap());
        assert_eq!(client.local_addr().unwrap(), peer);
        assert_eq!(server.peer_addr().unwrap(), peer);
    });
}

// ── TCP: transfers

#[test]
fn one_byte_goes_across() {
    for_each_family(|any| {
        let listener = TcpListener::bind(any).unwrap();
        let address = listener.local_addr().unwrap();
        let sender = thread::spawn(move || {
            TcpStream::connect(address)
                .unwrap()
                .write_all(&[144])
                .unwrap();
        });
        let (mut stream, _) = listener.accept().unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [144]);
        sender.join().unwrap();
    });
}

#[test]
fn reading_at_the_end_gives_zero_again_and_again() {
    for_each_family(|any| {
        let (client, mut server) = pair(any);
        drop(client);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn writing_to_a_closed_connection_is_an_error() {
    for_each_family(|any| {
        let (client, mut server) = pair(any);
        drop(client);
        // The peer's reset comes after the first write at the earliest.
        let result = (0..1_000_000).try_for_each(|_| server.write_all(&[0; 1024]));
        let kinds = [
            ErrorKind::ConnectionReset,
            ErrorKind::BrokenPipe,
            ErrorKind::ConnectionAborted,
        ];
        assert_kind(result, &kinds);
    });
}

#[test]
fn a_partial_read_leaves_the_rest() {
    for_each_family(|any| {
        let (mut client, mut server) = pair(any);
        client.write_all(&[1, 2, 3, 4]).unwrap();
        let mut two = [0; 2];
        server.read_exact(&mut two).unwrap();
        assert_eq!(two, [1, 2]);
        server.read_exact(&mut two).unwrap();
        assert_eq!(two, [3, 4]);
    });
}

#[test]
fn vectored_reads_and_writes() {
    for_each_family(|any| {
        let (mut client, mut server) = pair(any);
        let buffers = [
            IoSlice::new(b"one "),
            IoSlice::new(b""),
            IoSlice::new(b"two"),
        ];
        assert_eq!(client.write_vectored(&buffers).unwrap(), 7);
        drop(client);

        let (mut head, mut tail) = ([0; 5], [0; 5]);
        let mut buffers = [IoSliceMut::new(&mut head), IoSliceMut::new(&mut tail)];
        assert_eq!(server.read_vectored(&mut buffers).unwrap(), 7);
        assert_eq!(&head, b"one t");
        assert_eq!(&tail[..2], b"wo");
        let mut buffers = [IoSliceMut::new(&mut head)];
        assert_eq!(server.read_vectored(&mut buffers).unwrap(), 0);
    });
}

#[test]
fn more_buffers_than_the_system_takes_at_once() {
    for_each_family(|any| {
        let (mut client, mut server) = pair(any);
        let buffers = vec![IoSlice::new(b"x"); 2000];
        assert_eq!(client.write_vectored(&buffers).unwrap(), 1024);
        let mut bytes = vec![0; 2000];
        let mut buffers: Vec<_> = bytes.chunks_mut(1).map(IoSliceMut::new).collect();
        assert_eq!(server.read_vectored(&mut buffers).unwrap(), 1024);
    });
}

#[test]
fn empty_transfers_do_not_wait() {
    for_each_family(|any| {
        let (mut client, _server) = pair(any);
        assert_eq!(client.write(&[]).unwrap(), 0);
        assert_eq!(client.write_vectored(&[]).unwrap(), 0);
        assert_eq!(client.read_vectored(&mut []).unwrap(), 0);
        assert_eq!(
            client
                .read_vectored(&mut [IoSliceMut::new(&mut [])])
                .unwrap(),
            0
        );
    });
}

#[test]
fn many_connections_one_after_the_other() {
    for_each_family(|any| {
        const COUNT: u8 = 32;
        let listener = TcpListener::bind(any).unwrap();
        let address = listener.local_addr().unwrap();
        let clients = thread::spawn(move || {
            for number in 0..COUNT {
                TcpStream::connect(address)
                    .unwrap()
                    .write_all(&[number])
                    .unwrap();
            }
        });
        for (number, stream) in (0..COUNT).zip(listener.incoming()) {
            let mut byte = [0];
            stream.unwrap().read_exact(&mut byte).unwrap();
            assert_eq!(byte, [number]);
        }
        clients.join().unwrap();
    });
}

#[test]
fn many_connections_at_once() {
    for_each_family(|any| {
        const COUNT: usize = 64;
        let listener = TcpListener::bind(any).unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let handlers: Vec<_> = listener
                .incoming()
                .take(COUNT)
                .map(|stream| {
                    let mut stream = stream.unwrap();
                    thread::spawn(move || {
                        let mut message = [0; 8];
                        stream.read_exact(&mut message).unwrap();
                        stream.write_all(&message).unwrap();
                    })
                })
                .collect();
            handlers
                .into_iter()
                .for_each(|handler| handler.join().unwrap());
        });
        let clients: Vec<_> = (0..COUNT)
            .map(|number| {
                thread::spawn(move || {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.write_all(&number.to_ne_bytes()).unwrap();
                    let mut answer = [0; 8];
                    stream.read_exact(&mut answer).unwrap();
                    assert_eq!(answer, number.to_ne_bytes());
                })
            })
            .collect();
        clients
            .into_iter()
            .for_each(|client| client.join().unwrap());
        server.join().unwrap();
    });
}

#[test]
fn more_than_the_buffers_hold_goes_across() {
    for_each_family(|any| {
        let (mut client, mut server) = pair(any);
        let sent: Vec<u8> = (0..8_000_000_u32)
            .map(|number| (number % 251) as u8)
            .collect();
        let expected = sent.clone();
        let sender = thread::spawn(move || client.write_all(&sent).unwrap());
        let mut received = Vec::new();
        server.read_to_end(&mut received).unwrap();
        assert!(received == expected, "what arrived is not what was sent");
        sender.join().unwrap();
    });
}

#[test]
fn peek_takes_nothing() {
    for_each_family(|any| {
        let (mut client, mut server) = pair(any);
        client.write_all(b"abc").unwrap();
        let mut buffer = [0; 8];
        for _ in 0..3 {
            assert_eq!(server.peek(&mut buffer).unwrap(), 3);
        }
        assert_eq!(server.read(&mut buffer).unwrap(), 3);
        server.set_nonblocking(true).unwrap();
        assert_kind(server.peek(&mut buffer), &[ErrorKind::WouldBlock]);
    });
}

// ── TCP: clones and shutdown

#[test]
fn a_clone_is_the_same_connection() {
    for_each_family(|any| {
        let (mut client, server) = pair(any);
        let mut clone = server.try_clone().unwrap();
        drop(server);
        client.write_all(&[1]).unwrap();
        clone.write_all(&[2]).unwrap();
        let mut byte = [0];
        clone.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [1]);
        client.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [2]);
    });
}

#[test]
fn two_clones_read_at_once() {
    for_each_family(|any| {
        let (mut client, mut server) = pair(any);
        let mut clone = server.try_clone().unwrap();
        let read_one = |stream: &mut TcpStream| {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            byte[0]
        };
        let other = thread::spawn(move || read_one(&mut clone));
        let writer = thread::spawn(move || client.write_all(&[1, 2]).unwrap());
        let one = read_one(&mut server);
        assert_eq!(one + other.join().unwrap(), 3);
        writer.join().unwrap();
    });
}

#[test]
fn a_clone_of_a_listener_accepts_too() {
    for_each_family(|any| {
        let listener = TcpListener::bind(any).unwrap();
        let address = listener.local_addr().unwrap();
        let clone = listener.try_clone().unwrap();
        let first = thread::spawn(move || listener.accept().map(drop).unwrap());
        let second = thread::spawn(move || clone.accept().map(drop).unwrap());
        let _one = TcpStream::connect(address).unwrap();
        let _two = TcpStream::connect(address).unwrap();
        first.join().unwrap();
        second.join().unwrap();
    });
}

#[test]
fn after_shutdown_reads_end_and_writes_fail() {
    for_each_family(|any| {
        let (mut client, mut server) = pair(any);
        client.shutdown(Shutdown::Write).unwrap();
        assert_kind(client.write(&[0]), &[ErrorKind::BrokenPipe]);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
        client.shutdown(Shutdown::Read).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);

        let clone = server.try_clone().unwrap();
        clone.shutdown(Shutdown::Both).unwrap();
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
        assert_kind(server.write(&[0]), &[ErrorKind::BrokenPipe]);
    });
}

#[test]
fn closing_reads_wakes_the_reader_of_a_clone() {
    for_each_family(|any| {
        let (_client, server) = pair(any);
        let mut clone = server.try_clone().unwrap();
        let reader = thread::spawn(move || clone.read(&mut [0]).unwrap());
        thread::yield_now();
        server.shutdown(Shutdown::Read).unwrap();
        assert_eq!(reader.join().unwrap(), 0);
    });
}

// ── TCP: options

#[test]
fn timeouts_are_kept() {
    for_each_family(|any| {
        let (client, _server) = pair(any);
        let limit = Some(Duration::from_secs(10));
        assert_eq!(client.read_timeout().unwrap(), None);
        assert_eq!(client.write_timeout().unwrap(), None);
        client.set_read_timeout(limit).unwrap();
        client.set_write_timeout(limit).unwrap();
        assert_eq!(client.read_timeout().unwrap(), limit);
        assert_eq!(client.write_timeout().unwrap(), limit);
        client.set_read_timeout(None).unwrap();
        client.set_write_timeout(Some(Duration::MAX)).unwrap();
        assert_eq!(client.read_timeout().unwrap(), None);
        assert_eq!(client.write_timeout().unwrap(), None);
    });
}

#[test]
fn a_timeout_of_zero_is_invalid() {
    for_each_family(|any| {
        let (client, _server) = pair(any);
        let socket = UdpSocket::bind(any).unwrap();
        let zero = Some(Duration::ZERO);
        assert_kind(client.set_read_timeout(zero), &[ErrorKind::InvalidInput]);
        assert_kind(client.set_write_timeout(zero), &[ErrorKind::InvalidInput]);
        assert_kind(socket.set_read_timeout(zero), &[ErrorKind::InvalidInput]);
        assert_kind(socket.set_write_timeout(zero), &[ErrorKind::InvalidInput]);
    });
}

#[test]
fn a_read_ends_with_its_timeout() {
    for_each_family(|any| {
        let (mut client, mut server) = pair(any);
        let limit = Duration::from_millis(50);
        server.set_read_timeout(Some(limit)).unwrap();
        let start = Instant::now();
        assert_kind(server.read(&mut [0]), &[ErrorKind::WouldBlock]);
        assert!(start.elapsed() >= limit);
        assert_kind(server.peek(&mut [0]), &[ErrorKind::WouldBlock]);

        // What is there in time is read.
        client.write_all(&[7]).unwrap();
        let mut byte = [0];
        server.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [7]);
        assert_kind(server.read(&mut byte), &[ErrorKind::WouldBlock]);
    });
}

#[test]
fn a_write_ends_with_its_timeout() {
    for_each_family(|any| {
        let (mut client, _server) = pair(any);
        client
            .set_write_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let result = (0..1_000_000).try_for_each(|_| client.write_all(&[0; 4096]));
        assert_kind(result, &[ErrorKind::WouldBlock]);
    });
}

#[test]
fn nodelay_ttl_and_quickack() {
    for_each_family(|any| {
        let (client, _server) = pair(any);
        assert!(!client.nodelay().unwrap());
        client.set_nodelay(true).unwrap();
        assert!(client.nodelay().unwrap());
        client.set_nodelay(false).unwrap();
        assert!(!client.nodelay().unwrap());

        client.set_quickack(false).unwrap();
        assert!(!client.quickack().unwrap());
        client.set_quickack(true).unwrap();
        assert!(client.quickack().unwrap());
    });
    green(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_ttl(100).unwrap();
        assert_eq!(listener.ttl().unwrap(), 100);
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_ttl(101).unwrap();
        assert_eq!(client.ttl().unwrap(), 101);
    });
}

#[test]
fn take_error_finds_none() {
    for_each_family(|any| {
        let listener = TcpListener::bind(any).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(listener.take_error().unwrap().is_none());
        assert!(client.take_error().unwrap().is_none());
        assert!(
            UdpSocket::bind(any)
                .unwrap()
                .take_error()
                .unwrap()
                .is_none()
        );
    });
}

#[test]
fn non_blocking_calls_return_at_once() {
    for_each_family(|any| {
        let listener = TcpListener::bind(any).unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_kind(listener.accept(), &[ErrorKind::WouldBlock]);
        listener.set_nonblocking(false).unwrap();

        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.set_nonblocking(true).unwrap();
        assert_kind(client.read(&mut [0]), &[ErrorKind::WouldBlock]);
        let full = (0..1_000_000).try_for_each(|_| client.write_all(&[0; 4096]));
        assert_kind(full, &[ErrorKind::WouldBlock]);
        client.set_nonblocking(false).unwrap();

        server.write_all(&[5]).unwrap();
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [5]);
    });
}

// ── UDP

#[test]
fn a_datagram_goes_across_and_back() {
    for_each_family(|any| {
        let server = UdpSocket::bind(any).unwrap();
        let address = server.local_addr().unwrap();
        let echo = thread::spawn(move || {
            let mut buffer = [0; 8];
            let (count, from) = server.recv_from(&mut buffer).unwrap();
            assert_eq!(server.send_to(&buffer[..count], from).unwrap(), count);
        });
        let client = UdpSocket::bind(any).unwrap();
        assert_eq!(client.send_to(&[99], address).unwrap(), 1);
        let mut buffer = [0; 8];
        assert_eq!(client.recv_from(&mut buffer).unwrap(), (1, address));
        assert_eq!(buffer[0], 99);
        echo.join().unwrap();
    });
}

#[test]
fn an_empty_datagram_is_one_too() {
    for_each_family(|any| {
        let socket = UdpSocket::bind(any).unwrap();
        let address = socket.local_addr().unwrap();
        assert_eq!(socket.send_to(&[], address).unwrap(), 0);
        assert_eq!(socket.recv_from(&mut [0; 8]).unwrap(), (0, address));
    });
}

#[test]
fn udp_binding_errors() {
    for_each_family(|any| {
        let socket = UdpSocket::bind(any).unwrap();
        assert_kind(
            UdpSocket::bind(socket.local_addr().unwrap()),
            &[ErrorKind::AddrInUse],
        );
        assert_kind(socket.peer_addr(), &[ErrorKind::NotConnected]);
    });
    green(|| {
        assert_kind(
            UdpSocket::bind("1.1.1.1:9999"),
            &[ErrorKind::AddrNotAvailable],
        );
    });
}

#[test]
fn a_connected_udp_socket_hears_its_peer_only() {
    for_each_family(|any| {
        let (one, other) = (UdpSocket::bind(any).unwrap(), UdpSocket::bind(any).unwrap());
        let stranger = UdpSocket::bind(any).unwrap();
        one.connect(other.local_addr().unwrap()).unwrap();
        assert_eq!(one.peer_addr().unwrap(), other.local_addr().unwrap());
        let address = one.local_addr().unwrap();
        stranger.send_to(b"noise", address).unwrap();
        other.send_to(b"word", address).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(one.peek(&mut buffer).unwrap(), 4);
        assert_eq!(one.recv(&mut buffer).unwrap(), 4);
        assert_eq!(&buffer[..4], b"word");
        assert_eq!(one.send(b"answer").unwrap(), 6);
        assert_eq!(other.recv(&mut buffer).unwrap(), 6);
    });
}

#[test]
fn udp_clones_share_one_socket() {
    for_each_family(|any| {
        let (one, other) = (UdpSocket::bind(any).unwrap(), UdpSocket::bind(any).unwrap());
        let clone = one.try_clone().unwrap();
        let other_address = other.local_addr().unwrap();
        let answer = thread::spawn(move || {
            let mut buffer = [0; 1];
            let (_, from) = other.recv_from(&mut buffer).unwrap();
            other.send_to(&[buffer[0] + 1], from).unwrap();
        });
        clone.send_to(&[1], other_address).unwrap();
        drop(clone);
        let mut buffer = [0; 1];
        assert_eq!(one.recv_from(&mut buffer).unwrap(), (1, other_address));
        assert_eq!(buffer, [2]);
        answer.join().unwrap();
    });
}

#[test]
fn udp_clones_receive_at_once() {
    for_each_family(|any| {
        let socket = UdpSocket::bind(any).unwrap();
        let address = socket.local_addr().unwrap();
        let receivers = [(); 2].map(|()| {
            let clone = socket.try_clone().unwrap();
            thread::spawn(move || {
                let mut buffer = [0; 1];
                clone.recv(&mut buffer).unwrap();
                buffer[0]
            })
        });
        let peer = UdpSocket::bind(any).unwrap();
        peer.send_to(&[1], address).unwrap();
        peer.send_to(&[2], address).unwrap();
        let bytes = receivers.map(|receiver| receiver.join().unwrap());
        assert_eq!(bytes.iter().sum::<u8>(), 3);
    });
}

#[test]
fn udp_peek_takes_nothing() {
    for_each_family(|any| {
        let socket = UdpSocket::bind(any).unwrap();
        let address = socket.local_addr().unwrap();
        socket.send_to(b"hello", address).unwrap();
        let mut buffer = [0; 8];
        for _ in 0..3 {
            assert_eq!(socket.peek_from(&mut buffer).unwrap(), (5, address));
        }
        assert_eq!(socket.recv_from(&mut buffer).unwrap(), (5, address));
        socket.set_nonblocking(true).unwrap();
        assert_kind(socket.peek_from(&mut buffer), &[ErrorKind::WouldBlock]);
        assert_kind(socket.recv(&mut buffer), &[ErrorKind::WouldBlock]);
    });
}

#[test]
fn udp_timeouts() {
    for_each_family(|any| {
        let socket = UdpSocket::bind(any).unwrap();
        let limit = Duration::from_millis(40);
        socket.set_read_timeout(Some(limit)).unwrap();
        socket.set_write_timeout(Some(limit)).unwrap();
        assert!(socket.read_timeout().unwrap().unwrap() >= limit);
        assert!(socket.write_timeout().unwrap().unwrap() >= limit);
        let start = Instant::now();
        assert_kind(socket.recv_from(&mut [0]), &[ErrorKind::WouldBlock]);
        assert!(start.elapsed() >= limit);
        socket.set_read_timeout(None).unwrap();
        assert_eq!(socket.read_timeout().unwrap(), None);
        socket.send_to(&[1], socket.local_addr().unwrap()).unwrap();
        assert_eq!(socket.recv(&mut [0]).unwrap(), 1);
    });
}

#[test]
fn udp_options() {
    green(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_ttl(100).unwrap();
        assert_eq!(socket.ttl().unwrap(), 100);
        assert!(!socket.broadcast().unwrap());
        socket.set_broadcast(true).unwrap();
        assert!(socket.broadcast().unwrap());
        socket.set_multicast_ttl_v4(42).unwrap();
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 42);
        socket.set_multicast_loop_v4(false).unwrap();
        assert!(!socket.multicast_loop_v4().unwrap());
        let unicast = Ipv4Addr::LOCALHOST;
        assert!(
            socket
                .join_multicast_v4(&unicast, &Ipv4Addr::UNSPECIFIED)
                .is_err()
        );
        assert!(
            socket
                .leave_multicast_v4(&unicast, &Ipv4Addr::UNSPECIFIED)
                .is_err()
        );

        let Ok(socket) = UdpSocket::bind("[::1]:0") else {
            return eprintln!("no IPv6 here: skipped");
        };
        socket.set_multicast_loop_v6(false).unwrap();
        assert!(!socket.multicast_loop_v6().unwrap());
        assert!(socket.join_multicast_v6(&Ipv6Addr::LOCALHOST, 0).is_err());
        assert!(socket.leave_multicast_v6(&Ipv6Addr::LOCALHOST, 0).is_err());
    });
}

// ── Addresses

fn addresses(what: impl ToSocketAddrs) -> Vec<SocketAddr> {
    what.to_socket_addrs().unwrap().collect()
}

#[test]
fn everything_that_is_an_address() {
    green(|| {
        let (four, six) = (Ipv4Addr::new(77, 88, 21, 11), Ipv6Addr::LOCALHOST);
        let v4 = SocketAddrV4::new(four, 80);
        let v6 = SocketAddrV6::new(six, 80, 0, 0);
        let (a, b) = (SocketAddr::V4(v4), SocketAddr::V6(v6));
        assert_eq!(addresses(v4), [a]);
        assert_eq!(addresses(v6), [b]);
        assert_eq!(addresses(a), [a]);
        assert_eq!(addresses((four, 80)), [a]);
        assert_eq!(addresses((six, 80)), [b]);
        assert_eq!(addresses((IpAddr::V4(four), 80)), [a]);
        assert_eq!(addresses(("77.88.21.11", 80)), [a]);
        assert_eq!(addresses(("::1", 80)), [b]);
        assert_eq!(addresses((String::from("::1"), 80)), [b]);
        assert_eq!(addresses("77.88.21.11:80"), [a]);
        assert_eq!(addresses("[::1]:80"), [b]);
        assert_eq!(addresses("::1:80"), [b]);
        assert_eq!(addresses(String::from("77.88.21.11:80")), [a]);
        assert_eq!(addresses(&[a, b][..]), [a, b]);
        let by_reference: &SocketAddr = &a;
        assert_eq!(addresses(by_reference), [a]);
    });
}

#[test]
fn host_names_are_looked_up() {
    green(|| {
        for found in [addresses("localhost:23"), addresses(("localhost", 23))] {
            assert!(!found.is_empty());
            assert!(
                found
                    .iter()
                    .all(|one| one.ip().is_loopback() && one.port() == 23)
            );
        }
    });
}

#[test]
fn one_name_looked_up_by_many_at_once() {
    green(|| {
        let askers: Vec<_> = (0..100_u16)
            .map(|port| thread::spawn(move || (port, addresses(("localhost", port)))))
            .collect();
        for asker in askers {
            let (port, found) = asker.join().unwrap();
            assert!(!found.is_empty());
            assert!(
                found
                    .iter()
                    .all(|one| one.ip().is_loopback() && one.port() == port)
            );
        }
    });
}

#[test]
fn what_is_no_address_is_an_error_in_stds_words() {
    green(|| {
        for text in [
            "",
            "1200::AB00:1234::2552:7777:1313:34300",
            "localhost",
            "localhost:http",
            "localhost:65536",
            "no such host:80",
            "nul\0byte:80",
        ] {
            let ours = text.to_socket_addrs().map(drop).unwrap_err();
            let theirs = std::net::ToSocketAddrs::to_socket_addrs(text)
                .map(drop)
                .unwrap_err();
            assert_eq!(ours.kind(), theirs.kind(), "{text}");
            assert_eq!(ours.to_string(), theirs.to_string(), "{text}");
        }
    });
}

// ── Shape

#[test]
fn debug_is_stds() {
    for_each_family(|any| {
        let listener = TcpListener::bind(any).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let socket = UdpSocket::bind(any).unwrap();
        let (address, fd) = (listener.local_addr().unwrap(), listener.as_raw_fd());
        let expected = format!("TcpListener {{ addr: {address}, fd: {fd} }}");
        assert_eq!(format!("{listener:?}"), expected);
        let expected = format!("Incoming {{ listener: {expected} }}");
        assert_eq!(format!("{:?}", listener.incoming()), expected);
        let (own, fd) = (client.local_addr().unwrap(), client.as_raw_fd());
        let expected = format!("TcpStream {{ addr: {own}, peer: {address}, fd: {fd} }}");
        assert_eq!(format!("{client:?}"), expected);
        let (address, fd) = (socket.local_addr().unwrap(), socket.as_raw_fd());
        assert_eq!(
            format!("{socket:?}"),
            format!("UdpSocket {{ addr: {address}, fd: {fd} }}")
        );
    });
}

#[test]
fn the_types_have_stds_traits() {
    fn socket<T>()
    where
        T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + Debug,
        T: AsFd + AsRawFd + FromRawFd + IntoRawFd + From<OwnedFd> + Into<OwnedFd>,
    {
    }
    socket::<TcpStream>();
    socket::<TcpListener>();
    socket::<UdpSocket>();

    fn stream<T: Read + Write>() {}
    stream::<TcpStream>();
    stream::<&TcpStream>();

    fn convertible<T: From<U>, U: From<T>>() {}
    convertible::<TcpStream, std::net::TcpStream>();
    convertible::<TcpListener, std::net::TcpListener>();
    convertible::<UdpSocket, std::net::UdpSocket>();

    fn endless<T: Iterator<Item = std::io::Result<TcpStream>> + std::iter::FusedIterator>() {}
    endless::<sylvan::net::Incoming<'static>>();
}

#[test]
fn through_std_and_back() {
    for_each_family(|any| {
        let (mut client, server) = pair(any);
        let std_server = std::net::TcpStream::from(server);
        let fd = TcpStream::from(std_server).into_raw_fd();
        // SAFETY: the descriptor was just given to us.
        let mut server = unsafe { TcpStream::from_raw_fd(fd) };
        client.write_all(b"still here").unwrap();
        drop(client);
        let mut text = String::new();
        server.read_to_string(&mut text).unwrap();
        assert_eq!(text, "still here");

        let listener = TcpListener::from(std::net::TcpListener::bind(any).unwrap());
        let address = listener.local_addr().unwrap();
        let acceptor = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"welcome").unwrap();
        });
        let mut client = TcpStream::connect(address).unwrap();
        text.clear();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "welcome");
        acceptor.join().unwrap();
    });
}
