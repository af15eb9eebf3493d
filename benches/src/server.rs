//! An HTTP server of one OS thread on bare epoll, which gives the same answer to every request, at once
//! or after a while. It is the limit of the hello, and the site that the crawl clients fetch.

use crate::BUFFER;
use crate::epoll::{EDGE, Epoll, Event, READ, WRITE};
use crate::fetch::request_length;
use crate::slots::Slots;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// What is answered.
pub struct Site {
    /// All the bytes of a response.
    pub answer: Vec<u8>,
    /// How long it takes.
    pub delay: Duration,
}

/// Serves `site` for ever, on an address that `announce` is told.
///
/// # Errors
///
/// If it cannot listen, or epoll fails.
pub fn serve(site: Site, address: SocketAddr, announce: fn(SocketAddr)) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    announce(listener.local_addr()?);
    Server {
        site,
        listener,
        connections: Slots::new(),
        later: VecDeque::new(),
        accepted: 0,
    }
    .run()
}

struct Server {
    site: Site,
    listener: TcpListener,
    connections: Slots<Connection>,
    /// Whom to answer when. All wait equally long, so they come in order.
    later: VecDeque<(Instant, u64, u64)>,
    accepted: u64,
}

struct Connection {
    stream: TcpStream,
    /// Tells a connection from another that had the same descriptor.
    number: u64,
    input: Vec<u8>,
    /// How many bytes of answers are still to be written; the answers are all alike.
    to_write: usize,
    /// The client asked for the connection to end with this answer.
    last: bool,
}

const LISTENER: u64 = u64::MAX;

impl Server {
    fn run(mut self) -> io::Result<()> {
        let mut epoll = Epoll::new()?;
        epoll.add(&self.listener, READ, LISTENER)?;
        loop {
            let limit = self
                .later
                .front()
                .map(|(due, ..)| due.saturating_duration_since(Instant::now()));
            let events: Vec<Event> = epoll.wait(limit)?.collect();
            for event in events {
                if event.token == LISTENER {
                    self.accept(&epoll)?;
                } else if self.attend(event).is_err() {
                    self.connections.remove(event.token);
                }
            }
            self.answer_those_due();
        }
    }

    fn accept(&mut self, epoll: &Epoll) -> io::Result<()> {
        while let Ok((stream, _)) = self.listener.accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            self.accepted += 1;
            let fd = stream.as_raw_fd();
            let connection = Connection {
                stream,
                number: self.accepted,
                input: Vec::with_capacity(BUFFER),
                to_write: 0,
                last: false,
            };
            let token = self.connections.insert(connection, &fd);
            epoll.add(&fd, READ | WRITE | EDGE, token)?;
        }
        Ok(())
    }

    /// Does what the connection is ready for. An error means that it is to be closed.
    fn attend(&mut self, Event { token, ended }: Event) -> io::Result<()> {
        let Some(connection) = self.connections.get(token) else {
            return Ok(());
        };
        connection.write(&self.site.answer)?;
        let requests = connection.read(ended)?;
        for _ in 0..requests {
            if self.site.delay.is_zero() {
                connection.to_write += self.site.answer.len();
            } else {
                let due = Instant::now() + self.site.delay;
                self.later.push_back((due, token, connection.number));
            }
        }
        connection.write(&self.site.answer)
    }

    fn answer_those_due(&mut self) {
        while let Some(&(due, token, number)) = self.later.front() {
            if due > Instant::now() {
                return;
            }
            self.later.pop_front();
            let connection = self.connections.get(token);
            let Some(connection) = connection.filter(|it| it.number == number) else {
                continue;
            };
            connection.to_write += self.site.answer.len();
            if connection.write(&self.site.answer).is_err() {
                self.connections.remove(token);
            }
        }
    }
}

impl Connection {
    /// Reads what there is and returns how many requests it was.
    fn read(&mut self, ended: bool) -> io::Result<u64> {
        let mut requests = 0;
        let mut buffer = [0; BUFFER];
        let mut full = true;
        // A read that is not full has taken all there was, unless this was the end.
        while full || ended {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    full = count == BUFFER;
                    self.input.extend_from_slice(&buffer[..count]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            while let Some(length) = request_length(&self.input)? {
                self.last |= wants_close(&self.input[..length]);
                self.input.drain(..length);
                requests += 1;
            }
        }
        Ok(requests)
    }

    fn write(&mut self, answer: &[u8]) -> io::Result<()> {
        while self.to_write > 0 {
            let rest = (self.to_write - 1) % answer.len() + 1;
            match self.stream.write(&answer[answer.len() - rest..]) {
                Ok(count) => self.to_write -= count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            if self.to_write == 0 && self.last {
                return Err(ErrorKind::ConnectionAborted.into());
            }
        }
        Ok(())
    }
}

fn wants_close(request: &[u8]) -> bool {
    const CLOSE: &[u8] = b"connection: close";
    request
        .windows(CLOSE.len())
        .any(|window| window.eq_ignore_ascii_case(CLOSE))
}
