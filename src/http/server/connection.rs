//! One connection, from its beginning to its end, in the green thread that drives it.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, ready};

use hyper::server::conn::http1;
use rustls::{ServerConfig, ServerConnection};

use super::answer::{Host, Reception};
use super::link::{Late, Link};
use super::listen::Limits;
use super::upgrade::Upgraded;
use super::wire::Wire;
use super::{Request, Respond};
use crate::future;
use crate::net::TcpStream;
use crate::server::Crew;
use crate::time::{self, Duration};

/// What all connections of a server have in common.
pub(super) struct Config<H> {
    pub(super) handler: Arc<H>,
    pub(super) limits: Limits,
    pub(super) tls: Option<Arc<ServerConfig>>,
}

/// How the driving came to its end.
enum End {
    Done,
    Late(Late),
    /// The client has broken it off.
    Cut,
    Failed(hyper::Error),
}

/// How much of a body, or of an answer, hyper keeps.
const BUFFER: usize = 64 << 10;

/// How many headers hyper takes if it is not told.
const HEADERS: usize = 100;

/// How long, and how much, is read of what nobody wants any more.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1 << 20;

/// Serves one connection. An error: the peer broke it off, or the rules.
pub(super) fn serve<H, R>(
    stream: TcpStream,
    peer: SocketAddr,
    crew: &Arc<Crew>,
    config: &Config<H>,
) -> io::Result<()>
where
    H: Fn(Request) -> R + Send + Sync + 'static,
    R: Respond,
{
    stream.set_nodelay(true)?;
    let session = match &config.tls {
        None => None,
        Some(tls) => Some(ServerConnection::new(tls.clone()).map_err(io::Error::other)?),
    };
    if !stream.watch() {
        return Err(io::Error::other("the connection is watched already"));
    }
    let link = Rc::new(Link::new(stream, session, peer, config.limits));
    // No destructor waits for the handlers: what must wait catches the unwinding first.
    let driven = panic::catch_unwind(AssertUnwindSafe(|| drive(&link, crew, config)));
    link.end_handlers();
    driven.unwrap_or_else(|payload| panic::resume_unwind(payload))
}

fn drive<H, R>(link: &Rc<Link>, crew: &Arc<Crew>, config: &Config<H>) -> io::Result<()>
where
    H: Fn(Request) -> R + Send + Sync + 'static,
    R: Respond,
{
    let has_unread = Arc::new(AtomicBool::new(false));
    let upgrading = Rc::new(RefCell::new(None));
    let reception = Reception {
        link: link.clone(),
        limits: config.limits,
        host: Rc::new(Host {
            handler: config.handler.clone(),
            crew: crew.clone(),
        }),
        has_unread: has_unread.clone(),
        upgrading: upgrading.clone(),
    };
    let limits = &config.limits;
    let mut connection = protocol(limits).serve_connection(Wire(link.clone()), reception);
    let mut stop = Stop {
        crew,
        number: None,
        is_told: false,
    };
    let mut is_done = false;
    let end = future::drive(
        |context| {
            if stop.number.is_none() {
                stop.number = Some(crew.tell_of_stop(context.waker().clone()));
            }
            if crew.is_stopping() && !stop.is_told {
                stop.is_told = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
            if let Some(late) = link.late() {
                return Poll::Ready(End::Late(late));
            }
            if link.is_cut() {
                return Poll::Ready(End::Cut);
            }
            loop {
                match ready!(Pin::new(&mut connection).poll(context)) {
                    Err(error) => return Poll::Ready(End::Failed(error)),
                    // To a client that has offered another protocol it is done before all is written. Asked once more, it
                    // is done when all is.
                    Ok(()) if !is_done => is_done = true,
                    Ok(()) => return Poll::Ready(End::Done),
                }
            }
        },
        || link.pause(),
    );
    let exchange = upgrading.borrow_mut().take();
    if let (End::Done, Some(exchange)) = (&end, exchange) {
        let early = connection.into_parts().read_buf;
        let session = link.session.borrow_mut().take();
        exchange.hand_over(Upgraded::new(early, link.stream.clone(), session));
        exchange.wait_for_end();
        return Ok(());
    }
    // With it the handler of a request that is not answered is cancelled.
    drop(connection);
    close(link, end, has_unread.load(Ordering::Relaxed))
}

fn protocol(limits: &Limits) -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        // The driver keeps the time.
        .header_read_timeout(None)
        .half_close(limits.half_close)
        .max_header_size(limits.max_head)
        .max_buf_size(limits.max_head.max(BUFFER));
    if limits.max_headers != HEADERS {
        // Any number but its own costs hyper an allocation for each request.
        protocol.max_headers(limits.max_headers);
    }
    protocol
}

/// The driver's place among those who are told that the server stops.
struct Stop<'crew> {
    crew: &'crew Crew,
    number: Option<u64>,
    is_told: bool,
}

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.crew.tell_no_more(number);
        }
    }
}

fn close(link: &Link, end: End, has_unread: bool) -> io::Result<()> {
    match end {
        End::Done => {
            part(link, has_unread);
            Ok(())
        }
        End::Late(Late::Idle) => {
            part(link, false);
            Ok(())
        }
        End::Late(Late::Head) => {
            tell_late(link);
            part(link, true);
            Err(late("its head"))
        }
        // It takes nothing, so it cannot be told.
        End::Late(Late::Write) => Err(late("taking its answer")),
        End::Cut => Err(io::ErrorKind::ConnectionReset.into()),
        End::Failed(error) if error.is_parse() => {
            // hyper has told it already.
            part(link, true);
            Err(io::Error::new(io::ErrorKind::InvalidData, error))
        }
        End::Failed(error) if error.is_incomplete_message() => {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, error))
        }
        End::Failed(error) => Err(io::Error::new(kind_of(&error), error)),
    }
}

fn late(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        format!("the client was too slow with {what}"),
    )
}

/// The kind of what the connection met, if it met something.
fn kind_of(error: &hyper::Error) -> io::ErrorKind {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return error.kind();
        }
        source = cause.source();
    }
    io::ErrorKind::Other
}

/// An error: it does not hear it.
fn tell_late(link: &Link) {
    if link.session.borrow().is_none() {
        let answer =
            b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let _ = time::timeout(LINGER, || (&*link.stream).write_all(answer));
    }
}

/// Ends the connection so that the peer gets all that was written. While unread bytes are there, to close it would reset it,
/// and the peer might lose the answer with that.
fn part(link: &Link, has_unread: bool) {
    say_goodbye(link);
    let mut stream = &*link.stream;
    // An error, here and below: it is gone already.
    if stream.shutdown(Shutdown::Write).is_err() || link.has_ended() {
        return;
    }
    // A request behind the last one that is answered was not read.
    if !has_unread && !matches!(stream.try_read(&mut [0]), Ok(Ok(1..))) {
        return;
    }
    let _ = time::timeout(LINGER, || {
        let mut nobody_wants = [0; 4096];
        let mut left = LINGER_BYTES;
        while let Ok(length @ 1..) = stream.read(&mut nobody_wants) {
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    });
}

/// Over TLS, that this is the end, and no attack.
fn say_goodbye(link: &Link) {
    if let Some(session) = &mut *link.session.borrow_mut() {
        session.send_close_notify();
        let mut goodbye = Vec::new();
        while session.wants_write() && session.write_tls(&mut goodbye).is_ok() {}
        let _ = time::timeout(LINGER, || (&*link.stream).write_all(&goodbye));
    }
}
