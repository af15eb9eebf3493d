//! Event loops by hand.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;
use sylvan_benches::arguments::{Arguments, refuse};
use sylvan_benches::epoll::{EDGE, Epoll, Event, READ};
use sylvan_benches::fetch::{request, response_lengths};
use sylvan_benches::outcome::{Meter, Outcome};
use sylvan_benches::pages::{Order, Pages};
use sylvan_benches::server::{self, Site};
use sylvan_benches::slots::Slots;
use sylvan_benches::{BUFFER, HELLO, program};

pub fn echo(arguments: &Arguments) -> Outcome {
    let address = program::listen_address(arguments);
    let end = match arguments.word("via", "epoll") {
        "epoll" => echo_by_epoll(address),
        "mio" => echo_by_mio(address),
        _ => refuse("--via is epoll or mio"),
    };
    refuse(&format!("the server ended: {end:?}"))
}

pub fn hello(arguments: &Arguments) -> Outcome {
    let site = Site {
        answer: HELLO.to_vec(),
        delay: Duration::ZERO,
    };
    let end = server::serve(site, program::listen_address(arguments), program::announce);
    refuse(&format!("the server ended: {end:?}"))
}

/// The token of what is no connection.
const LISTENER: u64 = u64::MAX;

fn echo_by_epoll(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    program::announce(listener.local_addr()?);
    let mut epoll = Epoll::new()?;
    epoll.add(&listener, READ, LISTENER)?;
    let mut connections = Slots::new();
    let mut accepting = false;
    loop {
        if accepting {
            while let Ok((stream, _)) = listener.accept() {
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let fd = stream.as_raw_fd();
                epoll.add(&fd, READ | EDGE, connections.insert(stream, &fd))?;
            }
            accepting = false;
        }
        for Event { token, ended } in epoll.wait(None)? {
            if token == LISTENER {
                accepting = true;
            } else if let Some(stream) = connections.get(token)
                && echo_what_there_is(stream, ended).is_err()
            {
                connections.remove(token);
            }
        }
    }
}

/// A read that is not full has taken all there was, unless this was the end. An error means that the
/// connection is to be closed.
fn echo_what_there_is<S: Read + Write>(stream: &mut S, ended: bool) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        let length = match stream.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            length => length?,
        };
        // What was sent fits into the buffers that it came out of, so this does not wait.
        stream.write_all(&buffer[..length])?;
        if length < BUFFER && !ended {
            return Ok(());
        }
    }
}

fn echo_by_mio(address: SocketAddr) -> io::Result<()> {
    let mut listener = mio::net::TcpListener::bind(address)?;
    program::announce(listener.local_addr()?);
    let mut poll = mio::Poll::new()?;
    let mut events = mio::Events::with_capacity(1024);
    let listening = mio::Token(usize::MAX);
    poll.registry()
        .register(&mut listener, listening, mio::Interest::READABLE)?;
    let mut connections = Slots::new();
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == listening {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let token = mio::Token(stream.as_raw_fd() as usize);
                    poll.registry()
                        .register(&mut stream, token, mio::Interest::READABLE)?;
                    let fd = stream.as_raw_fd();
                    connections.insert(stream, &fd);
                }
                continue;
            }
            let token = event.token().0 as u64;
            if let Some(stream) = connections.get(token)
                && echo_what_there_is(stream, event.is_read_closed()).is_err()
            {
                connections.remove(token);
            }
        }
    }
}

pub fn crawl(arguments: &Arguments) -> Outcome {
    let order = Order::of(arguments);
    let server = program::server_address(arguments);
    let pages = Pages::of(&order);
    let meter = Meter::start();
    Crawl {
        order,
        server,
        pages: &pages,
        epoll: Epoll::new().unwrap(),
        fetches: Slots::new(),
        alive: 0,
    }
    .run()
    .unwrap();
    pages.check(&order);
    meter.stop_rate(order.pages)
}

struct Crawl<'a> {
    order: Order,
    server: SocketAddr,
    pages: &'a Pages,
    epoll: Epoll,
    fetches: Slots<Fetch>,
    alive: u64,
}

/// A connection with a request under way.
struct Fetch {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    wanted: Option<(usize, usize)>,
}

impl Crawl<'_> {
    fn run(mut self) -> io::Result<()> {
        for _ in 0..self.order.at_once {
            self.begin(vec![0; 16 << 10])?;
        }
        while self.alive > 0 {
            let events: Vec<Event> = self.epoll.wait(None)?.collect();
            for Event { token, .. } in events {
                self.attend(token)?;
            }
        }
        Ok(())
    }

    /// Fetches another page over a new connection, if there is one left.
    fn begin(&mut self, buffer: Vec<u8>) -> io::Result<()> {
        if !self.pages.take() {
            return Ok(());
        }
        // On the loopback interface to connect is done at once, so it may as well block.
        let mut stream = TcpStream::connect(self.server)?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        stream.write_all(request(self.order.fresh))?;
        let fd = stream.as_raw_fd();
        let fetch = Fetch {
            stream,
            buffer,
            filled: 0,
            wanted: None,
        };
        let token = self.fetches.insert(fetch, &fd);
        self.alive += 1;
        self.epoll.add(&fd, READ | EDGE, token)
    }

    fn attend(&mut self, token: u64) -> io::Result<()> {
        let Some(fetch) = self.fetches.get(token) else {
            return Ok(());
        };
        while let Some(length) = fetch.advance()? {
            self.pages.fetched(length);
            if self.order.fresh || !self.pages.take() {
                let buffer = std::mem::take(&mut fetch.buffer);
                self.fetches.remove(token);
                self.alive -= 1;
                return if self.order.fresh {
                    self.begin(buffer)
                } else {
                    Ok(())
                };
            }
            fetch.again()?;
        }
        Ok(())
    }
}

impl Fetch {
    /// Asks for another page.
    fn again(&mut self) -> io::Result<()> {
        self.filled = 0;
        self.wanted = None;
        self.stream.write_all(request(false))
    }

    /// Reads what there is. Returns the length of the page when all of it is there.
    fn advance(&mut self) -> io::Result<Option<usize>> {
        loop {
            match self.stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
            if self.wanted.is_none() {
                self.wanted = response_lengths(&self.buffer[..self.filled])?;
            }
            if let Some((head, body)) = self.wanted
                && self.filled >= head + body
            {
                return Ok(Some(body));
            }
        }
    }
}
