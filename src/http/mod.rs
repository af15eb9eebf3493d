//! HTTP from green threads: [`ureq`] over sylvan's sockets and name lookups, and a [`Server`], by hyper.
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

mod resolver;
pub mod server;
mod transport;

pub use server::Server;
pub use ureq;
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
