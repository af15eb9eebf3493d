//! The settings of a session.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use ureq_proto::http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;

use super::cookies::Cookies;
use super::deadlines::Deadlines;
use super::error::{Error, no_address};
use super::pool::{Limits, Pool};
use super::proxy::{Proxy, basic};
use super::session::{Session, Settings, Shared};
use super::tls::{self, TlsOptions};
use super::trace::{Counters, Event, Hook};

/// Makes a [`Session`].
///
/// What is wrong with a setting is told by [`build`](Self::build).
pub struct SessionBuilder {
    limits: Limits,
    base: Option<Url>,
    headers: HeaderMap,
    settings: Settings,
    keeps_cookies: bool,
    hook: Option<Box<Hook>>,
    proxy: Option<Proxy>,
    addresses: HashMap<String, Vec<SocketAddr>>,
    tls: TlsOptions,
    is_tls_set: bool,
    failure: Option<Error>,
}

const USER_AGENT: &str = concat!("sylvan/", env!("CARGO_PKG_VERSION"));

impl SessionBuilder {
    pub(super) fn new() -> SessionBuilder {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        SessionBuilder {
            limits: Limits {
                total: Some(100),
                per_host: None,
                keep: Duration::from_secs(15),
            },
            base: None,
            headers,
            settings: Settings {
                deadlines: Deadlines::default(),
                redirects: 10,
                cap: None,
                decompresses: true,
                repeats: true,
            },
            keeps_cookies: true,
            hook: None,
            proxy: None,
            addresses: HashMap::new(),
            tls: TlsOptions::default(),
            is_tls_set: false,
            failure: None,
        }
    }

    /// How many connections may be open at once, in use and kept ones together: 100 unless set; 0 is as many as one
    /// likes.
    #[must_use]
    pub fn connections(mut self, most: usize) -> Self {
        self.limits.total = (most > 0).then_some(most);
        self
    }

    /// How many of them may lead to one host; as many as there are unless set, and if this is 0.
    #[must_use]
    pub fn connections_per_host(mut self, most: usize) -> Self {
        self.limits.per_host = (most > 0).then_some(most);
        self
    }

    /// How long a connection is kept for another request: 15 s unless set. Zero keeps none. What has been kept
    /// for longer is not used any more; it is closed when the session keeps or needs a connection the next time, or by
    /// [`close_kept`](super::Session::close_kept).
    #[must_use]
    pub fn keep_alive(mut self, time: Duration) -> Self {
        self.limits.keep = time;
        self
    }

    /// Addresses of requests are relative to this one, as links of a page are to the page's.
    #[must_use]
    pub fn base_url(mut self, url: impl AsRef<str>) -> Self {
        let url = url.as_ref();
        match Url::parse(url) {
            Ok(url) => self.base = Some(url),
            Err(error) => self.fail(no_address(url, error)),
        }
        self
    }

