//! One request and the head of its response, over one connection. What is said is ureq-proto's; when to read
//! and write, and how long to wait for it, is decided here.

use std::io::{self, Read};
use std::time::Duration;

use ureq_proto::client::state::{Await100, RecvBody, RecvResponse, SendBody, SendRequest};
use ureq_proto::client::{Await100Result, Call, RecvResponseResult, SendRequestResult};
use ureq_proto::http::{Method, Request, Response, Uri, header};

use super::body::Body;
use super::connection::Connection;
use super::deadlines::Budget;
use super::error::{Error, Phase};
use crate::time;

/// A server that does not answer to `Expect: 100-continue` for so long is sent the body; curl's.
const PATIENCE: Duration = Duration::from_secs(1);
/// A body is sent in pieces of this size.
const PIECE: usize = 16 * 1024;

/// What is to be sent, over what, in what time.
pub(super) struct Exchange<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) body: &'a mut Body,
    pub(super) budget: &'a Budget,
    /// What a proxy is told before the path: scheme, host and port of the server.
    pub(super) origin: Option<String>,
    /// Told of the moments `Sent` and `FirstByte`.
    pub(super) tell: &'a mut dyn FnMut(Moment),
    /// Some of the request was sent.
    pub(super) has_sent: bool,
    /// Some of the response was received.
    pub(super) has_received: bool,
    /// The connection broke while something was sent, or the server has answered and wants no more. What else breaks,
    /// as the body's own source, tells of no answer.
    pub(super) is_cut: bool,
    /// So much of the head stands in the output, to be sent together with the beginning of the body.
    pub(super) unsent: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Sent,
    FirstByte,
}

/// What follows the head of a response.
pub(super) enum After {
    Body(Box<Call<RecvBody>>),
    Nothing { must_close: bool },
}

