//! What hyper calls for each request, and what it gets: a future of the answer's head, and its body.
//!
//! The handler is spawned on the driver's own hub. Then the driver lets all others run once, *inside* of the poll: most handlers
//! are done by then, and their answer is written by the same poll that has read the request. Those that are not
//! stir the driver when they are.

use std::cell::RefCell;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};

use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::service::Service;
use hyper::{Method, StatusCode};

use super::body::{Body, BodyWriter, Kind};
use super::exchange::{Answer, Exchange, Outline, Piece};
use super::link::Link;
use super::listen::Limits;
use super::request::RequestBody;
use super::respond::failed;
use super::{Request, Respond, Response};
use crate::rt;
use crate::server::Crew;
use crate::thread;

/// hyper's service of one connection.
pub(super) struct Reception<H> {
    pub(super) link: Rc<Link>,
    pub(super) limits: Limits,
    pub(super) host: Rc<Host<H>>,
    /// A body was not read to its end.
    pub(super) has_unread: Arc<AtomicBool>,
    /// Who waits for the connection itself.
    pub(super) upgrading: Upgrading,
}

/// Who answers, and who is told if that fails.
pub(super) struct Host<H> {
    pub(super) handler: Arc<H>,
    pub(super) crew: Arc<Crew>,
}

pub(super) type Upgrading = Rc<RefCell<Option<Rc<Exchange>>>>;

impl<H, R> Service<hyper::Request<Incoming>> for Reception<H>
where
    H: Fn(Request) -> R + Send + Sync + 'static,
    R: Respond,
{
    type Response = hyper::Response<Outgoing>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: hyper::Request<Incoming>) -> Answering {
        self.link.begin_request();
        let request = request.map(|incoming| {
            RequestBody::new(incoming, self.link.peer, &self.limits, &self.has_unread)
        });
        let exchange = Exchange::new(self.link.clone(), request);
        let answering = Answering {
            exchange: exchange.clone(),
            upgrading: self.upgrading.clone(),
            is_new: true,
            is_over: false,
        };
        if exchange.is_too_long() {
            exchange.give_answer(refusal(StatusCode::PAYLOAD_TOO_LARGE));
            return answering;
        }
        let (promise, host) = (Promise(exchange), self.host.clone());
        let task = thread::spawn_local(move || answer(&promise, &host));
        answering.exchange.set_handler(task);
        answering
    }
}

/// The handler's thread.
fn answer<H, R>(promise: &Promise, host: &Host<H>)
where
    H: Fn(Request) -> R,
    R: Respond,
{
    let Some(request) = promise.0.take_request() else {
        return;
    };
    let told = Told::of(&request);
    let call = AssertUnwindSafe(|| (host.handler)(request).respond());
    let response = match panic::catch_unwind(call) {
        Ok(response) => response,
        Err(payload) if rt::is_cancellation(payload.as_ref()) => panic::resume_unwind(payload),
        Err(payload) => {
            host.crew.tell_of_panic(&told, payload);
            promise
                .0
                .give_answer(refusal(StatusCode::INTERNAL_SERVER_ERROR));
            return;
        }
    };
    let rest = AssertUnwindSafe(|| give(&promise.0, response));
    if let Err(payload) = panic::catch_unwind(rest) {
        if rt::is_cancellation(payload.as_ref()) {
            panic::resume_unwind(payload);
        }
        host.crew.tell_of_panic(&told, payload);
    }
}

/// Gives the driver a response, piece by piece if it has no whole body.
fn give(exchange: &Exchange, response: Response) {
    let (head, Body(kind)) = response.into_parts();
    let mut head = hyper::Response::from_parts(head, ());
    match kind {
        Kind::Whole(bytes) => {
            correct_length(head.headers_mut(), bytes.len() as u64);
            exchange.give_answer(Answer {
                head,
                body: Outline::Whole(bytes),
            });
        }
        Kind::Pieces { length, write } => {
            if let Some(length) = length {
                correct_length(head.headers_mut(), length);
            }
            exchange.give_answer(Answer {
                head,
                body: Outline::Pieces(length),
            });
            let mut writer = BodyWriter::new(exchange);
            let written = write(&mut writer).and_then(|()| writer.send_rest());
            // An error: nobody wants it any more.
            let _ = exchange.give_piece(match written {
                Ok(()) => Piece::End,
                Err(error) => Piece::Failure(error),
            });
        }
        Kind::Upgrade(_) if head.status() != StatusCode::SWITCHING_PROTOCOLS => {
            // It would wait for a connection that goes on without it.
            let status = head.status();
            let error = format!("it wants to upgrade its connection with the status {status}");
            give(
                exchange,
                failed(&*Box::<dyn Error + Send + Sync>::from(error)),
            );
        }
        Kind::Upgrade(converse) => {
            exchange.give_answer(Answer {
                head,
                body: Outline::Upgrade,
            });
            if let Some(upgraded) = exchange.upgraded() {
                converse(upgraded);
            }
        }
    }
}

