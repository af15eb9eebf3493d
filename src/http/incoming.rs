//! The body of a response as it comes in: the rest of the exchange, and the connection until its end.

use std::io::{self, Read};
use std::sync::atomic::Ordering::Relaxed;

use ureq_proto::BodyMode;
use ureq_proto::client::state::RecvBody;
use ureq_proto::client::{Call, RecvBodyResult};

use super::deadlines::Budget;
use super::error::{Error, Phase};
use super::exchange::{After, closed};
use super::pool::Lease;
use super::record::Record;
use crate::time::Instant;

pub(super) struct Incoming {
    /// Gone at the end of the body, or when it broke.
    under_way: Option<(Box<Call<RecvBody>>, Lease)>,
    budget: Budget,
    record: Record,
    bytes: u64,
    is_broken: bool,
}

/// A body that is longer is worth less than a new connection.
const WORTH_READING: u64 = 64 * 1024;

impl Incoming {
    pub(super) fn new(after: After, lease: Lease, budget: Budget, record: Record) -> Incoming {
        let mut incoming = Incoming {
            under_way: None,
            budget,
            record,
            bytes: 0,
            is_broken: false,
        };
        match after {
            After::Body(call) => incoming.under_way = Some((call, lease)),
            After::Nothing { must_close } => incoming.finish(lease, must_close),
        }
        incoming
    }

    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// So much has come, as it was sent.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn has_ended(&self) -> bool {
        self.under_way.is_none()
    }

    /// It has ended before it was whole.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Whoever uses the body has found fault with it. The connection is closed.
    pub(super) fn fail(&mut self, error: &Error) {
        self.is_broken = true;
        self.under_way = None;
        self.record.failed(error);
    }

    /// Reads what is left if it is not much, so that the connection can be kept.
    pub(super) fn drain(&mut self) {
        let most = self.bytes + WORTH_READING;
        let mut sink = [0; 4096];
        while !self.has_ended() && self.bytes < most {
            if self.receive(&mut sink).is_err() {
                return;
            }
        }
    }

    /// For the next hop of a request that is redirected.
    pub(super) fn into_record(mut self) -> Record {
        self.under_way = None;
        self.record
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if self.is_broken {
            let message = "the body broke before";
            return Err(Error::Io(io::Error::other(message)));
        }
        let result = self.next_bytes(buffer);
        match &result {
            Ok(amount) => {
                if *amount > 0 {
                    self.bytes += *amount as u64;
                    let received = &self.record.counters().received;
                    received.fetch_add(*amount as u64, Relaxed);
                }
                self.finish_if_complete();
            }
            Err(error) => self.fail(error),
        }
        result
    }

    fn next_bytes(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        while let Some((call, lease)) = &mut self.under_way {
            let connection = &mut lease.connection;
            if is_complete(call) {
                return Ok(0);
            }
            let unused = connection.unused();
            if !unused.is_empty() {
                let (used, amount) = call.read(unused, buffer)?;
                connection.use_up(used);
                if amount > 0 {
                    return Ok(amount);
                }
                if used > 0 {
                    continue;
                }
            }
            connection.set_limit(self.budget.limit(Phase::Read));
            if connection.read_more()? == 0 {
                return self.end_of_stream();
            }
        }
        Ok(0)
    }

    /// The server has closed the connection: the end of a body that tells no other, else an error.
    fn end_of_stream(&mut self) -> Result<usize, Error> {
        if let Some((call, lease)) = self.under_way.take() {
            // Some servers leave out the last line break of the last chunk.
            let is_end = call.body_mode() == BodyMode::CloseDelimited || call.is_ended_chunked();
            if !is_end {
                return Err(closed());
            }
            self.finish(lease, true);
        }
        Ok(0)
    }

    fn finish_if_complete(&mut self) {
        let is_complete = |(call, _): &mut (Box<Call<RecvBody>>, _)| is_complete(call);
        let Some((call, lease)) = self.under_way.take_if(is_complete) else {
            return;
        };
        let must_close = match call.proceed() {
            Some(RecvBodyResult::Cleanup(call)) => call.must_close_connection(),
            Some(RecvBodyResult::Redirect(call)) => call.must_close_connection(),
            None => true,
        };
        self.finish(lease, must_close);
    }

    fn finish(&mut self, lease: Lease, must_close: bool) {
        let now = Instant::now();
        if must_close {
            drop(lease);
        } else {
            lease.give_back(now);
        }
        self.record.complete(self.bytes, now);
    }
}

fn is_complete(call: &Call<RecvBody>) -> bool {
    call.body_mode() != BodyMode::CloseDelimited && call.can_proceed()
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        Ok(self.receive(buffer)?)
    }
}
