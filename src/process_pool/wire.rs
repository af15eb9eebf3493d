//! The wire between a pool and one of its processes: messages, and the frames that carry them.
//!
//! A frame is a head of [`HEAD`] bytes and at most [`FRAGMENT`] bytes of a message. A message that is longer goes in
//! several frames, and those of other messages may come between them, so that a large one does not hold up small ones.
//!
//! | from the pool | id | body |
//! |---|---|---|
//! | `Hello` | 0 | [`Hello`]; the first, once |
//! | `Job` | its own | a [`JobHead`], and its items |
//! | `Cancel` | the job's | nothing |
//! | `Stop` | 0 | nothing: no job will come any more |
//!
//! | from the process | id | body |
//! |---|---|---|
//! | `Ready` | 0 | a [`Ready`], once, in answer to `Hello` |
//! | `Pull` | 0 | nothing: room and time for one job |
//! | `Result` | the job's, once for each | a [`ResultHead`], and the items that were done, one at least; the others come back |
//!
//! Numbers in heads are little-endian; the bodies are as the crate postcard writes them. Nothing here does any input or
//! output, and nothing trusts what it reads: what breaks a rule above is a [`Violation`].

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::call::Call;

/// The bytes of a frame's head: length of the fragment (4), kind (1), whether more follow (1), nothing (2), id (8).
const HEAD: usize = 16;
/// The most bytes of a message in one frame.
pub(super) const FRAGMENT: usize = 32 * 1024;
/// The bytes of an item's length, which stands before it.
pub(super) const LENGTH: usize = 4;
/// What a result's item begins with: it is the value, or it is a [`Failure`].
pub(super) const VALUE: u8 = 0;
pub(super) const FAILURE: u8 = 1;
/// The version of all this.
pub(super) const VERSION: u32 = 1;

/// What a message is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    Hello = 1,
    Job = 2,
    Cancel = 3,
    Stop = 4,
    Ready = 16,
    Pull = 17,
    Result = 18,
}

impl Kind {
    fn from_number(number: u8) -> Option<Kind> {
        [
            Kind::Hello,
            Kind::Job,
            Kind::Cancel,
            Kind::Stop,
            Kind::Ready,
            Kind::Pull,
            Kind::Result,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == number)
    }
}

/// How a pool begins.
#[derive(Serialize, Deserialize)]
pub(super) struct Hello {
    pub version: u32,
    pub build: u64,
    /// How many jobs may be there at once.
    pub concurrency: u32,
    pub most_bytes: u64,
    /// Its one job is its whole business: a failure ends it.
    pub alone: bool,
    /// What is to be called before the first job, with its argument.
    pub initializer: Option<(Call, Vec<u8>)>,
}

/// What a process answers.
#[derive(Serialize, Deserialize)]
pub(super) struct Ready {
    pub build: u64,
    /// Why it cannot work.
    pub failure: Option<Failure>,
}

/// What stands before a job's items.
#[derive(Serialize, Deserialize)]
pub(super) struct JobHead {
    pub call: Call,
    pub items: u32,
    /// After so many nanoseconds give back what was not begun. 0: never.
    pub give_back_after: u64,
}

/// What stands before a result's items. There may be fewer than the job had: the others were given back.
#[derive(Serialize, Deserialize)]
pub(super) struct ResultHead {
    pub items: u32,
    pub nanoseconds: u64,
}

/// How a call fails in a process that goes on.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    Panicked(String, Option<String>),
    Cancelled,
    Unserialisable(String),
    /// There is no such function in this process.
    Unknown,
    /// It was not begun, for there was no memory for its stack.
    NoStack,
}

impl Failure {
    /// With at most so many bytes of words.
    pub(super) fn shortened(self, most: usize) -> Failure {
        match self {
            Failure::Panicked(message, backtrace) => {
                let message = cut(message, most);
                let left = most - message.len();
                Failure::Panicked(message, backtrace.map(|text| cut(text, left)))
            }
            Failure::Unserialisable(why) => Failure::Unserialisable(cut(why, most)),
            short => short,
        }
    }
}

