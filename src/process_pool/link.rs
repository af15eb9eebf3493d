//! One end of the socket between a pool and a process.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::wire::{Assembly, FRAGMENT, Message, Outgoing};
use crate::os::unix::net::UnixStream;
use crate::sync::mpsc::Receiver;

/// See the module's text. One green thread reads, and one writes.
pub(super) struct Link {
    stream: UnixStream,
}

impl Link {
    /// One end, and the other for a child process.
    pub(super) fn pair() -> io::Result<(Link, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Link { stream: ours }, theirs.into()))
    }

    /// Limits each wait for the other side, to read or to write.
    pub(super) fn limit_waits(&self, limit: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(limit)?;
        self.stream.set_write_timeout(limit)
    }

    /// Ends reading and writing, here and on the other side.
    pub(super) fn shut_down(&self) {
        // It fails if the other side has closed it.
        let _closed = self.stream.shutdown(Shutdown::Both);
    }

    /// Suspends until a whole message has come. `None`: the other side has closed, between two messages.
    pub(super) fn next_message(&self, assembly: &mut Assembly) -> io::Result<Option<Message>> {
        loop {
            let message = assembly.next();
            if let Some(message) = message.map_err(|why| invalid(why.0))? {
                return Ok(Some(message));
            }
            match (&self.stream).read(assembly.space())? {
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
        (&self.stream).write_all(&wire)
    }

    /// Writes what comes until nobody can send any more. Messages that wait at the same time take turns, frame by
    /// frame.
    pub(super) fn write_messages(&self, outbox: &Receiver<Outgoing>) -> io::Result<()> {
        let mut waiting = VecDeque::new();
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
            (&self.stream).write_all(&wire)?;
        }
    }
}

impl From<OwnedFd> for Link {
    fn from(fd: OwnedFd) -> Link {
        let stream = fd.into();
        Link { stream }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// The other side broke the protocol.
pub(super) fn invalid(why: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}
