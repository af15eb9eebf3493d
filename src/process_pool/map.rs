//! Maps: items pulled as there is room for them, in chunks, and results as they come.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::Call;
use super::core::{Answer, Core, Outcome};
use super::error::JobError;
use super::job::result;
use super::jobs::{Options, SURPLUS, put_argument};
use crate::sync::mpsc::{self, Receiver, Sender};

/// How long a chunk should take: long beside what it costs to send it, short beside what people notice.
const CHUNK: Duration = Duration::from_millis(2);
/// After so much longer its rest comes back.
const TOO_LONG: Duration = Duration::from_millis(10);
/// The most jobs of a chunk whose size is measured, and how much it grows at a time.
const LARGEST: usize = 1 << 14;
const GROWTH: usize = 8;
/// A chunk with more bytes of arguments gets no more.
const ENOUGH_BYTES: usize = 1 << 18;

/// Pulls items, submits them, and gets the answers. Dropped, it cancels what it has submitted.
pub(super) struct Feed<I> {
    core: Arc<Core>,
    options: Options,
    call: Option<Call>,
    items: Option<I>,
    /// The argument of an item that was too large to go with those before it: it begins the next chunk.
    carried: Option<Vec<u8>>,
    /// How many items were put into chunks, and of how many an outcome was taken.
    pulled: u64,
    taken: u64,
    chunk: usize,
    /// Chunks that are under way, by tag: their numbers, and how many of their jobs are to be answered.
    chunks: HashMap<u64, (u64, usize)>,
    reply: Sender<Answer>,
    answers: Receiver<Answer>,
    /// Outcomes that have come, with the numbers of their items.
    ready: VecDeque<(u64, Outcome)>,
}

impl<I: Iterator> Feed<I> {
    pub(super) fn new(
        core: Arc<Core>,
        options: Options,
        call: Result<Call, JobError>,
        items: I,
    ) -> Feed<I> {
        let (reply, answers) = mpsc::channel();
        let mut feed = Feed {
            core,
            options,
            call: None,
            items: Some(items),
            carried: None,
            pulled: 0,
            taken: 0,
            chunk: options.chunk_size.unwrap_or(1),
            chunks: HashMap::new(),
            reply,
            answers,
            ready: VecDeque::new(),
        };
        match call {
            Ok(call) => feed.call = Some(call),
            Err(error) => feed.fail(error),
        }
        feed
    }

    /// Nothing more can be submitted.
    fn fail(&mut self, error: JobError) {
        self.items = None;
        self.ready.push_back((self.pulled, Err(error)));
        self.pulled += 1;
    }

    /// The outcome that comes next, and the number of its item. Suspends.
    fn next_outcome(&mut self) -> Option<(u64, Outcome)>
    where
        I::Item: Serialize,
    {
        loop {
            // Before the next item is asked for, which may be long in coming.
            while let Ok(answer) = self.answers.try_recv() {
                self.hear(answer);
            }
            if let Some(outcome) = self.ready.pop_front() {
                return Some(outcome);
            }
            if self.items.is_some() && self.has_room() {
                self.submit_chunk();
            } else if self.chunks.is_empty() {
                return None;
            } else {
                // It has a sender of its own, so there is one.
                let answer = self.answers.recv().ok()?;
                self.hear(answer);
            }
        }
    }

    fn has_room(&self) -> bool {
        let settings = &self.core.settings;
        let chunks = match self.options.chunk_size {
            // So small that they only compute.
            None if self.chunk > 1 => settings.processes.saturating_mul(4),
            _ => settings
                .processes
                .saturating_mul(settings.concurrency.saturating_add(1)),
        };
        // Those that wait to be taken in their order count, too.
        let ahead = (self.pulled - self.taken) as usize;
        self.chunks.len() < chunks && ahead < chunks.saturating_mul(self.chunk).saturating_mul(2)
    }

