//! A server that ends well: on SIGTERM or ^C it accepts nobody any more, gives the connections in progress some time
//! to finish, and cancels those that have not by then. It answers each line in upper case.
//!
//! Run it: `cargo run --release --example graceful_shutdown [PORT [SECONDS]]`, then `nc 127.0.0.1 7000`.

use std::io::{self, BufRead, BufReader, Write};
use std::process::ExitCode;
use std::time::Duration;

use sylvan::net::{TcpListener, TcpStream};
use sylvan::signal::{Signal, Signals};
use sylvan::sync::mpsc::{self, RecvTimeoutError, Sender};
use sylvan::sync::{Arc, Mutex};
use sylvan::thread::{self, JoinHandle};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u16| arguments.next().map_or(Ok(default), |text| text.parse());
    let (Ok(port), Ok(grace)) = (number(7000), number(10)) else {
        eprintln!("usage: graceful_shutdown [PORT [SECONDS]]");
        return ExitCode::from(2);
    };
    match sylvan::run(|| serve(port, Duration::from_secs(grace.into()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("graceful_shutdown: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(port: u16, grace: Duration) -> io::Result<()> {
    // Before anybody can know the address: from here on no signal ends the program by itself.
    let signals = Signals::new([Signal::TERMINATE, Signal::INTERRUPT])?;
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("listening on {}", listener.local_addr()?);

    let connections = Arc::new(Mutex::new(Vec::new()));
    // Each connection has a sender: when the last one is gone the receiver knows.
    let (alive, all_have_ended) = mpsc::channel();
    let accepting = {
        let connections = Arc::clone(&connections);
        thread::spawn(move || accept(&listener, &connections, &alive))
    };

    let signal = signals.wait()?;
    // A second signal has its usual effect: who is in a hurry need not wait.
    drop(signals);
    // With its green thread the listener goes: connecting is refused from now on.
    accepting.cancel();
    // It has no result to tell of, being cancelled.
    let _ = accepting.join();
    let connections = std::mem::take(&mut *connections.lock().unwrap());
    let count = connections.iter().filter(|it| !it.is_finished()).count();
    println!("{signal}: accepting no more, {count} connections in progress");

    if all_have_ended.recv_timeout(grace) == Err(RecvTimeoutError::Timeout) {
        connections.iter().for_each(JoinHandle::cancel);
    }
    // Those that were cancelled are joined as well: they unwind before they have ended.
    let ends = connections.into_iter().map(JoinHandle::join);
    let cancelled = ends.filter(Result::is_err).count();
    println!("{cancelled} were cancelled");
    Ok(())
}

fn accept(
    listener: &TcpListener,
    connections: &Mutex<Vec<JoinHandle<()>>>,
    alive: &Sender<Nothing>,
) {
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => {
                let alive = alive.clone();
                let connection = thread::spawn(move || {
                    let _alive = alive;
                    if let Err(error) = answer(&stream) {
                        eprintln!("a connection failed: {error}");
                    }
                });
                let mut connections = connections.lock().unwrap();
                connections.retain(|connection| !connection.is_finished());
                connections.push(connection);
            }
            // Too many open files, for example: those who are connected go on, and will free some.
            Err(error) => {
                eprintln!("cannot accept: {error}");
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// Never sent: the channel only tells of its senders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Nothing {}

fn answer(stream: &TcpStream) -> io::Result<()> {
    for line in BufReader::new(stream).lines() {
        let mut answer = line?.to_uppercase();
        answer.push('\n');
        let mut writer = stream;
        writer.write_all(answer.as_bytes())?;
    }
    Ok(())
}
