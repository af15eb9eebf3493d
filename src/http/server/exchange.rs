//! One request and its answer, between the driver of the connection and the handler, which are two green threads of one hub.
//!
//! The handler gives the head of its answer, then the pieces of its body, one at a time: it waits in `line` until the
//! driver has taken the one before. It stirs the driver by each. If the client leaves, or wants no more, the driver
//! drops its side: that says that it is `gone`, and cancels the handler.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use super::Request;
use super::link::Link;
use super::upgrade::Upgraded;
use crate::rt::{Instant, Reason, WaitQueue};
use crate::thread::LocalJoinHandle;
use hyper::body::Bytes;

pub(super) struct Exchange {
    link: Rc<Link>,
    /// Here, and not among what the handler's thread captures: that is moved more often.
    request: RefCell<Option<Request>>,
    answer: Cell<Option<Answer>>,
    is_answered: Cell<bool>,
    /// The answer's body is not whole yet.
    is_partial: Cell<bool>,
    piece: RefCell<Piece>,
    line: WaitQueue,
    is_gone: Cell<bool>,
    has_ended: Cell<bool>,
    upgraded: Cell<Option<Upgraded>>,
    handler: Cell<Option<LocalJoinHandle<()>>>,
}

/// The head of an answer, and what is known of its body.
pub(super) struct Answer {
    pub(super) head: hyper::Response<()>,
    pub(super) body: Outline,
}

pub(super) enum Outline {
    /// All of it.
    Whole(Bytes),
    /// It comes in pieces, of this length together if that is known.
    Pieces(Option<u64>),
    /// There is none: the connection goes to the handler.
    Upgrade,
}

/// What the handler has put there for the driver.
pub(super) enum Piece {
    Nothing,
    Data(Bytes),
    Failure(io::Error),
    End,
}

impl Exchange {
    pub(super) fn new(link: Rc<Link>, request: Request) -> Rc<Exchange> {
        Rc::new(Exchange {
            link,
            request: RefCell::new(Some(request)),
            answer: Cell::new(None),
            is_answered: Cell::new(false),
            is_partial: Cell::new(false),
            piece: RefCell::new(Piece::Nothing),
            line: WaitQueue::new(),
            is_gone: Cell::new(false),
            has_ended: Cell::new(false),
            upgraded: Cell::new(None),
            handler: Cell::new(None),
        })
    }

    pub(super) fn link(&self) -> &Rc<Link> {
        &self.link
    }

    // ---- the driver's side

    /// Does the request say that its body is longer than it may be?
    pub(super) fn is_too_long(&self) -> bool {
        let request = self.request.borrow();
        request
            .as_ref()
            .is_some_and(|request| request.body().is_too_long())
    }

    pub(super) fn set_handler(&self, handler: LocalJoinHandle<()>) {
        self.handler.set(Some(handler));
    }

    pub(super) fn take_answer(&self) -> Option<Answer> {
        let answer = self.answer.take()?;
        if !matches!(answer.body, Outline::Pieces(_)) {
            // Nothing more comes. Of pieces the first may be here already.
            self.link.calm();
        }
        Some(answer)
    }

    /// `Nothing`: the handler has not got so far.
    pub(super) fn take_piece(&self) -> Piece {
        let piece = self.piece.replace(Piece::Nothing);
        if !matches!(piece, Piece::Nothing) {
            self.line.wake_one();
        }
        piece
    }

    /// The handler is done but for its very end, or goes on without the driver's interest.
    pub(super) fn release(&self) {
        if let Some(handler) = self.handler.take()
            && !handler.is_finished()
        {
            self.link.keep(handler);
        }
    }

    /// As [`release`](Self::release); no more pieces are wanted.
    pub(super) fn close(&self) {
        self.is_gone.set(true);
        self.line.wake_all();
        self.release();
    }

    /// Nobody wants what the handler would still give.
    pub(super) fn abandon(&self) {
        self.is_gone.set(true);
        self.line.wake_all();
        if let Some(handler) = self.handler.take()
            && !handler.is_finished()
        {
            handler.cancel();
            self.link.keep(handler);
        }
    }

    /// The head of the answer is written, and the connection the handler's.
    pub(super) fn hand_over(&self, upgraded: Upgraded) {
        self.upgraded.set(Some(upgraded));
        self.line.wake_all();
    }

    /// Suspends until the handler is done.
    pub(super) fn wait_for_end(&self) {
        while !self.has_ended.get() {
            let has_ended = || self.has_ended.get();
            self.line.wait(Reason::Join, Instant::NEVER, has_ended);
        }
    }

    // ---- the handler's side

    pub(super) fn take_request(&self) -> Option<Request> {
        self.request.take()
    }

    pub(super) fn is_answered(&self) -> bool {
        self.is_answered.get()
    }

    pub(super) fn give_answer(&self, answer: Answer) {
        self.is_answered.set(true);
        self.is_partial
            .set(matches!(answer.body, Outline::Pieces(_)));
        self.answer.set(Some(answer));
        self.link.stir();
    }

    /// Suspends until there is room for a piece. An error: nobody wants it.
    pub(super) fn give_piece(&self, piece: Piece) -> io::Result<()> {
        let has_room = || self.is_gone.get() || matches!(*self.piece.borrow(), Piece::Nothing);
        while !has_room() {
            self.line.wait(Reason::Send, Instant::NEVER, has_room);
        }
        if self.is_gone.get() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.is_partial.set(matches!(piece, Piece::Data(_)));
        self.piece.replace(piece);
        self.link.stir();
        Ok(())
    }

    /// The handler is done. What is not whole must not look so.
    pub(super) fn end(&self) {
        self.has_ended.set(true);
        self.line.wake_all();
        if self.is_partial.take() {
            let failure = io::Error::other("the body of a response was cut short");
            self.piece.replace(Piece::Failure(failure));
            self.link.stir();
        }
    }

    /// Suspends until the connection is the handler's. `None`: it has failed before.
    pub(super) fn upgraded(&self) -> Option<Upgraded> {
        loop {
            if let Some(upgraded) = self.upgraded.take() {
                return Some(upgraded);
            }
            if self.is_gone.get() {
                return None;
            }
            self.line.wait(Reason::Receive, Instant::NEVER, || {
                let upgraded = self.upgraded.take();
                let has_come = upgraded.is_some();
                self.upgraded.set(upgraded);
                has_come || self.is_gone.get()
            });
        }
    }
}