impl Exchange<'_> {
    pub(super) fn run(&mut self, request: Request<()>) -> Result<(Response<()>, After), Error> {
        let asked = (request.method().clone(), request.uri().clone());
        let mut call = Call::new(request)?;
        call.allow_non_standard_methods(true);
        if !self.body.is_none() {
            call.force_send_body();
        }
        let call = match self.send_request(call.proceed()) {
            Err(error) if self.is_cut => return self.last_word(asked).ok_or(error),
            result => result?,
        };
        (self.tell)(Moment::Sent);
        self.receive(call)
    }

    fn send_request(&mut self, mut call: Call<SendRequest>) -> Result<Call<RecvResponse>, Error> {
        self.write_head(&mut call)?;
        let next = call.proceed()?;
        let next = next.ok_or_else(|| Error::Protocol("the head was not written".to_owned()))?;
        match next {
            SendRequestResult::RecvResponse(call) => {
                self.send(0)?;
                Ok(call)
            }
            SendRequestResult::SendBody(call) => self.send_body(call),
            SendRequestResult::Await100(call) => {
                self.send(0)?;
                match self.await_100(call)? {
                    Await100Result::SendBody(call) => self.send_body(call),
                    Await100Result::RecvResponse(call) => Ok(call),
                }
            }
        }
    }

    /// A server that does not want the body may have said so before it closed the connection. The protocol's state knows
    /// of no response before the end of the request: what is received is that to one without a body.
    fn last_word(&mut self, (method, uri): (Method, Uri)) -> Option<(Response<()>, After)> {
        if !self.has_sent || self.body.is_none() {
            return None;
        }
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::CONTENT_LENGTH, 0)
            .header(header::CONNECTION, "close")
            .body(())
            .ok()?;
        let mut call = Call::new(request).ok()?;
        call.allow_non_standard_methods(true);
        let mut call = call.proceed();
        while !call.can_proceed() {
            // It goes nowhere.
            call.write(self.connection.output(0)).ok()?;
        }
        match call.proceed().ok()?? {
            SendRequestResult::RecvResponse(call) => self.receive(call).ok(),
            _ => None,
        }
    }

    /// Leaves the last part of the head in the output, which usually is all of it.
    fn write_head(&mut self, call: &mut Call<SendRequest>) -> Result<(), Error> {
        loop {
            let origin = self.origin.as_deref().unwrap_or_default();
            let output = self.connection.output(0);
            let room = output.len().saturating_sub(origin.len());
            match call.write(&mut output[..room]) {
                Ok(amount) => {
                    self.unsent = insert_origin(output, amount, origin);
                    self.origin = None;
                }
                Err(ureq_proto::Error::OutputOverflow) => {
                    self.connection.enlarge_output()?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            if call.can_proceed() {
                return Ok(());
            }
            self.send(0)?;
        }
    }

    fn await_100(&mut self, mut call: Call<Await100>) -> Result<Await100Result, Error> {
        // For all of it: a server that says something else first is not waited for any longer.
        let limit = self.budget.limit_for(Phase::Write, Some(PATIENCE));
        self.connection.set_limit(limit);
        while call.can_keep_await_100() {
            match self.connection.read_more() {
                Ok(0) => return Err(closed()),
                Ok(_) => self.note_received(),
                Err(Error::Timeout(Phase::Write)) => break,
                Err(error) => return Err(error),
            }
            // Informational responses may stand before the one that is waited for.
            while call.can_keep_await_100() {
                let unused = self.connection.unused();
                let used = match hint(unused) {
                    Some(length) => length,
                    None => call.try_read_100(unused)?,
                };
                self.connection.use_up(used);
                if used == 0 {
                    break;
                }
            }
        }
        Ok(call.proceed()?)
    }

    fn send_body(&mut self, mut call: Call<SendBody>) -> Result<Call<RecvResponse>, Error> {
        // What comes from elsewhere may be long in coming; and who has taken some of it cannot repeat it.
        if !self.body.is_in_memory() || self.unsent > PIECE / 2 {
            self.send(0)?;
        }
        let mut piece = Vec::new();
        let mut is_first = true;
        while !call.can_proceed() {
            if !std::mem::take(&mut is_first) && self.is_answered()? {
                self.is_cut = true;
                let message = "the server has answered before it had the whole body";
                return Err(Error::Io(io::Error::other(message)));
            }
            let amount = if call.is_chunked() {
                self.chunk(&mut call, &mut piece)?
            } else {
                self.piece(&mut call)?
            };
            self.send(amount)?;
        }
        call.proceed()
            .ok_or_else(|| Error::Protocol("the body was not sent".to_owned()))
    }

    /// Has the server said its last word, so that the rest of the body is for nobody? Informational responses are none.
    /// (RFC 9112, 9.5: who sends a body should watch for that.)
    fn is_answered(&mut self) -> Result<bool, Error> {
        while self.connection.has_spoken() {
            self.note_received();
            if self.connection.read_more()? == 0 {
                return Ok(true);
            }
            while let Some(length) = informational(self.connection.unused()) {
                if length == 0 {
                    // Not all of it has come.
                    return Ok(false);
                }
                self.connection.use_up(length);
            }
            if !self.connection.unused().is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Puts a piece of a body of known length into the output.
    fn piece(&mut self, call: &mut Call<SendBody>) -> Result<usize, Error> {
        let output = &mut self.connection.output(2 * PIECE)[self.unsent..];
        let amount = read_body(self.body, output, self.budget)?;
        if amount == 0 {
            let message = "the body is shorter than its Content-Length";
            return Err(Error::Request(message.to_owned()));
        }
        call.consume_direct_write(amount)?;
        Ok(amount)
    }

    /// Puts a chunk into the output; the empty one at the end.
    fn chunk(&mut self, call: &mut Call<SendBody>, piece: &mut Vec<u8>) -> Result<usize, Error> {
        let output = &mut self.connection.output(2 * PIECE)[self.unsent..];
        let most = call.calculate_max_input(output.len()).min(PIECE);
        piece.resize(most, 0);
        let amount = read_body(self.body, piece, self.budget)?;
        let (used, written) = call.write(&piece[..amount], output)?;
        debug_assert_eq!(used, amount);
        Ok(written)
    }

    /// Sends what is left of the head, and so much that stands behind it.
    fn send(&mut self, amount: usize) -> Result<(), Error> {
        let amount = self.unsent + amount;
        self.unsent = 0;
        if amount == 0 {
            return Ok(());
        }
        self.connection.set_limit(self.budget.limit(Phase::Write));
        let result = self.connection.send(amount);
        self.has_sent |= result.as_ref().map_or_else(|sent| sent.some, |()| true);
        result.map_err(|sent| {
            // One that has answered may well take no more, and leave the connection open.
            let has_spoken = self.connection.has_spoken();
            let is_late = matches!(sent.error, Error::Timeout(Phase::Write));
            self.is_cut = matches!(sent.error, Error::Io(_)) || (is_late && has_spoken);
            sent.error
        })
    }

    fn receive(&mut self, mut call: Call<RecvResponse>) -> Result<(Response<()>, After), Error> {
        let limit = self.budget.limit(Phase::FirstByte);
        self.connection.set_limit(limit);
        let response = loop {
            let unused = self.connection.unused();
            if !unused.is_empty() {
                let (used, response) = call.try_response(unused, false)?;
                self.connection.use_up(used);
                if let Some(response) = response {
                    break response;
                }
                if used > 0 {
                    continue;
                }
            }
            if self.connection.read_more()? == 0 {
                return Err(closed());
            }
            self.note_received();
            // From the first byte on it is the time between two of them that counts.
            self.connection.set_limit(self.budget.limit(Phase::Read));
        };
        let next = call.proceed();
        let next = next.ok_or_else(|| Error::Protocol("no response".to_owned()))?;
        Ok((response, after(next)))
    }

    fn note_received(&mut self) {
        if !self.has_received {
            self.has_received = true;
            (self.tell)(Moment::FirstByte);
        }
    }
}

/// The length of the informational response that stands first there, if it is another one than is asked for; 0 if there
/// is more to come of it. With headers, ureq-proto would take it for the server's last word.
fn hint(unused: &[u8]) -> Option<usize> {
    let status = unused.get(INFORMATIONAL.len()..)?.get(..2)?;
    match status {
        b"00" | b"01" => None,
        _ => informational(unused),
    }
}

/// What every informational response begins with.
const INFORMATIONAL: &[u8] = b"HTTP/1.1 1";

/// The length of the informational response that stands first there; 0 if there is more to come of it.
fn informational(unused: &[u8]) -> Option<usize> {
    const END: &[u8] = b"\r\n\r\n";
    if unused.is_empty()
        || !INFORMATIONAL.starts_with(&unused[..unused.len().min(INFORMATIONAL.len())])
    {
        return None;
    }
    let end = unused.windows(END.len()).position(|bytes| bytes == END);
    Some(end.map_or(0, |end| end + END.len()))
}

fn after(next: RecvResponseResult) -> After {
    match next {
        RecvResponseResult::RecvBody(call) => After::Body(Box::new(call)),
        RecvResponseResult::Redirect(call) => After::Nothing {
            must_close: call.must_close_connection(),
        },
        RecvResponseResult::Cleanup(call) => After::Nothing {
            must_close: call.must_close_connection(),
        },
    }
}

/// `GET /path` becomes `GET http://host/path`, which is how a proxy is asked.
fn insert_origin(output: &mut [u8], amount: usize, origin: &str) -> usize {
    let method = output[..amount].iter().position(|byte| *byte == b' ');
    let (Some(method), false) = (method, origin.is_empty()) else {
        return amount;
    };
    let target = method + 1;
    output.copy_within(target..amount, target + origin.len());
    output[target..target + origin.len()].copy_from_slice(origin.as_bytes());
    amount + origin.len()
}

/// A body that comes from elsewhere may take its time, but not more than there is.
fn read_body(body: &mut Body, buffer: &mut [u8], budget: &Budget) -> Result<usize, Error> {
    let total = budget.total();
    let result = if body.is_in_memory() || total.left()?.is_none() {
        body.read(buffer)
    } else {
        time::timeout_at(total.at(), || body.read(buffer)).map_err(|_elapsed| total.passed())?
    };
    result.map_err(|error| match error.downcast::<Error>() {
        Ok(ours) => ours,
        Err(error) => Error::Request(format!("its body cannot be read: {error}")),
    })
}

pub(super) fn closed() -> Error {
    let message = "closed before the response was complete";
    Error::Io(io::Error::new(io::ErrorKind::UnexpectedEof, message))
}
