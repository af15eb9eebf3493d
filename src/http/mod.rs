//! HTTP from green threads: [`ureq`] over sylvan's sockets and name lookups.
//!
//! The protocol, TLS, pooling of connections and decompression are ureq's; whatever waits — a lookup, a
//! connect, a read or write — suspends only the green thread that asked.
//!
//! ```no_run
//! use sylvan::{http, thread};
//!
//! sylvan::run(|| {
//!     let agent = http::agent();
//!     let pages: Vec<_> = ["http://example.org/a", "http://example.org/b"]
//!         .map(|url| {
//!             let agent = agent.clone();
//!             thread::spawn(move || agent.get(url).call()?.body_mut().read_to_string())
//!         })
//!         .into_iter()
//!         .map(|task| task.join().unwrap())
//!         .collect();
//! });
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
