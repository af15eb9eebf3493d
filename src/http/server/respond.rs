//! [`Respond`]: what a handler may return.

use std::error::Error;
use std::io;

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::Response;
use super::body::Body;
use super::request::Failure;

/// What a handler may return: a response, or what is made into one.
///
/// * A [`Response`], whose body is a [`Body`] or what is made into one.
/// * Text, which is sent as `text/plain`; bytes, as `application/octet-stream`.
/// * A [`StatusCode`], or a pair of one and anything here. Nothing at all is an empty response.
/// * A `Result`. An error of a boxed kind is logged, and its client told no more than the status 500. So are `io::Error`s, but for those that
///   a [`RequestBody`](super::RequestBody) itself has given: they are the statuses 400, 408 and 413.
///
/// ```
/// use std::io;
/// use sylvan::http::server::{Request, Respond, StatusCode};
///
/// fn shout(request: Request) -> io::Result<String> {
///     Ok(request.into_body().text()?.to_uppercase())
/// }
///
/// let response = (StatusCode::NOT_FOUND, "no such page").respond();
/// assert_eq!(response.status(), 404);
/// assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
/// ```
pub trait Respond {
    /// The response.
    fn respond(self) -> Response;
}

impl<B: Into<Body>> Respond for hyper::Response<B> {
    fn respond(self) -> Response {
        self.map(Into::into)
    }
}

impl Respond for () {
    fn respond(self) -> Response {
        Response::new(Body::empty())
    }
}

impl Respond for &'static str {
    fn respond(self) -> Response {
        typed("text/plain; charset=utf-8", self.into())
    }
}

impl Respond for String {
    fn respond(self) -> Response {
        typed("text/plain; charset=utf-8", self.into())
    }
}

impl Respond for Vec<u8> {
    fn respond(self) -> Response {
        typed("application/octet-stream", self.into())
    }
}

impl Respond for StatusCode {
    fn respond(self) -> Response {
        (self, ()).respond()
    }
}

impl<T: Respond> Respond for (StatusCode, T) {
    fn respond(self) -> Response {
        let mut response = self.1.respond();
        *response.status_mut() = self.0;
        response
    }
}

impl<T: Respond, E: Respond> Respond for Result<T, E> {
    fn respond(self) -> Response {
        match self {
            Ok(value) => value.respond(),
            Err(error) => error.respond(),
        }
    }
}

impl Respond for io::Error {
    fn respond(self) -> Response {
        match Failure::status_of(&self) {
            Some(status) => status.respond(),
            None => failed(&self),
        }
    }
}

impl Respond for hyper::http::Error {
    fn respond(self) -> Response {
        failed(&self)
    }
}

impl Respond for Box<dyn Error + Send + Sync> {
    fn respond(self) -> Response {
        match self.downcast::<io::Error>() {
            Ok(error) => error.respond(),
            Err(error) => failed(&*error),
        }
    }
}

/// Tells of it, and the client no more than that.
pub(super) fn failed(error: &(dyn Error + 'static)) -> Response {
    log::warn!(target: "sylvan", "the handler of a request failed: {error}");
    StatusCode::INTERNAL_SERVER_ERROR.respond()
}

fn typed(content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
