//! One connection of a session: plain or TLS, its buffers, and how long its next waits may take.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::deadlines::Limit;
use super::error::Error;
use super::tls::tls_error;
use crate::net::TcpStream;
use crate::time::Instant;

pub(super) struct Connection {
    stream: Stream,
    /// What has been read and not been used is `input[begin..end]`.
    input: Vec<u8>,
    begin: usize,
    end: usize,
    /// The last read took all the room there was.
    was_filled: bool,
    /// Where the protocol writes before it is sent.
    output: Vec<u8>,
    peer: Option<SocketAddr>,
    is_reused: bool,
}

enum Stream {
    Plain(Wire),
    Tls(Box<StreamOwned<ClientConnection, Wire>>),
}

/// The head of a response and a small page in one read.
const SMALLEST_INPUT: usize = 16 * 1024;
/// A large body in few system calls.
const LARGEST_INPUT: usize = 64 * 1024;
const SMALLEST_OUTPUT: usize = 4 * 1024;
/// A head of a response, or a line among its chunks, that is longer than that is refused.
const LONGEST_UNUSED: usize = 256 * 1024;
/// A header longer than that cannot be sent.
const LARGEST_OUTPUT: usize = 1024 * 1024;

impl Connection {
    pub(super) fn plain(stream: TcpStream) -> Connection {
        let peer = stream.peer_addr().ok();
        let limit = None;
        Connection::over(Stream::Plain(Wire { stream, limit }), peer)
    }

    fn over(stream: Stream, peer: Option<SocketAddr>) -> Connection {
        Connection {
            stream,
            input: Vec::new(),
            begin: 0,
            end: 0,
            was_filled: false,
            output: Vec::new(),
            peer,
            is_reused: false,
        }
    }