/// hyper believes a header that the handler has set: the client would take what follows for a part of the body, or the other way
/// round. Without it, hyper writes the right one. (That of no body at all it corrects itself, and in the answer to a HEAD it
/// is meant.)
fn correct_length(headers: &mut HeaderMap, length: u64) {
    let mut claims = headers.get_all(CONTENT_LENGTH).iter();
    let is_right = match (claims.next(), claims.next()) {
        (None, _) => true,
        (Some(claim), None) => claim.as_bytes() == length.to_string().as_bytes(),
        (Some(_), Some(_)) => false,
    };
    if length > 0 && !is_right {
        headers.remove(CONTENT_LENGTH);
    }
}

fn refusal(status: StatusCode) -> Answer {
    let mut head = hyper::Response::new(());
    *head.status_mut() = status;
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        let close = HeaderValue::from_static("close");
        head.headers_mut().insert(CONNECTION, close);
    }
    Answer {
        head,
        body: Outline::Whole(Bytes::new()),
    }
}

/// Whose handler it is, for a report.
struct Told(Method, Option<PathAndQuery>);

impl Told {
    fn of(request: &Request) -> Told {
        let target = request.uri().path_and_query();
        Told(request.method().clone(), target.cloned())
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.1.as_ref().map_or("", PathAndQuery::as_str);
        write!(f, "{} {target}", self.0)
    }
}

/// The handler's side of an exchange. If its thread ends too soon (it was cancelled, has panicked, or got no stack), the driver
/// is told.
struct Promise(Rc<Exchange>);

impl Drop for Promise {
    fn drop(&mut self) {
        if !self.0.is_answered() {
            self.0.give_answer(refusal(StatusCode::SERVICE_UNAVAILABLE));
        }
        self.0.end();
    }
}

/// The head of an answer, once the handler has one. Dropped before: the client has left.
pub(super) struct Answering {
    exchange: Rc<Exchange>,
    upgrading: Upgrading,
    is_new: bool,
    is_over: bool,
}

impl Future for Answering {
    type Output = Result<hyper::Response<Outgoing>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::take(&mut self.is_new) && !self.exchange.is_answered() {
            rt::yield_now();
        }
        let Some(Answer { head, body }) = self.exchange.take_answer() else {
            // The handler stirs the driver.
            return Poll::Pending;
        };
        self.is_over = true;
        if let Outline::Upgrade = body {
            *self.upgrading.borrow_mut() = Some(self.exchange.clone());
        }
        let exchange = self.exchange.clone();
        Poll::Ready(Ok(head.map(|()| Outgoing { exchange, body })))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if !self.is_over {
            self.exchange.abandon();
        }
    }
}

/// The body of an answer.
pub(super) struct Outgoing {
    exchange: Rc<Exchange>,
    /// What is left of it.
    body: Outline,
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let empty = Outline::Whole(Bytes::new());
        if let Outline::Whole(bytes) = &mut self.body {
            let bytes = std::mem::take(bytes);
            return Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))));
        }
        match self.exchange.take_piece() {
            Piece::Nothing => Poll::Pending,
            Piece::Data(bytes) => {
                if let Outline::Pieces(Some(left)) = &mut self.body {
                    *left = left.saturating_sub(bytes.len() as u64);
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Piece::Failure(error) => {
                self.body = empty;
                Poll::Ready(Some(Err(error)))
            }
            Piece::End => {
                self.body = empty;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Outline::Whole(bytes) => bytes.is_empty(),
            Outline::Upgrade => true,
            Outline::Pieces(left) => *left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Outline::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Outline::Pieces(Some(length)) => SizeHint::with_exact(*length),
            Outline::Pieces(None) => SizeHint::default(),
            Outline::Upgrade => SizeHint::with_exact(0),
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        match self.body {
            // All of it has gone out; if the handler has more, that is refused.
            Outline::Pieces(Some(0)) => self.exchange.close(),
            Outline::Pieces(_) => self.exchange.abandon(),
            // Of an upgrade the handler goes on.
            Outline::Upgrade | Outline::Whole(_) => self.exchange.release(),
        }
        self.exchange.link().end_request();
    }
}
