//! A response: its head, and its body as it comes in.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use serde::de::DeserializeOwned;
use ureq_proto::http::{HeaderMap, StatusCode, Version, header};
use url::Url;

use super::decode::{self, Decoder};
use super::error::{Error, StatusError};
use super::trace::Timings;

/// A response: its status, its headers, and its body as it comes in.
///
/// It owns its connection until it is dropped or its body is read to the end; then the connection can serve
/// the next request. One that is dropped before the end of its body closes its connection.
///
/// What reads the body suspends the green thread until there is more of it. The session's deadlines go on.
///
/// ```no_run
/// use sylvan::http;
///
/// # fn main() -> Result<(), http::Error> {
/// let response = http::get("http://example.org/").send()?.raise_for_status()?;
/// println!("{} from {}", response.status(), response.url());
/// println!("{}", response.text()?);
/// # Ok(())
/// # }
/// ```
pub struct Response {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) history: Vec<Hop>,
    pub(super) length: Option<u64>,
    pub(super) body: Decoder,
    pub(super) cap: Option<u64>,
    pub(super) has_read: u64,
}

/// A response on the way to the last one: it was a redirect.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Hop {
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    /// Where it came from.
    pub url: Url,
    /// Its headers; among them `Location`, which tells where it led.
    pub headers: HeaderMap,
}

/// Room for a body that says how long it is; not more, as that may be a lie.
const MOST_AT_ONCE: u64 = 1024 * 1024;

impl Response {
    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// HTTP/1.1 or HTTP/1.0.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The headers. Those that tell of a compression which was undone are not among them.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// A header's value, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Where it came from: the last address, when the request was redirected.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.body.incoming().record().url
    }

    /// The redirects that led here, in their order.
    #[must_use]
    pub fn history(&self) -> &[Hop] {
        &self.history
    }

    /// The length of the body as it is sent, if the server told; of what is compressed, that is not how much one
    /// reads.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.length
    }

    /// How long each phase of the request took.
    #[must_use]
    pub fn timings(&self) -> Timings {
        self.body.incoming().record().timings
    }

    /// Fails if the status is 400 or above; aiohttp's name for it. reqwest calls it `error_for_status`.
    ///
    /// # Errors
    ///
    /// [`Error::Status`], with the headers and the beginning of the body.
    pub fn raise_for_status(mut self) -> Result<Response, Error> {
        if !self.status.is_client_error() && !self.status.is_server_error() {
            return Ok(self);
        }
        let mut body = Vec::new();
        // What cannot be read of it is not worth another error.
        let _ = (&mut self)
            .take(StatusError::KEPT as u64)
            .read_to_end(&mut body);
        let url = self.url().clone();
        Err(Error::Status(Box::new(StatusError {
            status: self.status,
            url,
            headers: self.headers,
            body,
        })))
    }

    /// All of the body.
    ///
    /// # Errors
    ///
    /// If it does not come to its end, or is longer than the session's [cap](super::SessionBuilder::body_cap).
    pub fn bytes(mut self) -> Result<Vec<u8>, Error> {
        let room = self.length.unwrap_or(0).min(MOST_AT_ONCE);
        let mut bytes = Vec::with_capacity(usize::try_from(room).unwrap_or(0));
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// All of the body, as text: in the charset that the content type names, else the one that a byte order mark
    /// shows, else UTF-8. What is not proper in it is replaced by U+FFFD.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes).
    pub fn text(self) -> Result<String, Error> {
        let content_type = self.header("content-type").map(str::to_owned);
        let bytes = self.bytes()?;
        Ok(decode::text(bytes, content_type.as_deref()))
    }

    /// All of the body, as text in the charset of this name, whatever the server says.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), and if there is no charset of that name.
    pub fn text_with(self, charset: &str) -> Result<String, Error> {
        decode::text_with(self.bytes()?, charset)
    }

    /// All of the body, which is JSON.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), and if it is not what was expected.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), sylvan::http::Error> {
    /// let answer: serde_json::Value = sylvan::http::get("http://example.org/").send()?.json()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        serde_json::from_slice(&self.bytes()?).map_err(Error::Json)
    }

    /// The body's lines as they come in, without their ends. They have to be UTF-8.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// for line in sylvan::http::get("http://example.org/log").send()?.lines() {
    ///     println!("{}", line?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn lines(self) -> io::Lines<BufReader<Response>> {
        BufReader::new(self).lines()
    }

    fn read_body(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let amount = self.body.read(buffer)?;
        self.has_read += amount as u64;
        if let Some(cap) = self.cap.filter(|cap| self.has_read > *cap) {
            let error = Error::BodyTooLarge(cap);
            self.body.incoming_mut().fail(&error);
            return Err(error);
        }
        Ok(amount)
    }
}

/// Reads the body, without the compression it was sent in. The errors are [`Error`]s.
impl Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_body(buffer)?)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("url", &self.url().as_str())
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    length.trim().parse().ok()
}