    /// Shakes hands over a connection on which nothing is under way.
    pub(super) fn secure(
        self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        limit: Limit,
    ) -> Result<Connection, Error> {
        let mut wire = match self.stream {
            Stream::Plain(wire) => wire,
            Stream::Tls(_) => return Err(Error::Request("TLS within TLS".to_owned())),
        };
        wire.limit = Some(limit);
        let mut tls = ClientConnection::new(config, name).map_err(tls_error)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut wire).map_err(handshake_error)?;
        }
        let stream = StreamOwned::new(tls, wire);
        Ok(Connection::over(Stream::Tls(Box::new(stream)), self.peer))
    }

    /// The next waits end then.
    pub(super) fn set_limit(&mut self, limit: Limit) {
        let wire = match &mut self.stream {
            Stream::Plain(wire) => wire,
            Stream::Tls(tls) => &mut tls.sock,
        };
        wire.limit = Some(limit);
    }

    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Has it served a request before this one?
    pub(super) fn is_reused(&self) -> bool {
        self.is_reused
    }

    pub(super) fn note_reuse(&mut self) {
        self.is_reused = true;
    }

    /// Could the next request go over it? One look, which never suspends; `lightly`: none, if the kernel would have told
    /// by the hub's last turn that there is something to see.
    pub(super) fn is_open(&self, lightly: bool) -> bool {
        let is_silent = match &self.stream {
            Stream::Plain(_) => true,
            Stream::Tls(tls) => tls.conn.wants_read(),
        };
        let tcp = self.tcp();
        is_silent
            && self.unused().is_empty()
            && (lightly && tcp.was_silent() || tcp.is_open_and_silent())
    }

    /// Is there something to read, the end of the stream, or an error? It waits for nobody. What TLS says on its own account it
    /// hears, and does not count.
    pub(super) fn has_spoken(&mut self) -> bool {
        let tls = match &mut self.stream {
            Stream::Plain(wire) => return !wire.stream.is_open_and_silent(),
            Stream::Tls(tls) => tls,
        };
        loop {
            match tls.conn.process_new_packets() {
                Ok(state) if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() => {}
                _ => return true,
            }
            let mut stream = &tls.sock.stream;
            if stream.is_open_and_silent() {
                return false;
            }
            // It is there, so this does not wait, and no limit can pass.
            match tls.conn.read_tls(&mut stream) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(1..) => {}
                Ok(0) | Err(_) => return true,
            }
        }
    }

    /// What has been read and not been used.
    pub(super) fn unused(&self) -> &[u8] {
        &self.input[self.begin..self.end]
    }

    pub(super) fn use_up(&mut self, amount: usize) {
        self.begin += amount;
        debug_assert!(self.begin <= self.end);
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
        }
    }

    /// Reads more, and suspends until there is some. No bytes are the end of the stream. Whoever can use nothing of all
    /// that is there already is not given more and more: that is an error.
    pub(super) fn read_more(&mut self) -> Result<usize, Error> {
        if self.unused().len() > LONGEST_UNUSED {
            let message = "a head or a line that is too long";
            return Err(Error::Protocol(message.to_owned()));
        }
        self.make_room();
        let room = &mut self.input[self.end..];
        let amount = match &mut self.stream {
            Stream::Plain(wire) => wire.read(room),
            Stream::Tls(tls) => tls.read(room),
        }?;
        self.was_filled = amount == room.len();
        self.end += amount;
        Ok(amount)
    }

    /// Room to read into. Twice as much as there was, where nothing is left of it, or where the last read filled it and
    /// more calls would be needed than must be.
    fn make_room(&mut self) {
        if self.begin > 0 {
            self.input.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        let is_worth_more = self.was_filled && self.input.len() < LARGEST_INPUT;
        if self.end == self.input.len() || is_worth_more {
            let larger = (2 * self.input.len()).max(SMALLEST_INPUT);
            self.input.resize(larger, 0);
        }
    }

    /// Lets go of memory that the next request is not likely to need.
    pub(super) fn rest(&mut self) {
        if self.input.len() > SMALLEST_INPUT {
            self.input = Vec::new();
        }
        self.was_filled = false;
        if self.output.len() > SMALLEST_OUTPUT {
            self.output = Vec::new();
        }
    }

    /// A place to write to; larger if it was too small.
    pub(super) fn output(&mut self, at_least: usize) -> &mut [u8] {
        let length = at_least.max(SMALLEST_OUTPUT);
        if self.output.len() < length {
            self.output.resize(length, 0);
        }
        &mut self.output
    }

    /// A larger place than the last; an error if that is absurd.
    pub(super) fn enlarge_output(&mut self) -> Result<(), Error> {
        let larger = 2 * self.output.len();
        if larger > LARGEST_OUTPUT {
            return Err(Error::Request("a header is too long".to_owned()));
        }
        self.output(larger);
        Ok(())
    }

    /// Sends the beginning of what was written to [`output`](Self::output).
    pub(super) fn send(&mut self, amount: usize) -> Result<(), Sent> {
        let output = &self.output[..amount];
        let mut sent = 0;
        while sent < output.len() {
            let result = match &mut self.stream {
                Stream::Plain(wire) => wire.write(&output[sent..]),
                // All that TLS has taken is on its way before it takes more.
                Stream::Tls(tls) => tls.write(&output[sent..]),
            };
            match result {
                Ok(0) => return Err(Sent::failed(sent, io::ErrorKind::WriteZero.into())),
                Ok(amount) => sent += amount,
                Err(error) => return Err(Sent::failed(sent, error)),
            }
        }
        match &mut self.stream {
            Stream::Plain(_) => Ok(()),
            Stream::Tls(tls) => tls.flush().map_err(|error| Sent::failed(sent, error)),
        }
    }

    fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(wire) => &wire.stream,
            Stream::Tls(tls) => &tls.sock.stream,
        }
    }
}

/// Why not all could be sent, and whether some of it was.
pub(super) struct Sent {
    pub(super) some: bool,
    pub(super) error: Error,
}

impl Sent {
    fn failed(sent: usize, error: io::Error) -> Sent {
        Sent {
            some: sent > 0,
            error: error.into(),
        }
    }
}

/// A failed handshake that is neither a deadline nor a broken connection is the other side's or ours.
fn handshake_error(error: io::Error) -> Error {
    match Error::from(error) {
        Error::Io(error) => Error::Tls(error),
        other => other,
    }
}

/// A TCP stream whose every wait ends with the limit that is set. The error says whose limit it was.
struct Wire {
    stream: TcpStream,
    limit: Option<Limit>,
}

impl Wire {
    fn left(&self) -> Result<Option<std::time::Duration>, Error> {
        self.limit.map_or(Ok(None), Limit::left)
    }

    /// An error of the stream's time-out is the limit's. Where there is no end, it is the kernel that has given up.
    fn explain(&self, error: io::Error) -> io::Error {
        match (error.kind(), self.limit) {
            (io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut, Some(limit))
                if limit.at() != Instant::NEVER =>
            {
                limit.passed().into()
            }
            _ => error,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.stream.limit_reads(self.left()?);
            match self.stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(|error| self.explain(error)),
            }
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        loop {
            self.stream.limit_writes(self.left()?);
            match self.stream.write(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(|error| self.explain(error)),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
