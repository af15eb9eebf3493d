//! What a worker answers, read with suspicion: it may have run anything.

use std::time::Duration;

use super::Outcome;
use crate::process_pool::call;
use crate::process_pool::error::JobError;
use crate::process_pool::wire::{FAILURE, Failure, ResultHead, VALUE, Violation, take_item};

/// What became of the first calls of a submission: of all, or of as many as were begun.
pub(super) struct Answered {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) took: Duration,
}

/// Reads the answer to a submission of so many calls.
pub(super) fn read(mut items: &[u8], asked: u32) -> Result<Answered, Violation> {
    let head: ResultHead =
        call::decode_head(&mut items).ok_or(Violation("a result without a head"))?;
    let may_be_fewer = head.items > 0;
    if head.items > asked || (head.items < asked && !may_be_fewer) {
        return Err(Violation("a result of a wrong number of items"));
    }
    let mut outcomes = Vec::with_capacity(head.items as usize);
    for _ in 0..head.items {
        outcomes.push(outcome(take_item(&mut items)?)?);
    }
    if !items.is_empty() {
        return Err(Violation("a result with more than its items"));
    }
    Ok(Answered {
        outcomes,
        took: Duration::from_nanos(head.nanoseconds),
    })
}

fn outcome(item: &[u8]) -> Result<Outcome, Violation> {
    match item.split_first() {
        Some((&VALUE, value)) => Ok(Ok(value.to_vec())),
        Some((&FAILURE, failure)) => {
            let failure: Failure =
                call::decode(failure).map_err(|_| Violation("a failure that is none"))?;
            Ok(Err(JobError::of(failure)))
        }
        _ => Err(Violation("an item that is none")),
    }
}
