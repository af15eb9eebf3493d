//! A request's way to its response: one hop after the other, each over a connection that is kept or new.

use std::sync::Arc;

use ureq_proto::http::{HeaderMap, HeaderValue, Method, Request, Response as Head, Uri, header};
use url::{Position, Url};

use super::body::Body;
use super::deadlines::Budget;
use super::decode::{ACCEPTED, Decoder};
use super::dial::{dial, port};
use super::error::{Error, Phase, shown};
use super::exchange::{After, Exchange, Moment};
use super::incoming::Incoming;
use super::pool::{Lease, Place, Slot};
use super::proxy::basic;
use super::record::Record;
use super::redirect;
use super::request::Prepared;
use super::response::{Hop, Response, content_length};
use super::session::Shared;
use super::trace::{What, count};

pub(super) fn send(session: &Arc<Shared>, mut request: Prepared) -> Result<Response, Error> {
    complete_headers(session, &mut request)?;
    let mut record = Record::start(session, &request.method, request.url.clone());
    let mut budget = Budget::start(request.settings.deadlines);
    let mut history = Vec::new();
    loop {
        let hop = Sending {
            session,
            request: &mut request,
            budget: &mut budget,
            record: &mut record,
        };
        let (head, after, lease) = match hop.run() {
            Ok(received) => received,
            Err(error) => {
                record.failed(&error);
                return Err(error);
            }
        };
        let (mut head, ()) = head.into_parts();
        if session.keeps_cookies {
            session.cookies.receive(&request.url, &head.headers);
        }
        let next = redirect::target(&request.url, head.status, &head.headers);
        let next = next.filter(|_| is_followed(&mut request, head.status));
        record.note_head(head.status, next.is_some());
        let mut incoming = Incoming::new(after, lease, budget, record);

        let Some(next) = next else {
            let length = content_length(&head.headers);
            let body = match request.settings.decompresses {
                true => Decoder::new(incoming, &mut head.headers),
                false => Decoder::Plain(incoming),
            };
            return Ok(Response {
                status: head.status,
                version: head.version,
                headers: head.headers,
                history,
                length,
                body,
                cap: request.settings.cap,
                has_read: 0,
            });
        };
        incoming.drain();
        record = incoming.into_record();
        if history.len() >= request.settings.redirects {
            let error = Error::TooManyRedirects(Box::new(next));
            record.begin_hop(&request.url);
            record.failed(&error);
            return Err(error);
        }
        count(&session.counters.redirects);
        record.tell(What::Redirected {
            status: head.status,
            to: &next,
        });
        history.push(Hop {
            status: head.status,
            url: request.url.clone(),
            headers: head.headers,
        });
        follow(&mut request, head.status, next);
        record.begin_hop(&request.url);
    }
}

/// Are redirects followed at all, and can the request be sent again as this one wants it?
fn is_followed(request: &mut Prepared, status: ureq_proto::http::StatusCode) -> bool {
    let keeps_body = redirect::method(status, &request.method) == request.method;
    request.settings.redirects > 0 && (!keeps_body || request.body.rewind())
}

fn follow(request: &mut Prepared, status: ureq_proto::http::StatusCode, next: Url) {
    let method = redirect::method(status, &request.method);
    if method != request.method {
        request.method = method;
        request.body = Body::default();
        redirect::forget_body(&mut request.headers);
    }
    redirect::forget_secrets(&mut request.headers, &request.url, &next);
    request.url = next;
}

/// The session's headers and those that follow from the body, where the request does not say otherwise.
fn complete_headers(session: &Shared, request: &mut Prepared) -> Result<(), Error> {
    let own = std::mem::take(&mut request.headers);
    let defaults = &session.headers;
    let headers = &mut request.headers;
    headers.reserve(own.len() + defaults.len() + 2);
    for (name, value) in defaults {
        if !own.contains_key(name) {
            headers.append(name, value.clone());
        }
    }
    headers.extend(own);
    // Part of a compressed body could not be decompressed.
    let wants_part = headers.contains_key(header::RANGE);
    if request.settings.decompresses && !wants_part {
        let accepted = || HeaderValue::from_static(ACCEPTED);
        headers
            .entry(header::ACCEPT_ENCODING)
            .or_insert_with(accepted);
    }
    complete_body_headers(request)
}

