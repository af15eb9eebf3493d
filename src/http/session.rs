//! A session: what its requests share.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use ureq_proto::http::{HeaderMap, Method};
use url::Url;

use super::builder::SessionBuilder;
use super::cookies::Cookies;
use super::deadlines::Deadlines;
use super::pool::Pool;
use super::proxy::Proxy;
use super::request::RequestBuilder;
use super::tls;
use super::trace::{Counters, Hook, Stats};
use crate::sync::LazyLock;

/// What requests share: connections that are kept open, limits, cookies, headers, deadlines.
///
/// A clone is another handle of the same session, and any number of green threads may use it at once.
///
/// ```
/// use sylvan::http::{Deadlines, Session};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), sylvan::http::Error> {
/// let session = Session::builder()
///     .base_url("http://example.org/api/")
///     .header("x-api-key", "12345")
///     .connections(20)
///     .connections_per_host(4)
///     .deadlines(Deadlines {
///         total: Some(Duration::from_secs(10)),
///         ..Deadlines::default()
///     })
///     .build()?;
/// # let fetches = || -> Result<(), sylvan::http::Error> {
/// let page = session.get("users").query([("page", "1")]).send()?.text()?;
/// # Ok(()) };
/// # Ok(())
/// # }
/// ```
///
/// # Connections
///
/// At most 100 connections are open at once, unless the builder was told otherwise, and as many to one host. Who finds none
/// free waits in line: first come, first served, and who waits for one host holds up nobody who wants another.
/// A [`Response`](super::Response) has its connection until it is dropped or read to its end. **So a green thread that holds
/// a response while it waits for another one can wait for itself**; give such sessions room, or a
/// [`pool`](Deadlines::pool) deadline.
///
/// Connections are kept open for [15 s](SessionBuilder::keep_alive) for the next request. When the server has closed one of them
/// meanwhile, a request may find that out too late; it is then sent again, over a new connection, if nobody can
/// tell the difference: no byte of a response had come, its body can be had again, and either the method is
/// one that may be repeated (GET, HEAD, OPTIONS, TRACE, PUT, DELETE), or nothing of it could be sent.
/// [`SessionBuilder::repeat`] turns that off.
///
/// # Cancellation
///
/// A green thread that is cancelled, or runs out of a [`time::timeout`](crate::time::timeout), in the midst of a request leaves
/// nothing behind: the connection is closed, and its place goes to the next in line.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
}

/// What all handles of a session share.
pub(super) struct Shared {
    pub(super) pool: Arc<Pool>,
    /// What addresses of requests are relative to.
    pub(super) base: Option<Url>,
    /// Headers that requests have which do not set them.
    pub(super) headers: HeaderMap,
    pub(super) settings: Settings,
    pub(super) cookies: Cookies,
    pub(super) keeps_cookies: bool,
    pub(super) counters: Counters,
    pub(super) hook: Option<Box<Hook>>,
    pub(super) proxy: Option<Proxy>,
    /// Names that are not looked up.
    pub(super) addresses: HashMap<String, Vec<SocketAddr>>,
    pub(super) tls: Option<Arc<ClientConfig>>,
}

/// How a request is sent unless it says otherwise.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) deadlines: Deadlines,
    pub(super) redirects: usize,
    pub(super) cap: Option<u64>,
    pub(super) decompresses: bool,
    pub(super) repeats: bool,
}

/// Whom sessions trust that were not told otherwise.
static TLS: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    tls::config(tls::TlsOptions::default()).expect("the usual root certificates are proper")
});

impl Shared {
    pub(super) fn tls(&self) -> &Arc<ClientConfig> {
        self.tls.as_ref().unwrap_or_else(|| &TLS)
    }

    pub(super) fn proxy_for(&self, url: &Url) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|proxy| !proxy.is_bypassed(url))
    }
}

impl Session {
    /// A session with the defaults of the [builder](SessionBuilder).
    #[must_use]
    pub fn new() -> Session {
        let builder = Session::builder();
        builder.build().expect("the defaults are proper")
    }

    /// A session with settings of one's own.
    #[must_use]
    pub fn builder() -> SessionBuilder {
        SessionBuilder::new()
    }

    pub(super) fn of(shared: Shared) -> Session {
        Session {
            shared: Arc::new(shared),
        }
    }

    /// A request by `GET`. Nothing happens before [`send`](RequestBuilder::send).
    pub fn get(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// A request by `POST`.
    pub fn post(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// A request by `PUT`.
    pub fn put(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PUT, url)
    }

    /// A request by `PATCH`.
    pub fn patch(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PATCH, url)
    }

    /// A request by `DELETE`.
    pub fn delete(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// A request by `HEAD`: the response has no body.
    pub fn head(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::HEAD, url)
    }

    /// A request by `OPTIONS`.
    pub fn options(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::OPTIONS, url)
    }

    /// A request by whatever method.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), sylvan::http::Error> {
    /// # let session = sylvan::http::Session::new();
    /// let params = [("key", "value")];
    /// let response = session.request("PUT", "http://example.org/").query(params).send()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, method: impl TryInto<Method>, url: impl AsRef<str>) -> RequestBuilder {
        RequestBuilder::new(&self.shared, method.try_into().ok(), url.as_ref())
    }

    /// The cookies that servers have given.
    #[must_use]
    pub fn cookies(&self) -> &Cookies {
        &self.shared.cookies
    }

    /// What it has done, and has now.
    ///
    /// ```
    /// let stats = sylvan::http::Session::new().stats();
    /// assert_eq!((stats.requests, stats.in_use, stats.kept), (0, 0, 0));
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.counters.read(self.shared.pool.counts())
    }

    /// Closes the connections that are kept for later requests. Those in use go on, and are kept afterwards.
    pub fn close_kept(&self) {
        self.shared.pool.close_kept();
    }
}

impl Default for Session {
    fn default() -> Session {
        Session::new()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
