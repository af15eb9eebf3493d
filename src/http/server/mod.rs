//! An HTTP/1.1 server whose handlers are plain blocking functions.
//!
//! A handler takes a [`Request`] and returns what can [`Respond`]. It runs in a green thread of its own: it may sleep, ask a
//! database, fetch from elsewhere, read a body that is still on its way. The protocol is hyper's.
//!
//! ```
//! use sylvan::http;
//! use sylvan::http::server::{Body, Request, Response, StatusCode};
//!
//! fn handle(request: Request) -> Response {
//!     match request.uri().path() {
//!         "/" => Response::new(Body::from("hello")),
//!         _ => {
//!             let mut response = Response::new(Body::empty());
//!             *response.status_mut() = StatusCode::NOT_FOUND;
//!             response
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! sylvan::run(|| {
//!     let serving = http::Server::bind("127.0.0.1:0")?.start(handle)?;
//!     let url = format!("http://{}/", serving.local_addr());
//!     assert_eq!(http::agent().get(url).call()?.body_mut().read_to_string()?, "hello");
//!     serving.stop();
//!     Ok(())
//! })
//! # }
//! ```
//!
//! HTTP/2 is not spoken: the crates for it bring a runtime's utilities with them, and are as large as all the rest. A proxy in
//! front of the server speaks it to browsers.
//!
//! # What ends when
//!
//! * A client that leaves cancels its handler: it unwinds where it waits. (A client that only shuts down its sending half is taken
//!   to leave, unless the server is told [otherwise](Server::half_close).) While something has come that nobody takes, the
//!   rest of a request's body that its handler does not read, or another request right behind, only a client that breaks the
//!   connection off (RST) is seen to have left; one that closes it in order is when its handler reads on, or when the answer
//!   cannot be written. The stop of the server, too, cancels a handler, when its grace is over.
//! * A handler that panics answers with status 500; the panic is reported, and counted in [`Serving::stats`].
//! * [`Serving::stop`] lets the requests in progress be answered, and closes the connections on which there are none.
//! * A connection ends that is idle for too long, whose head takes too long to come, or that does not take what is written to it.
//!   See [`Server`] for the limits. How long a handler may take is its own business: see [`time::timeout`](crate::time::timeout).

mod answer;
mod body;
mod connection;
mod exchange;
mod link;
mod listen;
mod request;
mod respond;
mod upgrade;
mod wire;

pub use crate::server::{Serving, Stats};
pub use body::{Body, BodyWriter};
pub use hyper::body::Bytes;
pub use hyper::{HeaderMap, Method, StatusCode, Uri, header};
pub use listen::Server;
pub use request::RequestBody;
pub use respond::Respond;
pub use upgrade::Upgraded;

/// What a client asks for.
pub type Request = hyper::Request<RequestBody>;

/// What it is answered.
pub type Response = hyper::Response<Body>;

/// Begins a response with a status and headers; its `body` ends it. A handler may return what that gives.
///
/// ```
/// use sylvan::http::server::{Body, Request, Respond, response};
///
/// fn handle(_: Request) -> impl Respond {
///     response().status(201).header("location", "/new").body(Body::empty())
/// }
/// ```
#[must_use]
pub fn response() -> hyper::http::response::Builder {
    hyper::http::response::Builder::new()
}
