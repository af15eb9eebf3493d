//! What can go wrong with a request.

use std::{error, fmt, io};

use ureq_proto::http::{HeaderMap, StatusCode};
use url::Url;

/// What went wrong with a request.
///
/// What reads a [`Response`](super::Response) as a stream gets it in an [`io::Error`], and
/// [`From`] takes it out again.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A deadline passed; which one, says the phase.
    Timeout(Phase),
    /// The host's name has no address, or the lookup failed.
    Dns(io::Error),
    /// No address of the host, or of the proxy, accepts a connection.
    Connect(io::Error),
    /// The proxy refused to connect us with the server.
    Proxy(StatusCode),
    /// TLS failed, or the certificate is not to be trusted.
    Tls(io::Error),
    /// The connection broke while the request or its response was under way.
    Io(io::Error),
    /// What came is not HTTP.
    Protocol(String),
    /// The request is none that could be sent: its address, a header, its body.
    Request(String),
    /// More redirects than were allowed. The address is the one that was not fetched any more.
    TooManyRedirects(Box<Url>),
    /// [`raise_for_status`](super::Response::raise_for_status) found a status of 400 or above.
    Status(Box<StatusError>),
    /// The body is longer than the cap, which is given in bytes.
    BodyTooLarge(u64),
    /// The body is not compressed as the response says.
    Decode(io::Error),
    /// The body is not the JSON that was expected, or what was to be sent cannot be said in JSON.
    Json(serde_json::Error),
}

/// A part of a request's life that can have a deadline of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Waiting until a connection is free.
    Pool,
    /// Looking up the host's name.
    Dns,
    /// Connecting, to whichever address answers.
    Connect,
    /// Shaking hands for TLS, or with the proxy.
    Tls,
    /// Waiting until the other side takes more of the request.
    Write,
    /// Waiting for the first byte of the response, from when the request is sent.
    FirstByte,
    /// Waiting for more of the response.
    Read,
    /// All of it.
    Total,
}

/// A status that tells of an error, and what came with it.
#[derive(Debug)]
#[non_exhaustive]
pub struct StatusError {
    /// 400 or above.
    pub status: StatusCode,
    /// Where the response came from.
    pub url: Url,
    /// Its headers.
    pub headers: HeaderMap,
    /// The beginning of its body, at most [`KEPT`](Self::KEPT) bytes.
    pub body: Vec<u8>,
}

impl StatusError {
    /// So many bytes of the body are kept at most.
    pub const KEPT: usize = 8 * 1024;
}

impl Error {
    /// The phase whose deadline passed, if that is what happened.
    ///
    /// ```
    /// use sylvan::http::{Error, Phase};
    ///
    /// assert_eq!(Error::Timeout(Phase::Dns).phase(), Some(Phase::Dns));
    /// ```
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        match self {
            Error::Timeout(phase) => Some(*phase),
            _ => None,
        }
    }

    /// Was it a deadline?
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.phase().is_some()
    }

    /// The status that [`raise_for_status`](super::Response::raise_for_status) found.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Error::Status(error) => Some(error.status),
            _ => None,
        }
    }

    fn kind(&self) -> io::ErrorKind {
        match self {
            Error::Timeout(_) => io::ErrorKind::TimedOut,
            Error::Dns(error)
            | Error::Connect(error)
            | Error::Tls(error)
            | Error::Io(error)
            | Error::Decode(error) => error.kind(),
            Error::Request(_) => io::ErrorKind::InvalidInput,
            Error::Protocol(_) | Error::Json(_) => io::ErrorKind::InvalidData,
            _ => io::ErrorKind::Other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Timeout(phase) => write!(f, "timed out: {phase}"),
            Error::Dns(error) => write!(f, "the host was not found: {error}"),
            Error::Connect(error) => write!(f, "cannot connect: {error}"),
            Error::Proxy(status) => write!(f, "the proxy refused: {status}"),
            Error::Tls(error) => write!(f, "TLS: {error}"),
            Error::Io(error) => write!(f, "the connection broke: {error}"),
            Error::Protocol(what) => write!(f, "not proper HTTP: {what}"),
            Error::Request(what) => write!(f, "not a proper request: {what}"),
            Error::TooManyRedirects(url) => {
                write!(f, "too many redirects, the last to {}", shown(url))
            }
            Error::Status(error) => write!(f, "{} from {}", error.status, shown(&error.url)),
            Error::BodyTooLarge(cap) => write!(f, "the body is longer than {cap} bytes"),
            Error::Decode(error) => write!(f, "cannot decompress the body: {error}"),
            Error::Json(error) => write!(f, "JSON: {error}"),
        }
    }
}

/// An address without its credentials, which are not for logs.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Where there can be none, there is none to be taken away.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

/// That a text is no address. It is not repeated if there may be credentials in it.
pub(super) fn no_address(text: &str, error: url::ParseError) -> Error {
    Error::Request(match text.contains('@') {
        true => format!("an address: {error}"),
        false => format!("{text}: {error}"),
    })
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Error::Dns(error)
            | Error::Connect(error)
            | Error::Tls(error)
            | Error::Io(error)
            | Error::Decode(error) => Some(error),
            Error::Json(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Pool => "waiting for a free connection",
            Phase::Dns => "looking up the host",
            Phase::Connect => "connecting",
            Phase::Tls => "shaking hands for TLS",
            Phase::Write => "sending the request",
            Phase::FirstByte => "waiting for the response",
            Phase::Read => "reading the response",
            Phase::Total => "the whole request",
        })
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}

/// The error that is in there, or else that the connection broke.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        match error.downcast::<Error>() {
            Ok(ours) => ours,
            Err(error) => Error::Io(error),
        }
    }
}

impl From<ureq_proto::Error> for Error {
    fn from(error: ureq_proto::Error) -> Error {
        use ureq_proto::Error as Proto;
        match error {
            Proto::BadHeader(_)
            | Proto::UnsupportedVersion
            | Proto::MethodVersionMismatch(..)
            | Proto::TooManyHostHeaders
            | Proto::BadHostHeader
            | Proto::BadAuthorizationHeader
            | Proto::OutputOverflow
            | Proto::BodyNotAllowed
            | Proto::BodyLargerThanContentLength
            | Proto::BodyContentAfterFinish => Error::Request(error.to_string()),
            _ => Error::Protocol(error.to_string()),
        }
    }
}
