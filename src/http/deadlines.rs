//! How long each phase of a request may take, and the moments that follow from that.

use std::time::Duration;

use super::error::{Error, Phase};
use crate::time::Instant;

/// How long each phase of a request may take; `None` is as long as it likes.
///
/// The [error](Error::Timeout) says which of them ran out. The phases of one request follow each other, and
/// `total` is over all of them, redirects and body included, but for the wait for a free connection.
///
/// ```
/// use std::time::Duration;
/// use sylvan::http::Deadlines;
///
/// let deadlines = Deadlines {
///     connect: Some(Duration::from_secs(3)),
///     read: Some(Duration::from_secs(10)),
///     ..Deadlines::NONE
/// };
/// assert_eq!(Deadlines::default().total, Some(Duration::from_secs(300)));
/// # let _ = deadlines;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Waiting until a connection is free.
    pub pool: Option<Duration>,
    /// Looking up the host's name.
    pub dns: Option<Duration>,
    /// Connecting, all addresses of the host together.
    pub connect: Option<Duration>,
    /// Shaking hands for TLS, and before that with the proxy.
    pub tls: Option<Duration>,
    /// Each wait until the other side takes more of the request.
    pub write: Option<Duration>,
    /// From when the request is sent to the first byte of the response.
    pub first_byte: Option<Duration>,
    /// Each wait for more of the response.
    pub read: Option<Duration>,
    /// From when there is a connection, free or to be made, to the end of the body.
    pub total: Option<Duration>,
    /// Does `total` count the waits for a free connection, too?
    pub total_counts_pool: bool,
}

impl Deadlines {
    /// No deadline at all.
    pub const NONE: Deadlines = Deadlines {
        pool: None,
        dns: None,
        connect: None,
        tls: None,
        write: None,
        first_byte: None,
        read: None,
        total: None,
        total_counts_pool: false,
    };
}

/// aiohttp's: five minutes for all, half a minute to connect. And a minute for a server that has stopped to take more of
/// the request, as one may that has answered already.
impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            connect: Some(Duration::from_secs(30)),
            write: Some(Duration::from_secs(60)),
            total: Some(Duration::from_secs(300)),
            ..Deadlines::NONE
        }
    }
}

/// A request's deadlines since it began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    deadlines: Deadlines,
    total: Instant,
    whole: Phase,
}

/// A moment, and whose it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    at: Instant,
    phase: Phase,
}

impl Budget {
    pub(super) fn start(deadlines: Deadlines) -> Budget {
        Budget {
            deadlines,
            total: deadlines.total.map_or(NEVER, Instant::limit),
            whole: Phase::Total,
        }
    }

    /// All that is done until then counts as that phase.
    pub(super) fn until(limit: Limit) -> Budget {
        Budget {
            deadlines: Deadlines::NONE,
            total: limit.at,
            whole: limit.phase,
        }
    }

    /// When a phase that begins now is to be over: by its own deadline, or by that of the whole.
    pub(super) fn limit(&self, phase: Phase) -> Limit {
        let own = match phase {
            Phase::Pool => self.deadlines.pool,
            Phase::Dns => self.deadlines.dns,
            Phase::Connect => self.deadlines.connect,
            Phase::Tls => self.deadlines.tls,
            Phase::Write => self.deadlines.write,
            Phase::FirstByte => self.deadlines.first_byte,
            Phase::Read => self.deadlines.read,
            Phase::Total => None,
        };
        self.limit_for(phase, own)
    }

    /// The same with another deadline of its own.
    pub(super) fn limit_for(&self, phase: Phase, own: Option<Duration>) -> Limit {
        let own = Limit {
            at: own.map_or(NEVER, Instant::limit),
            phase,
        };
        let counts = phase != Phase::Pool || self.deadlines.total_counts_pool;
        if counts && self.total < own.at {
            return Limit {
                at: self.total,
                phase: self.whole,
            };
        }
        own
    }

    /// The end of all of it.
    pub(super) fn total(&self) -> Limit {
        self.limit(Phase::Total)
    }

    /// A connection was waited for so long.
    pub(super) fn waited(&mut self, time: Duration) {
        if !self.deadlines.total_counts_pool && self.total != NEVER {
            self.total += time;
        }
    }
}

impl Limit {
    /// The time that is left; `None` if there is no end.
    pub(super) fn left(self) -> Result<Option<Duration>, Error> {
        if self.at == NEVER {
            return Ok(None);
        }
        match self.at.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(self.passed()),
        }
    }

    pub(super) fn at(self) -> Instant {
        self.at
    }

    pub(super) fn passed(self) -> Error {
        Error::Timeout(self.phase)
    }
}

const NEVER: Instant = Instant::NEVER;