/// The beginning of it, whole characters.
fn cut(mut text: String, most: usize) -> String {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// A whole message that has come.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Message {
    pub kind: Kind,
    pub id: u64,
    pub body: Vec<u8>,
}

/// How the other side broke the rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Violation(pub &'static str);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

// ---- to the wire

/// A message on its way out, or what is left of it.
pub(super) struct Outgoing {
    kind: Kind,
    id: u64,
    head: Vec<u8>,
    body: Arc<[u8]>,
    /// How much of the body has gone; of the head, what is left is here.
    gone: usize,
}

impl Outgoing {
    pub(super) fn new(kind: Kind, id: u64, head: Vec<u8>, body: Arc<[u8]>) -> Outgoing {
        Outgoing {
            kind,
            id,
            head,
            body,
            gone: 0,
        }
    }

    /// Sends only what of the body lies behind this place.
    pub(super) fn skip(mut self, bytes: usize) -> Outgoing {
        self.gone = bytes;
        self
    }

    /// A message without a body.
    pub(super) fn bare(kind: Kind, id: u64) -> Outgoing {
        Outgoing::new(kind, id, Vec::new(), Vec::new().into())
    }

    /// Appends one frame to `wire`. Returns whether that was the last.
    pub(super) fn put_frame(&mut self, wire: &mut Vec<u8>) -> bool {
        let start = wire.len();
        wire.extend_from_slice(&[0; HEAD]);
        let of_head = self.head.len().min(FRAGMENT);
        wire.extend(self.head.drain(..of_head));
        let of_body = (self.body.len() - self.gone).min(FRAGMENT - of_head);
        wire.extend_from_slice(&self.body[self.gone..][..of_body]);
        self.gone += of_body;
        let last = self.head.is_empty() && self.gone == self.body.len();

        // At most FRAGMENT, which fits.
        let length = (of_head + of_body) as u32;
        let head = &mut wire[start..][..HEAD];
        head[..4].copy_from_slice(&length.to_le_bytes());
        head[4] = self.kind as u8;
        head[5] = (!last).into();
        head[8..].copy_from_slice(&self.id.to_le_bytes());
        last
    }
}

/// Appends an item to a job's or a result's, which `write` writes. If that fails, nothing is appended.
pub(super) fn put_item<E>(
    items: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = items.len();
    items.extend_from_slice(&[0; LENGTH]);
    let written = write(items);
    match written {
        Ok(()) => {
            // Messages are shorter than 4 GiB.
            let length = (items.len() - start - LENGTH) as u32;
            items[start..][..LENGTH].copy_from_slice(&length.to_le_bytes());
        }
        Err(_) => items.truncate(start),
    }
    written
}

/// Takes the next item off a job's or a result's.
pub(super) fn take_item<'a>(items: &mut &'a [u8]) -> Result<&'a [u8], Violation> {
    const CUT: Violation = Violation("an item was cut off");
    let (length, rest) = items.split_first_chunk().ok_or(CUT)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (item, rest) = rest.split_at_checked(length).ok_or(CUT)?;
    *items = rest;
    Ok(item)
}

/// Where the items begin after the first `count` of them; the items are our own.
pub(super) fn skip_items(items: &[u8], count: usize) -> usize {
    let mut rest = items;
    for _ in 0..count {
        if take_item(&mut rest).is_err() {
            break;
        }
    }
    items.len() - rest.len()
}

// ---- from the wire

/// Puts messages together from what is read.
pub(super) struct Assembly {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Messages of which not all has come.
    parts: HashMap<(Kind, u64), Vec<u8>>,
    most_parts: usize,
    most_bytes: usize,
}

impl Assembly {
    /// For messages of at most `most_bytes`, of which at most `most_parts` come mixed with each other.
    pub(super) fn new(most_parts: usize, most_bytes: usize) -> Assembly {
        Assembly {
            buffer: vec![0; 2 * (HEAD + FRAGMENT)],
            start: 0,
            end: 0,
            parts: HashMap::new(),
            most_parts,
            most_bytes,
        }
    }

