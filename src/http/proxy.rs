//! The proxy that a session goes through.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ureq::{Proxy as Parsed, ProxyProtocol};
use ureq_proto::http::{HeaderValue, Uri};
use url::Url;

use super::error::Error;

pub(super) struct Proxy(Parsed);

impl Proxy {
    /// `http://user:password@host:port`; the protocol may be left out.
    pub(super) fn parse(text: &str) -> Result<Proxy, Error> {
        let parsed = Parsed::new(text).map_err(|error| Error::Request(error.to_string()))?;
        Proxy::checked(parsed)
    }

    /// What `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.
    pub(super) fn from_environment() -> Result<Option<Proxy>, Error> {
        Parsed::try_from_env().map(Proxy::checked).transpose()
    }

    fn checked(parsed: Parsed) -> Result<Proxy, Error> {
        if parsed.protocol() != ProxyProtocol::Http {
            let message = format!("a proxy is spoken to by HTTP only, not as {parsed:?}");
            return Err(Error::Request(message));
        }
        Ok(Proxy(parsed))
    }

    pub(super) fn host(&self) -> &str {
        self.0.host()
    }

    pub(super) fn port(&self) -> u16 {
        self.0.port()
    }

    /// Is that server to be reached without it?
    pub(super) fn is_bypassed(&self, url: &Url) -> bool {
        let uri = url.as_str().parse::<Uri>();
        uri.is_ok_and(|uri| self.0.is_no_proxy(&uri))
    }

    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let user = self.0.username()?;
        Some(basic(user, self.0.password()))
    }
}

/// Basic authentication, by RFC 7617. The value is not shown by `Debug`.
pub(super) fn basic(user: &str, password: Option<&str>) -> HeaderValue {
    let credentials = format!("{user}:{}", password.unwrap_or_default());
    let text = format!("Basic {}", BASE64_STANDARD.encode(credentials));
    let mut value = HeaderValue::try_from(text).expect("base64 is proper in a header");
    value.set_sensitive(true);
    value
}