/// How long the body is, is said once. What the caller says of it must be true: a server that believes something else
/// takes the rest of the body for the next request.
fn complete_body_headers(request: &mut Prepared) -> Result<(), Error> {
    let headers = &mut request.headers;
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
        check_coding(headers, !request.body.is_none())?;
        headers.insert(
            header::TRANSFER_ENCODING,
            HeaderValue::from_static("chunked"),
        );
        return Ok(());
    }
    if headers.contains_key(header::CONTENT_LENGTH) {
        return check_length(headers, &request.body);
    }
    let usually_has_one = [Method::POST, Method::PUT, Method::PATCH].contains(&request.method);
    if request.body.is_none() {
        if usually_has_one {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        return Ok(());
    }
    match request.body.length() {
        Some(length) => headers.insert(header::CONTENT_LENGTH, length.into()),
        None => headers.insert(
            header::TRANSFER_ENCODING,
            HeaderValue::from_static("chunked"),
        ),
    };
    Ok(())
}

/// Chunks are the only coding there is here, and need a body.
fn check_coding(headers: &HeaderMap, has_body: bool) -> Result<(), Error> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| {
        coding
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"chunked")
    };
    if has_body && codings.next().is_some_and(is_chunked) && codings.next().is_none() {
        return Ok(());
    }
    let message = match has_body {
        true => "Transfer-Encoding can only be chunked",
        false => "Transfer-Encoding without a body",
    };
    Err(Error::Request(message.to_owned()))
}

/// It is the body's own length where that is known; where it is not, the body must not be left out.
fn check_length(headers: &HeaderMap, body: &Body) -> Result<(), Error> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let digits = lengths.next().and_then(|length| length.to_str().ok());
    let said = digits.and_then(|digits| digits.trim().parse::<u64>().ok());
    let is_true = match body.length() {
        Some(length) => said == Some(length),
        None => said.is_some_and(|said| said > 0),
    };
    if is_true && lengths.next().is_none() {
        return Ok(());
    }
    let message = "Content-Length is not the length of the body";
    Err(Error::Request(message.to_owned()))
}

/// One hop.
struct Sending<'a> {
    session: &'a Arc<Shared>,
    request: &'a mut Prepared,
    budget: &'a mut Budget,
    record: &'a mut Record,
}

