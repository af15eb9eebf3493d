//! Ten thousand connections to an echo server in the same process: nothing is lost.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::process::Command;
use std::sync::Mutex;

use sylvan::net::{SocketAddr, TcpListener, TcpStream};
use sylvan::runtime::Runtime;
use sylvan::thread;

const CONNECTIONS: usize = 10_000;
const MESSAGES: u32 = 100;
/// With both ends in one process, which is twice the work, the number of connections is the point.
const FEW_MESSAGES: u32 = 10;
/// Small stacks: every connection has two green threads, one at each end.
const STACK_SIZE: usize = 64 << 10;
/// Descriptors for the test itself, and the other test that runs beside it.
const SPARE: u64 = 60;
/// Each test needs most of the descriptors that the process may have.
static DESCRIPTORS: Mutex<()> = Mutex::new(());

/// Set in the child process to where it finds the server.
const SERVER: &str = "SYLVAN_TEST_SERVER";

#[test]
fn ten_thousand_connections_from_another_process_lose_nothing() {
    let connections = scaled(CONNECTIONS);
    if let Ok(address) = std::env::var(SERVER) {
        let address = address.parse().expect("the parent gives an address");
        raise_descriptor_limit(connections as u64 + SPARE);
        return run(|| talk_all(address, connections, MESSAGES));
    }
    let _alone = DESCRIPTORS.lock();
    let needed = connections as u64 + SPARE;
    let limit = raise_descriptor_limit(needed);
    if limit < needed {
        println!("skipped: {needed} descriptors are needed, the hard limit is {limit}");
        return;
    }
    let echoed = run(|| {
        let (listener, address) = listen();
        let mut child = Command::new(std::env::current_exe().expect("a test knows its file"))
            .args(["--exact", "--nocapture"])
            .arg("ten_thousand_connections_from_another_process_lose_nothing")
            .env(SERVER, address.to_string())
            .spawn()
            .expect("this test can start itself");
        let echoed = serve(&listener, connections).expect("the server lives to its end");
        assert!(child.wait().expect("a child can be waited for").success());
        echoed
    });
    assert_eq!(echoed, bytes_of(connections, MESSAGES));
}

#[test]
fn both_ends_of_ten_thousand_connections_in_one_process_lose_nothing() {
    let _alone = DESCRIPTORS.lock();
    let wanted = scaled(CONNECTIONS);
    let limit = raise_descriptor_limit(2 * wanted as u64 + SPARE);
    let connections = wanted.min((limit.saturating_sub(SPARE) / 2) as usize);
    println!("{connections} of {wanted} connections: the limit of descriptors is {limit}");
    let echoed = run(|| {
        let (listener, address) = listen();
        let server = thread::spawn(move || serve(&listener, connections));
        talk_all(address, connections, FEW_MESSAGES);
        server.join().unwrap().expect("the server lives to its end")
    });
    assert_eq!(echoed, bytes_of(connections, FEW_MESSAGES));
}

fn run<T>(f: impl FnOnce() -> T) -> T {
    let runtime = Runtime::builder().stack_size(STACK_SIZE).build();
    runtime.expect("a runtime can be made").run(f)
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let address = listener
        .local_addr()
        .expect("a bound listener has an address");
    (listener, address)
}

fn bytes_of(connections: usize, messages: u32) -> u64 {
    connections as u64 * u64::from(messages) * 8
}

/// All clients connect before any of them goes on, so that all connections exist at once.
fn talk_all(address: SocketAddr, connections: usize, messages: u32) {
    let streams: Vec<_> = (0..connections)
        .map(|_| thread::spawn(move || TcpStream::connect(address)))
        .collect();
    let streams: Vec<_> = streams
        .into_iter()
        .map(|stream| stream.join().unwrap().expect("the server accepts"))
        .collect();
    let clients: Vec<_> = (0..)
        .zip(streams)
        .map(|(number, stream)| thread::spawn(move || talk(stream, number, messages)))
        .collect();
    for client in clients {
        let outcome = client.join().unwrap();
        outcome.expect("a connection lives to its end");
    }
}

/// Accepts so many connections and returns how many bytes it echoed on all of them.
fn serve(listener: &TcpListener, connections: usize) -> io::Result<u64> {
    let handlers: Vec<_> = (0..connections)
        .map(|_| {
            let (stream, _) = listener.accept()?;
            Ok(thread::spawn(move || echo(stream)))
        })
        .collect::<io::Result<_>>()?;
    handlers
        .into_iter()
        .map(|handler| handler.join().expect("no handler panics"))
        .sum()
}

fn echo(mut stream: TcpStream) -> io::Result<u64> {
    let mut buffer = [0; 256];
    let mut total = 0;
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(total);
        }
        stream.write_all(&buffer[..length])?;
        total += length as u64;
    }
}

/// Sends numbered messages and expects each of them back.
fn talk(mut stream: TcpStream, client: u32, messages: u32) -> io::Result<()> {
    for message in 0..messages {
        let sent = [client.to_le_bytes(), message.to_le_bytes()].concat();
        stream.write_all(&sent)?;
        let mut received = [0; 8];
        stream.read_exact(&mut received)?;
        assert_eq!(received[..], sent);
    }
    stream.shutdown(Shutdown::Write)?;
    assert_eq!(stream.read(&mut [0])?, 0, "the server has closed its side");
    Ok(())
}

fn scaled(count: usize) -> usize {
    let percent = std::env::var("SYLVAN_STRESS_SCALE")
        .ok()
        .and_then(|text| text.parse::<usize>().ok());
    (count * percent.unwrap_or(100) / 100).max(1)
}

/// Raises the limit of open descriptors, to `needed` if this process may (then it is root), else as far
/// as the hard limit, and returns it.
fn raise_descriptor_limit(needed: u64) -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the calls get a valid place, and change this process's limit only.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        let enough = libc::rlimit {
            rlim_cur: needed,
            rlim_max: limit.rlim_max.max(needed),
        };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const enough) == 0 {
            return needed;
        }
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
    }
    limit.rlim_cur
}