    /// The bounds are known only now.
    pub(super) fn set_bounds(&mut self, most_parts: usize, most_bytes: usize) {
        (self.most_parts, self.most_bytes) = (most_parts, most_bytes);
    }

    /// Has a part come of this message, and not all?
    pub(super) fn has_part(&self, kind: Kind, id: u64) -> bool {
        self.parts.contains_key(&(kind, id))
    }

    /// Where to read to; never empty once [`next`](Self::next) has said that nothing is left.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        &mut self.buffer[self.end..]
    }

    /// So many bytes were read to the [`space`](Self::space).
    pub(super) fn advance(&mut self, count: usize) {
        self.end += count;
    }

    /// Has nothing come of a message whose rest is missing?
    pub(super) fn is_between_messages(&self) -> bool {
        self.start == self.end && self.parts.is_empty()
    }

    /// The next whole message of what was read.
    pub(super) fn next(&mut self) -> Result<Option<Message>, Violation> {
        loop {
            let read = &self.buffer[self.start..self.end];
            let Some((head, rest)) = read.split_first_chunk::<HEAD>() else {
                return Ok(None);
            };
            let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
            let kind = Kind::from_number(head[4]).ok_or(Violation("a frame of no known kind"))?;
            let more = match head[5] {
                0 => false,
                1 => true,
                _ => return Err(Violation("a frame with unknown flags")),
            };
            if head[6..8] != [0, 0] {
                return Err(Violation("a frame with unknown flags"));
            }
            if length > FRAGMENT || (more && length == 0) {
                return Err(Violation("a frame of a wrong length"));
            }
            let (_, id) = head.split_at(8);
            let id = u64::from_le_bytes(id.try_into().map_err(|_| Violation("a short head"))?);
            let Some(fragment) = rest.get(..length) else {
                return Ok(None);
            };
            let fragment = fragment.to_vec();
            self.start += HEAD + length;
            if let Some(body) = self.join((kind, id), fragment, more)? {
                return Ok(Some(Message { kind, id, body }));
            }
        }
    }

    /// Adds a fragment to its message. Returns it, if that is whole now.
    fn join(
        &mut self,
        key: (Kind, u64),
        fragment: Vec<u8>,
        more: bool,
    ) -> Result<Option<Vec<u8>>, Violation> {
        let known = self.parts.contains_key(&key);
        if !known && !more {
            return match fragment.len() <= self.most_bytes {
                true => Ok(Some(fragment)),
                false => Err(Violation("a message larger than was agreed on")),
            };
        }
        if !known && self.parts.len() == self.most_parts {
            return Err(Violation("too many messages mixed with each other"));
        }
        let part = self.parts.entry(key).or_default();
        if part.len() + fragment.len() > self.most_bytes {
            return Err(Violation("a message larger than was agreed on"));
        }
        part.extend_from_slice(&fragment);
        if more {
            return Ok(None);
        }
        Ok(self.parts.remove(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random, the same each time (xorshift).
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % limit as u64) as usize
        }
    }

    fn read_all(
        assembly: &mut Assembly,
        wire: &[u8],
        step: usize,
    ) -> Result<Vec<Message>, Violation> {
        let mut messages = Vec::new();
        for part in wire.chunks(step) {
            let mut part = part;
            while !part.is_empty() {
                let space = assembly.space();
                let count = part.len().min(space.len());
                assert!(count > 0, "no space, and no message either");
                space[..count].copy_from_slice(&part[..count]);
                assembly.advance(count);
                part = &part[count..];
                while let Some(message) = assembly.next()? {
                    messages.push(message);
                }
            }
        }
        Ok(messages)
    }

    fn mixed(bodies: &[Vec<u8>]) -> Vec<u8> {
        let mut left: Vec<Outgoing> = bodies
            .iter()
            .zip(0..)
            .map(|(body, id)| {
                let (head, body) = body.split_at(body.len().min(10));
                Outgoing::new(Kind::Result, id, head.to_vec(), body.into())
            })
            .collect();
        let mut wire = Vec::new();
        while !left.is_empty() {
            left.retain_mut(|message| !message.put_frame(&mut wire));
        }
        wire
    }

    #[test]
    fn messages_come_out_as_they_went_in_however_they_are_cut() {
        let mut numbers = Numbers(7);
        let sizes = [0, 1, 9, 10, 11, FRAGMENT, FRAGMENT + 1, 5 * FRAGMENT];
        let bodies: Vec<Vec<u8>> = sizes
            .iter()
            .map(|size| (0..*size).map(|_| numbers.below(256) as u8).collect())
            .collect();
        let wire = mixed(&bodies);
        for step in [1, 3, HEAD, FRAGMENT, wire.len()] {
            let mut assembly = Assembly::new(bodies.len(), usize::MAX);
            let mut messages = read_all(&mut assembly, &wire, step).unwrap();
            messages.sort_by_key(|message| message.id);
            let came: Vec<_> = messages.into_iter().map(|message| message.body).collect();
            assert!(came == bodies, "cut after each {step} bytes");
            assert!(assembly.is_between_messages());
        }
    }

    #[test]
    fn a_small_message_overtakes_a_large_one() {
        let wire = mixed(&[vec![0; 10 * FRAGMENT], vec![1; 10]]);
        let messages = read_all(&mut Assembly::new(2, usize::MAX), &wire, wire.len()).unwrap();
        assert_eq!(messages[0].id, 1);
    }

    #[test]
    fn what_is_skipped_does_not_go() {
        let body: Vec<u8> = (0..100).collect();
        let message = Outgoing::new(Kind::Job, 1, vec![255], body.into());
        let mut wire = Vec::new();
        assert!(message.skip(98).put_frame(&mut wire));
        let messages = read_all(&mut Assembly::new(1, 100), &wire, 5).unwrap();
        assert_eq!(messages[0].body, [255, 98, 99]);
    }

    #[test]
    fn bounds_hold() {
        let wire = mixed(&[vec![0; 3 * FRAGMENT]]);
        let cut = |parts, bytes| read_all(&mut Assembly::new(parts, bytes), &wire, 100).is_ok();
        assert!(cut(1, 3 * FRAGMENT));
        assert!(!cut(1, 3 * FRAGMENT - 1));
        assert!(!cut(0, 3 * FRAGMENT));
        let whole = mixed(&[vec![0; 100]]);
        assert!(read_all(&mut Assembly::new(0, 99), &whole, 100).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic_or_grow() {
        let good = mixed(&[vec![7; 100], vec![8; 2 * FRAGMENT], Vec::new()]);
        let mut numbers = Numbers(99);
        let mut refused = 0;
        for _ in 0..2_000 {
            let mut wire = good.clone();
            for _ in 0..=numbers.below(4) {
                let at = numbers.below(wire.len().min(4 * HEAD));
                wire[at] = numbers.below(256) as u8;
            }
            wire.truncate(numbers.below(wire.len()));
            let mut assembly = Assembly::new(2, 3 * FRAGMENT);
            refused += usize::from(read_all(&mut assembly, &wire, 1_000).is_err());
            let held: usize = assembly.parts.values().map(Vec::len).sum();
            assert!(held <= 2 * 3 * FRAGMENT);
        }
        assert!(refused > 100, "only {refused} were refused");
    }

    #[test]
    fn items_are_taken_as_they_were_put() {
        let mut items = Vec::new();
        for item in [&b"one"[..], b"", b"three"] {
            let write = |items: &mut Vec<u8>| {
                items.extend(item);
                Ok::<_, ()>(())
            };
            put_item(&mut items, write).unwrap();
        }
        let half = |items: &mut Vec<u8>| {
            items.push(1);
            Err(())
        };
        assert!(put_item(&mut items, half).is_err());
        assert_eq!(skip_items(&items, 1), 7);
        assert_eq!(skip_items(&items, 9), items.len());
        let mut rest = &items[..];
        for item in [&b"one"[..], b"", b"three"] {
            assert_eq!(take_item(&mut rest).unwrap(), item);
        }
        assert!(take_item(&mut rest).is_err());
        assert!(take_item(&mut &items[..5]).is_err());
    }
}