    /// A header that every request has which does not set it itself.
    ///
    /// A request that is redirected to another server takes it there, and so do the request's own headers: only
    /// `Authorization`, `Cookie` and the like stay here. Where a key in a header of another name must not get elsewhere,
    /// turn [`redirects`](Self::redirects) off.
    #[must_use]
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        match (name.try_into(), value.try_into()) {
            (Ok(name), Ok(value)) => {
                self.headers.insert(name, value);
            }
            _ => self.fail(Error::Request("a header that is not proper".to_owned())),
        }
        self
    }

    /// The name by which it presents itself: `sylvan/` and the version unless set.
    #[must_use]
    pub fn user_agent(self, name: impl AsRef<str>) -> Self {
        self.header(header::USER_AGENT, name.as_ref())
    }

    /// Basic authentication, for every request.
    #[must_use]
    pub fn basic_auth(self, user: &str, password: Option<&str>) -> Self {
        self.header(header::AUTHORIZATION, basic(user, password))
    }

    /// Does it keep the cookies that servers give? True unless set.
    #[must_use]
    pub fn cookies(mut self, keeps: bool) -> Self {
        self.keeps_cookies = keeps;
        self
    }

    /// How many redirects are followed at most: 10 unless set. With 0 they are responses like any others.
    #[must_use]
    pub fn redirects(mut self, most: usize) -> Self {
        self.settings.redirects = most;
        self
    }

    /// Are bodies decompressed, and servers told so? True unless set.
    #[must_use]
    pub fn decompress(mut self, does: bool) -> Self {
        self.settings.decompresses = does;
        self
    }

    /// How long each phase may take.
    #[must_use]
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.settings.deadlines = deadlines;
        self
    }

    /// How long a request may take as a whole; short for that one of the [`deadlines`](Self::deadlines).
    #[must_use]
    pub fn timeout(mut self, total: Duration) -> Self {
        self.settings.deadlines.total = Some(total);
        self
    }

    /// Is a request sent again when a kept connection turns out to be closed? True unless set; see
    /// [`Session`], under "Connections".
    #[must_use]
    pub fn repeat(mut self, does: bool) -> Self {
        self.settings.repeats = does;
        self
    }

    /// A body that is longer, decompressed, is an error. There is no cap unless set.
    #[must_use]
    pub fn body_cap(mut self, bytes: u64) -> Self {
        self.settings.cap = Some(bytes);
        self
    }

    /// Goes through a proxy: `http://user:password@host:port`. It is asked for pages by HTTP, and for connections when
    /// they are to be secure.
    #[must_use]
    pub fn proxy(mut self, url: &str) -> Self {
        match Proxy::parse(url) {
            Ok(proxy) => self.proxy = Some(proxy),
            Err(error) => self.fail(error),
        }
        self
    }

    /// Goes through the proxy that the environment names, if it does: `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY`,
    /// and `NO_PROXY` for those who are reached without it.
    #[must_use]
    pub fn proxy_from_env(mut self) -> Self {
        match Proxy::from_environment() {
            Ok(proxy) => self.proxy = proxy,
            Err(error) => self.fail(error),
        }
        self
    }

    /// The addresses of a host, which then is not looked up. Where a port is 0, it is that of the request.
    #[must_use]
    pub fn resolve(mut self, host: &str, addresses: &[SocketAddr]) -> Self {
        let host = host.to_ascii_lowercase();
        self.addresses.insert(host, addresses.to_vec());
        self
    }

    /// Trusts these certificates, in PEM, beside the usual ones.
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.roots.push(pem.into());
        self.is_tls_set = true;
        self
    }

    /// Trusts none but those given by [`root_certificates`](Self::root_certificates).
    #[must_use]
    pub fn only_those_root_certificates(mut self) -> Self {
        self.tls.only_those_roots = true;
        self.is_tls_set = true;
        self
    }

    /// Shows this certificate to servers that want one. Both in PEM: the certificate, with what stands between it and
    /// a root; and its key.
    #[must_use]
    pub fn client_certificate(
        mut self,
        chain: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.tls.identity = Some((chain.into(), key.into()));
        self.is_tls_set = true;
        self
    }

    /// TLS as one has set it up oneself, with the crate rustls; no other setting of TLS counts then.
    #[must_use]
    pub fn tls(mut self, config: Arc<ClientConfig>) -> Self {
        self.tls.config = Some(config);
        self.is_tls_set = true;
        self
    }

    /// Tells of all that happens to requests. The hook is called by the green thread whose request it is, also while
    /// that unwinds because it was cancelled; it must not panic, and should not wait.
    ///
    /// ```
    /// use sylvan::http::{Session, What};
    ///
    /// let session = Session::builder()
    ///     .on_event(|event| {
    ///         if let What::Failed { error } = event.what {
    ///             eprintln!("{}: {error}", event.url);
    ///         }
    ///     })
    ///     .build()?;
    /// # Ok::<(), sylvan::http::Error>(())
    /// ```
    #[must_use]
    pub fn on_event(mut self, hook: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    /// The session.
    ///
    /// # Errors
    ///
    /// If a setting was not proper.
    pub fn build(self) -> Result<Session, Error> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let tls = self.is_tls_set.then(|| tls::config(self.tls)).transpose()?;
        Ok(Session::of(Shared {
            pool: Arc::new(Pool::new(self.limits)),
            base: self.base,
            headers: self.headers,
            settings: self.settings,
            cookies: Cookies::new(),
            keeps_cookies: self.keeps_cookies,
            counters: Counters::default(),
            hook: self.hook,
            proxy: self.proxy,
            addresses: self.addresses,
            tls,
        }))
    }

    fn fail(&mut self, error: Error) {
        self.failure.get_or_insert(error);
    }
}

impl fmt::Debug for SessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionBuilder")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
