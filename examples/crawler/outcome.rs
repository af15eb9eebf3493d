//! What can become of a URL.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;
use sylvan::http;
use url::Url;

/// One URL, dealt with.
pub struct Visit {
    pub status: Option<u16>,
    pub bytes: u64,
    pub links: usize,
    /// From the request's start to the body's end; nothing for what was not requested.
    pub elapsed: Option<Duration>,
    pub outcome: Outcome,
}

impl Visit {
    /// A URL that no request was made for.
    pub fn without_request(outcome: Outcome) -> Self {
        let (status, elapsed) = (None, None);
        Self {
            status,
            bytes: 0,
            links: 0,
            elapsed,
            outcome,
        }
    }

    /// What every visit is until it has come to another end.
    pub fn cancelled() -> Self {
        Self::without_request(Outcome::Failed(Failure::Cancelled))
    }
}

pub enum Outcome {
    /// An HTML page and the distinct URLs it links to.
    Page(Vec<Url>),
    Redirect(Url),
    Skipped(Skip),
    Failed(Failure),
}

/// Why a URL was left alone; nothing went wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Skip {
    NotHtml(String),
    TooLarge(u64),
    Robots,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    Status(u16),
    Refused,
    Reset,
    ClosedEarly,
    TimedOut,
    HostNotFound,
    BadRedirect,
    RedirectLoop,
    TooManyRedirects,
    Cancelled,
    Other { kind: &'static str, message: String },
}

impl Skip {
    /// The word the summary counts it under.
    pub fn kind(&self) -> &'static str {
        match self {
            Skip::NotHtml(_) => "not HTML",
            Skip::TooLarge(_) => "too large",
            Skip::Robots => "robots.txt",
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Skip::NotHtml(content_type) => write!(f, "not HTML but {content_type}"),
            Skip::TooLarge(limit) => write!(f, "larger than {limit} bytes"),
            Skip::Robots => f.write_str("disallowed by robots.txt"),
        }
    }
}

impl Failure {
    /// The words the summary counts it under.
    pub fn kind(&self) -> String {
        match self {
            Failure::Other { kind, .. } => (*kind).into(),
            known => known.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::Status(status) => return write!(f, "HTTP status {status}"),
            Failure::Refused => "connection refused",
            Failure::Reset => "connection reset",
            Failure::ClosedEarly => "connection closed early",
            Failure::TimedOut => "timed out",
            Failure::HostNotFound => "host not found",
            Failure::BadRedirect => "redirect to nowhere",
            Failure::RedirectLoop => "redirect loop",
            Failure::TooManyRedirects => "too many redirects",
            Failure::Cancelled => "cancelled",
            Failure::Other { message, .. } => message,
        })
    }
}

impl From<http::Error> for Failure {
    fn from(error: http::Error) -> Self {
        match error {
            http::Error::Timeout(_) => Failure::TimedOut,
            http::Error::Dns(_) => Failure::HostNotFound,
            http::Error::Connect(error) | http::Error::Io(error) => Failure::from_kind(&error),
            other => Failure::Other {
                kind: kind_of(&other),
                message: other.to_string(),
            },
        }
    }
}

impl From<io::Error> for Failure {
    /// Errors of a body's reader are a session's own, in the clothes of an `io::Error`.
    fn from(error: io::Error) -> Self {
        http::Error::from(error).into()
    }
}

impl Failure {
    fn from_kind(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Failure::Refused,
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
                Failure::Reset
            }
            ErrorKind::UnexpectedEof => Failure::ClosedEarly,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Failure::TimedOut,
            _ => Failure::Other {
                kind: "input or output",
                message: error.to_string(),
            },
        }
    }
}

fn kind_of(error: &http::Error) -> &'static str {
    match error {
        http::Error::Protocol(_) => "not proper HTTP",
        http::Error::Request(_) => "not a proper address",
        http::Error::Tls(_) => "TLS",
        http::Error::Decode(_) => "not properly compressed",
        _ => "other",
    }
}