    fn submit_chunk(&mut self)
    where
        I::Item: Serialize,
    {
        let (Some(call), Some(items)) = (self.call, &mut self.items) else {
            return;
        };
        let most = self.core.settings.max_message_size;
        let first = self.pulled;
        let mut size = self.chunk;
        if self.options.chunk_size.is_none() {
            // At the end, something is left for everybody.
            let (_, left) = items.size_hint();
            let share = left.map(|left| left / (2 * self.core.settings.processes));
            size = size.min(share.unwrap_or(size).max(1));
        }
        let mut arguments = self.carried.take().unwrap_or_default();
        let mut count = usize::from(!arguments.is_empty());
        let mut refused = None;
        let mut ended = false;
        while count < size && arguments.len() < ENOUGH_BYTES.min(most / 2) {
            let Some(item) = items.next() else {
                ended = true;
                break;
            };
            let start = arguments.len();
            match put_argument(&mut arguments, &item, most) {
                Ok(()) if arguments.len() + SURPLUS > most => {
                    self.carried = Some(arguments.split_off(start));
                    break;
                }
                Ok(()) => count += 1,
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        if ended {
            self.items = None;
        }
        self.pulled += count as u64;
        if count > 0 {
            // Not more than a chunk, whose bytes are counted.
            let items = count as u32;
            let reply = self.reply.clone();
            let mut submission =
                self.options
                    .submission(&self.core, call, arguments.into(), items, reply);
            (submission.tag, submission.first) = (first, first);
            if self.options.chunk_size.is_none() && count > 1 {
                submission.give_back_after = TOO_LONG;
            }
            match self.core.submit(submission) {
                Ok(id) => drop(self.chunks.insert(first, (id, count))),
                Err(error) => {
                    let refused = (first..self.pulled).map(|item| (item, Err(error.clone())));
                    self.ready.extend(refused);
                    self.items = None;
                    return;
                }
            }
        }
        if let Some(error) = refused {
            self.ready.push_back((self.pulled, Err(error)));
            self.pulled += 1;
        }
    }

    fn hear(&mut self, answer: Answer) {
        let count = answer.outcomes.len();
        if let Some((_, left)) = self.chunks.get_mut(&answer.tag) {
            *left = left.saturating_sub(count);
            if *left == 0 {
                self.chunks.remove(&answer.tag);
            }
        }
        if self.options.chunk_size.is_none() && count > 0 && !answer.took.is_zero() {
            let each = answer.took.as_nanos() / count as u128;
            let ideal = CHUNK.as_nanos() / each.max(1);
            let ideal = usize::try_from(ideal).unwrap_or(LARGEST);
            self.chunk = ideal.min(self.chunk * GROWTH).clamp(1, LARGEST);
        }
        self.ready.extend((answer.first..).zip(answer.outcomes));
    }

    /// All results in the order of the items; the first failure that comes.
    pub(super) fn collect<R: DeserializeOwned>(mut self) -> Result<Vec<R>, JobError>
    where
        I::Item: Serialize,
    {
        let mut results: Vec<Option<R>> = Vec::new();
        while let Some((number, outcome)) = self.next_outcome() {
            self.taken += 1;
            let number = number as usize;
            if results.len() <= number {
                results.resize_with(number + 1, || None);
            }
            results[number] = Some(result(&outcome?)?);
        }
        let all = results.into_iter().collect::<Option<Vec<R>>>();
        // One is missing only if the pool's green threads were ended with their runtime.
        all.ok_or(JobError::Cancelled)
    }
}

impl<I> Drop for Feed<I> {
    fn drop(&mut self) {
        for (id, _) in self.chunks.values() {
            self.core.cancel(*id);
        }
    }
}

/// The results of [`Pool::imap`](super::Pool::imap), in the order of the items.
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Imap<I, R> {
    feed: Feed<I>,
    /// Outcomes that came before their turn.
    early: HashMap<u64, Outcome>,
    result: PhantomData<fn() -> R>,
}

impl<I: Iterator, R> Imap<I, R> {
    pub(super) fn new(feed: Feed<I>) -> Imap<I, R> {
        Imap {
            feed,
            early: HashMap::new(),
            result: PhantomData,
        }
    }
}

impl<I: Iterator<Item: Serialize>, R: DeserializeOwned> Iterator for Imap<I, R> {
    type Item = Result<R, JobError>;

    fn next(&mut self) -> Option<Result<R, JobError>> {
        loop {
            if let Some(outcome) = self.early.remove(&self.feed.taken) {
                self.feed.taken += 1;
                return Some(outcome.and_then(|bytes| result(&bytes)));
            }
            let (number, outcome) = self.feed.next_outcome()?;
            self.early.insert(number, outcome);
        }
    }
}

impl<I: Iterator<Item: Serialize>, R: DeserializeOwned> FusedIterator for Imap<I, R> {}

impl<I, R> fmt::Debug for Imap<I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Imap").finish_non_exhaustive()
    }
}

/// The results of [`Pool::imap_unordered`](super::Pool::imap_unordered), as they come.
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct ImapUnordered<I, R> {
    feed: Feed<I>,
    result: PhantomData<fn() -> R>,
}

impl<I: Iterator, R> ImapUnordered<I, R> {
    pub(super) fn new(feed: Feed<I>) -> ImapUnordered<I, R> {
        ImapUnordered {
            feed,
            result: PhantomData,
        }
    }
}

impl<I: Iterator<Item: Serialize>, R: DeserializeOwned> Iterator for ImapUnordered<I, R> {
    type Item = Result<R, JobError>;

    fn next(&mut self) -> Option<Result<R, JobError>> {
        let (_, outcome) = self.feed.next_outcome()?;
        self.feed.taken += 1;
        Some(outcome.and_then(|bytes| result(&bytes)))
    }
}

impl<I: Iterator<Item: Serialize>, R: DeserializeOwned> FusedIterator for ImapUnordered<I, R> {}

impl<I, R> fmt::Debug for ImapUnordered<I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImapUnordered").finish_non_exhaustive()
    }
}
