//! HTTP from green threads: sessions, as aiohttp has them, and a [`Server`], in blocking code.
//!
//! A [`Session`] keeps connections, cookies and settings for any number of green threads; what waits (for a free
//! connection, a lookup, a connect, a read or write) suspends only the green thread that asked. Who needs no session
//! calls [`get`], [`post`] and the like.
//!
//! ```no_run
//! use sylvan::{http, thread};
//!
//! # fn main() -> Result<(), http::Error> {
//! sylvan::run(|| {
//!     let session = http::Session::new();
//!     let pages: Vec<_> = ["http://example.org/a", "http://example.org/b"]
//!         .map(|url| {
//!             let request = session.get(url);
//!             thread::spawn(move || request.send()?.text())
//!         })
//!         .into_iter()
//!         .map(|task| task.join().unwrap())
//!         .collect();
//! });
//! # Ok(())
//! # }
//! ```
//!
//! The protocol is that of [`ureq`]'s crates, and TLS is [`rustls`]'s; the [guide](crate::guide::aiohttp) has
//! what aiohttp has, row by row. Whoever wants ureq itself gets an [`agent`] of it over sylvan's sockets.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let agent = sylvan::http::agent();
//! let page = agent.get("http://example.org/a").call()?.body_mut().read_to_string()?;
//! # Ok(())
//! # }
//! ```

mod body;
mod builder;
mod connect;
mod connection;
mod cookies;
mod deadlines;
mod decode;
mod dial;
mod error;
mod exchange;
mod free;
mod incoming;
pub mod multipart;
mod pool;
mod proxy;
mod record;
mod redirect;
mod request;
mod resolver;
mod response;
mod send;
pub mod server;
mod session;
mod tls;
mod trace;
mod transport;

pub use builder::SessionBuilder;
pub use cookies::Cookies;
pub use deadlines::Deadlines;
pub use error::{Error, Phase, StatusError};
pub use free::{delete, get, head, options, patch, post, put, request};
pub use request::RequestBuilder;
pub use response::{Hop, Response};
pub use rustls;
pub use server::Server;
pub use session::Session;
pub use trace::{Event, Stats, Timings, What};
pub use ureq;
pub use ureq_proto::http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header,
};
pub use url::Url;

use ureq::config::Config;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, RustlsConnector};

use resolver::GreenResolver;
use transport::GreenConnector;

/// An agent with ureq's defaults. Clones share its connections.
///
/// # Differences from ureq
///
/// Waiting suspends the green thread. Proxies are used as the configuration says, but for SOCKS.
#[must_use]
pub fn agent() -> ureq::Agent {
    agent_with(Config::default())
}

/// An agent with a configuration of one's own, made by [`ureq::Agent::config_builder`].
///
/// ```
/// use std::time::Duration;
/// use sylvan::http::{self, ureq};
///
/// let config = ureq::Agent::config_builder()
///     .timeout_global(Some(Duration::from_secs(10)))
///     .build();
/// let agent = http::agent_with(config);
/// assert_eq!(agent.config().timeouts().global, Some(Duration::from_secs(10)));
/// ```
#[must_use]
pub fn agent_with(config: Config) -> ureq::Agent {
    let connector =
        ().chain(ConnectProxyConnector::default())
            .chain(GreenConnector)
            .chain(RustlsConnector::default());
    ureq::Agent::with_parts(config, connector, GreenResolver)
}
