//! One end of the socket between a pool and a process.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::wire::{Assembly, FRAGMENT, Message, Outgoing};
use crate::io::{self as door, Io};
use crate::rt::Reason;
use crate::sync::mpsc::Receiver;

/// See the module's text. One green thread reads, and one writes.
pub(super) struct Link {
    io: Io<UnixStream>,
}

impl Link {
    /// One end, and the other for a child process.
    pub(super) fn pair() -> io::Result<(Link, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Link::from(OwnedFd::from(ours)), theirs.into()))
    }

    /// Limits the waits of [`next_message`](Self::next_message).
    pub(super) fn limit_reads(&self, limit: Option<Duration>) {
        self.io.set_read_timeout(limit);
    }

    /// Suspends until a whole message has come. `None`: the other side has closed, between two messages.
    pub(super) fn next_message(&self, assembly: &mut Assembly) -> io::Result<Option<Message>> {
        loop {
            let message = assembly.next();
            if let Some(message) = message.map_err(|why| invalid(why.0))? {
                return Ok(Some(message));
            }
            let space = assembly.space();
            let wanted = space.len();
            let count = self
                .io
                .read_stream(Reason::UnixRead, wanted, |fd| door::receive(fd, space));
            match count? {
                0 if assembly.is_between_messages() => return Ok(None),
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => assembly.advance(count),
            }
        }
    }

    /// Writes one message, whole.
    pub(super) fn write_message(&self, mut message: Outgoing) -> io::Result<()> {
        let mut wire = Vec::new();
        while !message.put_frame(&mut wire) {}
        self.write_all(&wire)
    }

    /// Writes what comes until nobody can send any more. Messages that wait at the same time take turns, frame by
    /// frame.
    pub(super) fn write_messages(&self, outbox: &Receiver<Outgoing>) -> io::Result<()> {
        let mut waiting = std::collections::VecDeque::new();
        let mut wire = Vec::new();
        loop {
            if waiting.is_empty() {
                match outbox.recv() {
                    Ok(message) => waiting.push_back(message),
                    Err(_) => return Ok(()),
                }
            }
            waiting.extend(outbox.try_iter());
            wire.clear();
            while wire.len() < FRAGMENT {
                let Some(mut message) = waiting.pop_front() else {
                    break;
                };
                if !message.put_frame(&mut wire) {
                    waiting.push_back(message);
                }
            }
            self.write_all(&wire)?;
        }
    }

    fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let write = |fd: BorrowedFd<'_>| door::send(fd, bytes);
            let count = self
                .io
                .write_stream(Reason::UnixWrite, bytes.len(), write)?;
            bytes = &bytes[count..];
        }
        Ok(())
    }
}

impl From<OwnedFd> for Link {
    fn from(fd: OwnedFd) -> Link {
        Link {
            io: Io::adopt(fd.into()),
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.get().as_fd()
    }
}

/// The other side broke the protocol.
pub(super) fn invalid(why: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}
