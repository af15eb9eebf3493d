//! The connection as hyper sees it: polled, on the driver's green thread.
//!
//! An attempt that would have to wait leaves its ticket in the [`Link`], whose driver asks for news of it before it
//! parks. So no waker is involved.

use std::cell::RefCell;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::rt::ReadBufCursor;
use rustls::ServerConnection;

use super::link::Link;

pub(super) struct Wire(pub(super) Rc<Link>);

/// The most that is read at once.
const READ: usize = 64 << 10;

/// Of what is not longer, one copy is cheaper than a list of pieces for the kernel.
const SHORT: usize = 4 << 10;

thread_local! {
    /// Where a read goes before it goes to hyper, whose buffers are not initialised, and where short pieces are joined.
    /// Nothing suspends while it is borrowed.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into_boxed_slice());
}

impl hyper::rt::Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        BUFFER.with_borrow_mut(|buffer| {
            let most = into.remaining().min(buffer.len());
            let buffer = &mut buffer[..most];
            let amount = match &mut *self.0.session.borrow_mut() {
                None => ready!(poll(self.0.read(buffer)))?,
                Some(session) => ready!(poll(read_tls(session, &self.0, buffer)))?,
            };
            into.put_slice(&buffer[..amount]);
            Poll::Ready(Ok(()))
        })
    }
}

impl hyper::rt::Write for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        poll(match &mut *self.0.session.borrow_mut() {
            None => self.0.write_pieces(pieces),
            Some(session) => write_tls(session, &self.0, pieces),
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll(match &mut *self.0.session.borrow_mut() {
            None => Ok(()),
            Some(session) => flush_tls(session, &self.0),
        })
    }

    /// Asked for when all is written. Nothing to do: the driver closes the connection itself, or the handler does.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn poll<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

impl Link {
    /// What is there; `WouldBlock`, and a ticket, if nothing is.
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.stream.try_read(buffer)? {
            Ok(amount) => {
                self.has_read(amount);
                Ok(amount)
            }
            Err(ticket) => {
                self.would_read(ticket);
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }

    fn write_pieces(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let total: usize = pieces.iter().map(|piece| piece.len()).sum();
        if pieces.len() < 2 || total > SHORT {
            return self.write(pieces);
        }
        BUFFER.with_borrow_mut(|joined| {
            let mut end = 0;
            for piece in pieces {
                joined[end..end + piece.len()].copy_from_slice(piece);
                end += piece.len();
            }
            self.write(&[IoSlice::new(&joined[..end])])
        })
    }

    fn write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.stream.try_write(pieces)? {
            Ok(amount) => {
                self.has_written();
                Ok(amount)
            }
            Err(ticket) => {
                self.would_write(ticket);
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }
}

/// The link as rustls reads and writes it.
struct Raw<'link>(&'link Link);

impl io::Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl io::Write for Raw<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write(&[IoSlice::new(data)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn read_tls(session: &mut ServerConnection, link: &Link, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match session.reader().read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
        session.read_tls(&mut Raw(link))?;
        let processed = session.process_new_packets();
        // Its part of the handshake, or what it has against the peer. If there is no room now, a later flush
        // finds it.
        match flush_tls(session, link) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
        };
    }
}

/// Takes no more than what is on its way: a full buffer of rustls' is written first.
fn write_tls(
    session: &mut ServerConnection,
    link: &Link,
    pieces: &[IoSlice<'_>],
) -> io::Result<usize> {
    flush_tls(session, link)?;
    let amount = session.writer().write_vectored(pieces)?;
    match flush_tls(session, link) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(amount),
    }
}

fn flush_tls(session: &mut ServerConnection, link: &Link) -> io::Result<()> {
    while session.wants_write() {
        session.write_tls(&mut Raw(link))?;
    }
    Ok(())
}
