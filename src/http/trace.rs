//! What a session tells of its requests: events as they happen, timings of one, numbers of all.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ureq_proto::http::{Method, StatusCode};
use url::Url;

use super::error::Error;

/// Something that happened to a request.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Event<'a> {
    /// The request's number in its session; redirects and repetitions keep it.
    pub request: u64,
    /// Where it is sent just now.
    pub url: &'a Url,
    /// What happened.
    pub what: What<'a>,
}

/// What happened to a request. The last one is `Done`, `Failed` or `Abandoned`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum What<'a> {
    /// It begins.
    Started {
        /// Its method.
        method: &'a Method,
    },
    /// The host's name was looked up.
    Dns {
        /// What there is.
        addresses: &'a [SocketAddr],
    },
    /// There is a connection.
    Connected {
        /// The other side: the server, or the proxy.
        peer: Option<SocketAddr>,
        /// It has served another request before.
        reused: bool,
    },
    /// All of the request was sent.
    Sent,
    /// The response has begun.
    FirstByte,
    /// The response leads elsewhere, and is followed.
    Redirected {
        /// 301, 302, 303, 307 or 308.
        status: StatusCode,
        /// To there.
        to: &'a Url,
    },
    /// The server had closed the kept connection: the request is sent again over a new one.
    Repeated,
    /// All of the response has been read.
    Done {
        /// The response's status.
        status: StatusCode,
        /// The length of its body, not decompressed.
        bytes: u64,
    },
    /// It failed, in `send` or while the response was being read.
    Failed {
        /// Why.
        error: &'a Error,
    },
    /// Its response was dropped before the end, or its green thread was cancelled.
    Abandoned,
}

/// Whom to tell.
pub(super) type Hook = dyn Fn(&Event<'_>) + Send + Sync;

/// How long each phase of a request took; of the last hop, when it was redirected. A phase that did not
/// take place took no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timings {
    /// The wait for a free connection.
    pub pool: Duration,
    /// Looking up the host's name.
    pub dns: Duration,
    /// Connecting.
    pub connect: Duration,
    /// Shaking hands for TLS.
    pub tls: Duration,
    /// Sending the request.
    pub send: Duration,
    /// From then to the first byte of the response.
    pub first_byte: Duration,
    /// From the beginning, of the first hop, to the end of the response's headers.
    pub headers: Duration,
    /// From the beginning, of the first hop, to the end of the body; `None` while it is not read.
    pub total: Option<Duration>,
}

/// What a [`Session`](super::Session) has done, and has now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests that were begun.
    pub requests: u64,
    /// Those whose response was read to its end.
    pub done: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those among them that failed because a deadline passed.
    pub timed_out: u64,
    /// Those whose response was dropped before its end, or whose green thread was cancelled.
    pub abandoned: u64,
    /// Redirects that were followed.
    pub redirects: u64,
    /// Requests that were sent again because the kept connection was closed.
    pub repeated: u64,
    /// Connections that were opened.
    pub opened: u64,
    /// Times that a kept connection was used again.
    pub reused: u64,
    /// Bytes of bodies that were received, as they were sent.
    pub received: u64,
    /// Connections in use now: those of responses that are neither dropped nor read to their end, and those being
    /// opened.
    pub in_use: usize,
    /// Connections that are kept now.
    pub kept: usize,
    /// Requests that wait for a free connection now.
    pub waiting: usize,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    pub(super) done: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) timed_out: AtomicU64,
    pub(super) abandoned: AtomicU64,
    pub(super) redirects: AtomicU64,
    pub(super) repeated: AtomicU64,
    pub(super) opened: AtomicU64,
    pub(super) reused: AtomicU64,
    pub(super) received: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self, (in_use, kept, waiting): (usize, usize, usize)) -> Stats {
        Stats {
            requests: self.requests.load(Relaxed),
            done: self.done.load(Relaxed),
            failed: self.failed.load(Relaxed),
            timed_out: self.timed_out.load(Relaxed),
            abandoned: self.abandoned.load(Relaxed),
            redirects: self.redirects.load(Relaxed),
            repeated: self.repeated.load(Relaxed),
            opened: self.opened.load(Relaxed),
            reused: self.reused.load(Relaxed),
            received: self.received.load(Relaxed),
            in_use,
            kept,
            waiting,
        }
    }
}

/// Counts one more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
