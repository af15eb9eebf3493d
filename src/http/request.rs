//! A request that is being put together.

use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use ureq_proto::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use url::Url;

use super::body::Body;
use super::deadlines::Deadlines;
use super::error::{Error, no_address, shown};
use super::multipart::Form;
use super::proxy::basic;
use super::response::Response;
use super::send;
use super::session::{Settings, Shared};

/// A request; [`send`](Self::send) sends it.
///
/// Made by [`Session::get`](super::Session::get) and the like. What is wrong with it is told when it is sent.
#[must_use = "nothing is sent before `send`"]
pub struct RequestBuilder {
    session: Arc<Shared>,
    request: Prepared,
    failure: Option<Error>,
}

/// What is to be sent, and how.
pub(super) struct Prepared {
    pub(super) method: Method,
    pub(super) url: Url,
    /// Those of the request itself.
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    pub(super) settings: Settings,
}

impl RequestBuilder {
    pub(super) fn new(session: &Arc<Shared>, method: Option<Method>, url: &str) -> RequestBuilder {
        let base = session.base.as_ref();
        let (url, mut failure) = match Url::options().base_url(base).parse(url) {
            Ok(url) => (url, None),
            Err(error) => (nowhere(), Some(no_address(url, error))),
        };
        if failure.is_none() && !matches!(url.scheme(), "http" | "https") {
            failure = Some(Error::Request(format!(
                "{}: neither http nor https",
                shown(&url)
            )));
        }
        if method.is_none() {
            failure = Some(Error::Request("a method that is not proper".to_owned()));
        }
        RequestBuilder {
            session: Arc::clone(session),
            request: Prepared {
                method: method.unwrap_or_default(),
                url,
                headers: HeaderMap::new(),
                body: Body::default(),
                settings: session.settings,
            },
            failure,
        }
    }

    /// Adds parameters to the address, behind those that it has.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), sylvan::http::Error> {
    /// let found = sylvan::http::get("http://example.org/find")
    ///     .query([("what", "green threads"), ("page", "1")])
    ///     .send()?;
    /// assert_eq!(found.url().query(), Some("what=green+threads&page=1"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn query<K, V>(mut self, parameters: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let mut parameters = parameters.into_iter().peekable();
        if parameters.peek().is_some() {
            self.request.url.query_pairs_mut().extend_pairs(parameters);
        }
        self
    }

    /// Sets a header, in the place of the session's and of an earlier one.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        match (name.try_into(), value.try_into()) {
            (Ok(name), Ok(value)) => {
                self.request.headers.insert(name, value);
            }
            _ => self.fail("a header that is not proper"),
        }
        self
    }

    /// Sets several headers.
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.request.headers.extend(headers);
        self
    }

    /// Basic authentication.
    pub fn basic_auth(self, user: &str, password: Option<&str>) -> Self {
        self.header(header::AUTHORIZATION, basic(user, password))
    }

    /// Authentication by a token.
    pub fn bearer_auth(self, token: &str) -> Self {
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        let value = value.map(|mut value| {
            value.set_sensitive(true);
            value
        });
        match value {
            Ok(value) => self.header(header::AUTHORIZATION, value),
            Err(_) => self.header(header::AUTHORIZATION, "\n"),
        }
    }

    /// Sends a cookie with this request, behind the session's. It is not kept, and stays here when the request is
    /// redirected to another server.
    pub fn cookie(mut self, name: &str, value: &str) -> Self {
        let mut cookies = Vec::new();
        if let Some(there) = self.request.headers.get(header::COOKIE) {
            cookies.extend_from_slice(there.as_bytes());
            cookies.extend_from_slice(b"; ");
        }
        cookies.extend_from_slice(format!("{name}={value}").as_bytes());
        match HeaderValue::try_from(cookies) {
            Ok(cookies) => {
                self.request.headers.insert(header::COOKIE, cookies);
            }
            Err(_) => self.fail("a cookie that is not proper"),
        }
        self
    }

    /// A body that is in memory.
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.request.body = Body::bytes(bytes.into());
        self
    }

    /// A body that is read while it is sent. With its length it is sent as it is, and must not be shorter; without, in
    /// chunks.
    ///
    /// Once some of it was read, the request cannot be repeated, and a redirect that asks for the same again is not
    /// followed.
    pub fn body_reader(mut self, reader: impl Read + Send + 'static, length: Option<u64>) -> Self {
        let mut body = Body::default();
        body.push_stream(Box::new(reader), length);
        self.request.body = body;
        self
    }

    /// A body that is JSON.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), sylvan::http::Error> {
    /// let order = serde_json::json!({"tea": "green", "pots": 2});
    /// sylvan::http::post("http://example.org/orders").json(&order).send()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => {
                self.set_default(header::CONTENT_TYPE, "application/json");
                self.body(bytes)
            }
            Err(error) => {
                self.failure.get_or_insert(Error::Json(error));
                self
            }
        }
    }

    /// A body that is a form, as a browser sends one.
    pub fn form<K, V>(mut self, fields: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        self.set_default(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let form = form.extend_pairs(fields).finish();
        self.body(form)
    }

    /// A body that is a form with files.
    pub fn multipart(mut self, form: Form) -> Self {
        let (body, content_type) = form.into_body();
        self.request.body = body;
        self.header(header::CONTENT_TYPE, content_type)
    }

    /// Asks the server before the body is sent whether it wants it: `Expect: 100-continue`. One that says nothing for a
    /// second is sent the body.
    pub fn expect_continue(self) -> Self {
        self.header(header::EXPECT, "100-continue")
    }

    /// How long each phase may take, in the place of the session's deadlines.
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.request.settings.deadlines = deadlines;
        self
    }

    /// How long the request may take as a whole.
    pub fn timeout(mut self, total: Duration) -> Self {
        self.request.settings.deadlines.total = Some(total);
        self
    }

    /// How many redirects are followed at most, in the place of the session's number.
    pub fn redirects(mut self, most: usize) -> Self {
        self.request.settings.redirects = most;
        self
    }

    /// The cap of the response's body, in the place of the session's.
    pub fn body_cap(mut self, bytes: u64) -> Self {
        self.request.settings.cap = Some(bytes);
        self
    }

    /// Sends the request and returns when the head of the response is there. Suspends.
    ///
    /// A status that tells of an error is a response like any other; see
    /// [`raise_for_status`](Response::raise_for_status).
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn send(self) -> Result<Response, Error> {
        match self.failure {
            Some(failure) => Err(failure),
            None => send::send(&self.session, self.request),
        }
    }

    fn set_default(&mut self, name: HeaderName, value: &'static str) {
        let value = HeaderValue::from_static(value);
        self.request.headers.entry(name).or_insert(value);
    }

    fn fail(&mut self, message: &str) {
        let error = Error::Request(message.to_owned());
        self.failure.get_or_insert(error);
    }
}

/// Stands for an address that is none, and is never sent to.
fn nowhere() -> Url {
    Url::parse("http://invalid./").expect("it is an address")
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder")
            .field("method", &self.request.method)
            .field("url", &shown(&self.request.url))
            .finish_non_exhaustive()
    }
}
