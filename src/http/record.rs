//! What is known of one request: its number, where it is, how long it took; told to the session's hook and
//! counted in its numbers. It is over once: done, failed, or else abandoned when this is dropped.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ureq_proto::http::{Method, StatusCode};
use url::Url;

use super::error::Error;
use super::session::Shared;
use super::trace::{Counters, Event, Timings, What, count};
use crate::time::Instant;

pub(super) struct Record {
    session: Arc<Shared>,
    number: u64,
    pub(super) url: Url,
    pub(super) status: StatusCode,
    pub(super) timings: Timings,
    start: Instant,
    /// The end of the last phase.
    mark: Instant,
    is_over: bool,
    /// A response that is followed to another one is no end.
    is_hop: bool,
}

impl Record {
    pub(super) fn start(session: &Arc<Shared>, method: &Method, url: Url) -> Record {
        let now = Instant::now();
        let number = session.counters.requests.fetch_add(1, Relaxed);
        let record = Record {
            session: Arc::clone(session),
            number,
            url,
            status: StatusCode::OK,
            timings: Timings::default(),
            start: now,
            mark: now,
            is_over: false,
            is_hop: false,
        };
        record.tell(What::Started { method });
        record
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.session.counters
    }

    /// When the last phase has ended.
    pub(super) fn mark(&self) -> Instant {
        self.mark
    }

    /// The time since the last call.
    pub(super) fn lap(&mut self) -> Duration {
        let now = Instant::now();
        let lap = now.duration_since(self.mark);
        self.mark = now;
        lap
    }

    /// A new hop, or a new attempt, begins.
    pub(super) fn begin_hop(&mut self, url: &Url) {
        self.url.clone_from(url);
        self.timings = Timings::default();
        self.mark = Instant::now();
        self.is_hop = false;
    }

    /// The response is complete; if it is followed, `complete` says nothing of it.
    pub(super) fn note_head(&mut self, status: StatusCode, is_followed: bool) {
        self.status = status;
        self.is_hop = is_followed;
        self.timings.headers = self.start.elapsed();
    }

    pub(super) fn tell(&self, what: What<'_>) {
        if let Some(hook) = &self.session.hook {
            hook(&Event {
                request: self.number,
                url: &self.url,
                what,
            });
        }
    }

    /// All of the response is there, as of `now`.
    pub(super) fn complete(&mut self, bytes: u64, now: Instant) {
        if self.is_over || self.is_hop {
            return;
        }
        self.is_over = true;
        self.timings.total = Some(now.duration_since(self.start));
        count(&self.session.counters.done);
        self.tell(What::Done {
            status: self.status,
            bytes,
        });
    }

    /// A redirect whose own body breaks is followed all the same.
    pub(super) fn failed(&mut self, error: &Error) {
        if self.is_over || self.is_hop {
            return;
        }
        self.is_over = true;
        count(&self.session.counters.failed);
        if error.is_timeout() {
            count(&self.session.counters.timed_out);
        }
        self.tell(What::Failed { error });
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.is_over {
            count(&self.session.counters.abandoned);
            self.tell(What::Abandoned);
        }
    }
}