impl Sending<'_> {
    fn run(mut self) -> Result<(Head<()>, After, Lease), Error> {
        let slot = self.slot()?;
        let kept = slot.kept(self.record.mark(), self.may_be_repeated());
        let mut lease = match kept {
            Some(connection) => {
                count(&self.session.counters.reused);
                slot.with(connection)
            }
            None => self.dial(slot)?,
        };
        loop {
            self.record.tell(What::Connected {
                peer: lease.connection.peer(),
                reused: lease.connection.is_reused(),
            });
            let (result, may_repeat) = self.exchange(&mut lease)?;
            match result {
                Ok((head, after)) => return Ok((head, after, lease)),
                Err(error) if !may_repeat => return Err(error),
                Err(_) => {}
            }
            count(&self.session.counters.repeated);
            self.record.tell(What::Repeated);
            // Another kept one may be closed, too.
            lease = self.dial(lease.into_slot())?;
        }
    }

    fn slot(&mut self) -> Result<Slot, Error> {
        let url = &self.request.url;
        let place = Place {
            is_https: url.scheme() == "https",
            host: url.host_str().unwrap_or_default().to_owned(),
            port: port(url),
        };
        let limit = self.budget.limit(Phase::Pool);
        let slot = self.session.pool.slot(place, limit)?;
        let waited = self.record.lap();
        self.budget.waited(waited);
        self.record.timings.pool = waited;
        Ok(slot)
    }

    fn dial(&mut self, slot: Slot) -> Result<Lease, Error> {
        slot.make_room();
        let connection = dial(self.session, &self.request.url, self.budget, self.record)?;
        Ok(slot.with(connection))
    }

    /// The result, and, if it is an error, whether the request may be sent once more.
    #[allow(clippy::type_complexity, reason = "it is taken apart where it is used")]
    fn exchange(
        &mut self,
        lease: &mut Lease,
    ) -> Result<(Result<(Head<()>, After), Error>, bool), Error> {
        let head = self.head()?;
        let is_reused = lease.connection.is_reused();
        let record = &mut *self.record;
        let mut tell = |moment| match moment {
            Moment::Sent => {
                record.timings.send = record.lap();
                record.tell(What::Sent);
            }
            Moment::FirstByte => {
                record.timings.first_byte = record.lap();
                record.tell(What::FirstByte);
            }
        };
        let mut exchange = Exchange {
            connection: &mut lease.connection,
            body: &mut self.request.body,
            budget: self.budget,
            origin: origin(self.session, &self.request.url),
            tell: &mut tell,
            has_sent: false,
            has_received: false,
            is_cut: false,
            unsent: 0,
        };
        let result = exchange.run(head);
        let (has_sent, has_received) = (exchange.has_sent, exchange.has_received);
        let is_stale = is_reused && !has_received && matches!(result, Err(Error::Io(_)));
        let may_repeat = is_stale
            && self.request.settings.repeats
            && (!has_sent || is_idempotent(&self.request.method))
            && self.request.body.rewind();
        Ok((result, may_repeat))
    }

    /// If the connection turns out to be closed, is the request certain to be sent once more?
    fn may_be_repeated(&self) -> bool {
        let Prepared {
            method,
            body,
            settings,
            ..
        } = &*self.request;
        settings.repeats && is_idempotent(method) && body.is_in_memory()
    }

    /// What ureq-proto is given: without the cookies of the hop before, and without credentials in the address.
    fn head(&self) -> Result<Request<()>, Error> {
        let mut headers = self.request.headers.clone();
        let url = &self.request.url;
        self.add_cookies(&mut headers)?;
        if !url.username().is_empty() {
            let decoded = |text| percent_decoded(text);
            let password = url.password().map(decoded);
            let user = decoded(url.username());
            let value = || basic(&user, password.as_deref());
            headers.entry(header::AUTHORIZATION).or_insert_with(value);
        }
        if let Some(proxy) = self.session.proxy_for(url)
            && let Some(authorization) = proxy.authorization()
            && url.scheme() == "http"
        {
            headers.insert(header::PROXY_AUTHORIZATION, authorization);
        }
        let mut request = Request::new(());
        *request.method_mut() = self.request.method.clone();
        *request.uri_mut() = uri(url)?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn add_cookies(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        if !self.session.keeps_cookies {
            return Ok(());
        }
        let Some(cookies) = self.session.cookies.for_request(&self.request.url) else {
            return Ok(());
        };
        let mut cookies = cookies.into_bytes();
        if let Some(own) = headers.get(header::COOKIE) {
            cookies.extend_from_slice(b"; ");
            cookies.extend_from_slice(own.as_bytes());
        }
        let cookies = HeaderValue::try_from(cookies)
            .map_err(|error| Error::Request(format!("a cookie: {error}")))?;
        headers.insert(header::COOKIE, cookies);
        Ok(())
    }
}

/// By RFC 9110, 9.2.2: doing it twice is as doing it once.
fn is_idempotent(method: &Method) -> bool {
    [
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::TRACE,
        Method::PUT,
        Method::DELETE,
    ]
    .contains(method)
}

/// What a proxy has to be told when it is to fetch the page itself.
fn origin(session: &Shared, url: &Url) -> Option<String> {
    let asks_proxy = url.scheme() == "http" && session.proxy_for(url).is_some();
    let host = || &url[Position::BeforeHost..Position::AfterPort];
    asks_proxy.then(|| format!("http://{}", host()))
}

/// Without credentials, and without the fragment, which is nobody's business.
fn uri(url: &Url) -> Result<Uri, Error> {
    let parts = [
        url.scheme(),
        "://",
        &url[Position::BeforeHost..Position::AfterPort],
        &url[Position::BeforePath..Position::AfterQuery],
    ];
    Uri::try_from(parts.concat())
        .map_err(|error| Error::Request(format!("{}: {error}", shown(url))))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let escaped = behind
            .get(..2)
            .filter(|_| first == b'%')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(first));
        rest = escaped.map_or(behind, |_| &behind[2..]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
