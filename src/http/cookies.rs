//! The cookies of a session.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use cookie_store::{CookieStore, RawCookie};
use ureq_proto::http::{HeaderMap, header};
use url::Url;

use super::error::{Error, no_address, shown};
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// The cookies that servers have given to a [`Session`](super::Session), and to whom they go, by RFC 6265.
///
/// No list of public suffixes is consulted: a server of `shop.co.uk` can set a cookie for all of `co.uk`, though
/// not for all of `uk`.
///
/// ```
/// use sylvan::http::Session;
///
/// let session = Session::new();
/// let cookies = session.cookies();
/// cookies.set("http://example.org/", "name=value; Path=/")?;
/// assert_eq!(cookies.header("http://example.org/page")?.as_deref(), Some("name=value"));
/// assert_eq!(cookies.get("http://example.org/", "name")?.as_deref(), Some("value"));
/// assert_eq!(cookies.header("http://example.com/")?, None);
/// cookies.clear();
/// assert_eq!(cookies.len(), 0);
/// # Ok::<(), sylvan::http::Error>(())
/// ```
pub struct Cookies {
    store: Mutex<CookieStore>,
    /// Spares those who have none the lock.
    has_any: AtomicBool,
}

impl Cookies {
    pub(super) fn new() -> Cookies {
        Cookies {
            store: Mutex::new(CookieStore::default()),
            has_any: AtomicBool::new(false),
        }
    }

    /// Takes a cookie as if the server of that address had sent it: the text is that of a `Set-Cookie` header.
    ///
    /// # Errors
    ///
    /// If the text is no cookie, or that server may not set it.
    pub fn set(&self, url: &str, cookie: &str) -> Result<(), Error> {
        let url = parse(url)?;
        let cookie = RawCookie::parse(cookie.to_owned())
            .map_err(|error| Error::Request(format!("not a cookie: {error}")))?;
        if is_too_wide(&cookie) {
            return Err(Error::Request("a cookie for a whole domain".to_owned()));
        }
        let result = self.lock().insert_raw(&cookie, &url).map(|_| ());
        self.has_any.store(true, Relaxed);
        result.map_err(|error| Error::Request(format!("not a cookie for {}: {error}", shown(&url))))
    }

    /// The value of the cookie of that name which would be sent to that address.
    ///
    /// # Errors
    ///
    /// If that is no address.
    pub fn get(&self, url: &str, name: &str) -> Result<Option<String>, Error> {
        let url = parse(url)?;
        let store = self.lock();
        let mut values = store.get_request_values(&url);
        let value = values.find(|(found, _)| *found == name);
        Ok(value.map(|(_, value)| value.to_owned()))
    }

    /// The cookies that would be sent to that address, as the header says them.
    ///
    /// # Errors
    ///
    /// If that is no address.
    pub fn header(&self, url: &str) -> Result<Option<String>, Error> {
        Ok(self.for_request(&parse(url)?))
    }

    /// How many there are, for all servers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().iter_unexpired().count()
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all of them.
    pub fn clear(&self) {
        self.lock().clear();
    }

    pub(super) fn for_request(&self, url: &Url) -> Option<String> {
        if !self.has_any.load(Relaxed) {
            return None;
        }
        let store = self.lock();
        let mut header = String::new();
        for (name, value) in store.get_request_values(url) {
            if !header.is_empty() {
                header.push_str("; ");
            }
            header.push_str(name);
            header.push('=');
            header.push_str(value);
        }
        (!header.is_empty()).then_some(header)
    }

    /// What a response brings; what is no cookie, or not this server's to set, is passed over.
    pub(super) fn receive(&self, url: &Url, headers: &HeaderMap) {
        let given: Vec<_> = headers
            .get_all(header::SET_COOKIE)
            .iter()
            .filter_map(|header| RawCookie::parse(header.to_str().ok()?.to_owned()).ok())
            .filter(|cookie| !is_too_wide(cookie))
            .collect();
        if given.is_empty() {
            return;
        }
        self.lock().store_response_cookies(given.into_iter(), url);
        self.has_any.store(true, Relaxed);
    }

    /// Nobody panics with it half changed.
    fn lock(&self) -> MutexGuard<'_, CookieStore> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Is it for all of a top-level domain?
fn is_too_wide(cookie: &RawCookie<'_>) -> bool {
    let domain = cookie.domain().map(|domain| domain.trim_matches('.'));
    domain.is_some_and(|domain| {
        !domain.is_empty() && !domain.contains('.') && !domain.eq_ignore_ascii_case("localhost")
    })
}

fn parse(url: &str) -> Result<Url, Error> {
    Url::parse(url).map_err(|error| no_address(url, error))
}

impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cookies").finish_non_exhaustive()
    }
}
