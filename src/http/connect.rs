//! A connection to one of a name's addresses, as RFC 8305 has it ("happy eyeballs").
//!
//! The attempts take turns between the families, beginning with the first address's. Each is a green thread of a
//! scope; the next one starts when the last has failed, or after a quarter of a second. The first to
//! succeed wins; the scope cancels the others and waits for them, which takes them no time. The deadlines
//! around bound all of them, as they are inherited.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::RecvTimeoutError;

use crate::net::TcpStream;
use crate::sync::mpsc;
use crate::thread;
use crate::time::{Duration, Instant};

/// The head start of an address before the next one; RFC 8305's recommendation.
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to one of the addresses; fails with the last one's error, or `TimedOut` if the time is over.
pub(super) fn connect(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    match addresses {
        [] => Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        )),
        [address] => attempt(*address, deadline),
        _ => race(&interleaved(addresses), deadline),
    }
}

fn race(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter();
    let mut failure = io::Error::from(io::ErrorKind::TimedOut);
    let (outcome, outcomes) = mpsc::channel();
    thread::scope(|scope| {
        let mut attempts = Vec::with_capacity(addresses.len());
        let mut under_way = 0;
        let winner = loop {
            if let Some(&address) = waiting.next() {
                let outcome = outcome.clone();
                attempts.push(scope.spawn(move || {
                    // An error: another was faster, and nobody listens any more.
                    let _ = outcome.send(attempt(address, deadline));
                }));
                under_way += 1;
            } else if under_way == 0 {
                break Err(failure);
            }
            let left = deadline.duration_since(Instant::now());
            let patience = match waiting.len() {
                0 => left,
                _ => left.min(HEAD_START),
            };
            match outcomes.recv_timeout(patience) {
                Ok(Ok(stream)) => break Ok(stream),
                Ok(Err(error)) => {
                    failure = error;
                    under_way -= 1;
                }
                Err(RecvTimeoutError::Timeout) if left > patience => {}
                Err(_) => break Err(io::ErrorKind::TimedOut.into()),
            }
        };
        attempts.iter().for_each(thread::ScopedJoinHandle::cancel);
        winner
    })
}

fn attempt(address: SocketAddr, deadline: Instant) -> io::Result<TcpStream> {
    if deadline == Instant::NEVER {
        return TcpStream::connect(address);
    }
    let left = deadline.duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    TcpStream::connect_timeout(&address, left)
}

/// Alternating families, each in its own order.
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let prefers_v6 = addresses[0].is_ipv6();
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .iter()
        .partition(|address| address.is_ipv6() == prefers_v6);
    let mut second = second.into_iter();
    let mut order = Vec::with_capacity(addresses.len());
    for address in first {
        order.push(address);
        order.extend(second.next());
    }
    order.extend(second);
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    fn v4(port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port).into()
    }

    #[test]
    fn families_take_turns() {
        let v6 = |port: u16| SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
        let order = interleaved(&[v6(1), v6(2), v6(3), v4(1), v4(2)]);
        assert_eq!(order, [v6(1), v4(1), v6(2), v4(2), v6(3)]);
        let order = interleaved(&[v4(1), v4(2), v6(1)]);
        assert_eq!(order, [v4(1), v6(1), v4(2)]);
    }

    #[test]
    fn an_address_that_refuses_is_passed_over_at_once() {
        let gone = TcpListener::bind(v4(0)).unwrap().local_addr().unwrap();
        let listener = TcpListener::bind(v4(0)).unwrap();
        let there = listener.local_addr().unwrap();
        let stream = crate::rt::run(|| connect(&[gone, there], Instant::NEVER)).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), there);
    }

    #[test]
    fn all_refuse() {
        let gone = || TcpListener::bind(v4(0)).unwrap().local_addr().unwrap();
        let error = crate::rt::run(|| connect(&[gone(), gone()], Instant::NEVER)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn no_address_is_an_error() {
        let error = connect(&[], Instant::NEVER).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    /// An address that does not answer: its listener's queue is full, so that the kernel drops what comes.
    #[test]
    fn an_address_that_is_silent_holds_nobody_up() {
        let (_full, _clients, silent) = silent_address();
        let listener = TcpListener::bind(v4(0)).unwrap();
        let there = listener.local_addr().unwrap();
        let in_time = Instant::after(Duration::from_secs(60));
        let stream = crate::rt::run(|| connect(&[silent, there], in_time)).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), there);
    }

    #[test]
    fn the_time_is_over_while_none_answers() {
        let (_full, _clients, silent) = silent_address();
        let soon = Instant::after(Duration::from_millis(5));
        for addresses in [&[silent][..], &[silent, silent]] {
            let error = crate::rt::run(|| connect(addresses, soon)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
    }

    fn silent_address() -> (TcpListener, Vec<std::net::TcpStream>, SocketAddr) {
        let listener = TcpListener::bind(v4(0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        // Until one is not answered any more.
        let brief = Duration::from_millis(100);
        while let Ok(client) = std::net::TcpStream::connect_timeout(&address, brief) {
            clients.push(client);
            assert!(clients.len() < 10_000, "the queue has no end");
        }
        (listener, clients, address)
    }
}
