//! What the parts of one connection share: its driver, the wire under hyper, and the handler of its request. All of them are
//! on one hub.
//!
//! The driver waits for several things at once: the socket, whose watcher it is; a handler that has an
//! answer, or a piece of one; wakers of hyper's; a deadline. [`Link::pause`] is the question whether any has come, which
//! is asked before each park. A handler sets `is_stirred`, then wakes the driver.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConnection;

use super::listen::Limits;
use crate::future::Pause;
use crate::net::TcpStream;
use crate::rt::{self, Instant, TaskRef, Ticket};
use crate::task;
use crate::thread::LocalJoinHandle;

pub(super) struct Link {
    pub(super) stream: Arc<TcpStream>,
    /// The TLS that lies between, if there is any.
    pub(super) session: RefCell<Option<ServerConnection>>,
    pub(super) peer: SocketAddr,
    driver: TaskRef,
    limits: Limits,
    is_stirred: Cell<bool>,
    /// Reading, or writing, is to be tried again when there is news.
    reading: Cell<Option<Ticket>>,
    writing: Cell<Option<Ticket>>,
    /// Since when the peer has taken nothing, if something waits to be written.
    stuck_since: Cell<Instant>,
    phase: Cell<Phase>,
    since: Cell<Instant>,
    late: Cell<Option<Late>>,
    has_ended: Cell<bool>,
    is_cut: Cell<bool>,
    handlers: RefCell<Vec<LocalJoinHandle<()>>>,
}

/// Where the conversation stands. All but `Serving` have a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nothing has come yet.
    New,
    /// A head has begun to come.
    Head,
    /// A request is answered.
    Serving,
    /// A request has been answered.
    Idle,
}

/// What took too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Late {
    Idle,
    Head,
    Write,
}

impl Link {
    /// Of the calling green thread, which is the driver.
    pub(super) fn new(
        stream: TcpStream,
        session: Option<ServerConnection>,
        peer: SocketAddr,
        limits: Limits,
    ) -> Link {
        let now = rt::now_of_turn();
        Link {
            stream: Arc::new(stream),
            session: RefCell::new(session),
            peer,
            driver: rt::current_task(),
            limits,
            is_stirred: Cell::new(false),
            reading: Cell::new(None),
            writing: Cell::new(None),
            stuck_since: Cell::new(now),
            phase: Cell::new(Phase::New),
            since: Cell::new(now),
            late: Cell::new(None),
            has_ended: Cell::new(false),
            is_cut: Cell::new(false),
            handlers: RefCell::default(),
        }
    }

    /// Something has come for the driver that is no waker's business. Called on the same hub.
    pub(super) fn stir(&self) {
        if !self.is_stirred.replace(true) {
            self.driver.wake();
        }
    }

    /// The driver has seen what it was stirred for.
    pub(super) fn calm(&self) {
        self.is_stirred.set(false);
    }

    /// See the module's text.
    pub(super) fn pause(&self) -> Pause {
        if self.is_stirred.take()
            || self.takes_news(&self.reading)
            || self.takes_news(&self.writing)
        {
            return Pause::Over;
        }
        // While nothing is read, as behind a body that the handler does not want yet, no read tells of it.
        let is_deaf = self.phase.get() == Phase::Serving && self.reading.get().is_none();
        if is_deaf && self.stream.is_cut() {
            self.is_cut.set(true);
            return Pause::Over;
        }
        let (deadline, late) = self.deadline();
        if rt::has_passed(deadline) {
            self.late.set(Some(late));
            return Pause::Over;
        }
        Pause::Until(deadline)
    }

    /// Is that to be tried again? Told once: hyper may have lost interest, and then there is no new ticket.
    fn takes_news(&self, ticket: &Cell<Option<Ticket>>) -> bool {
        let has_news = ticket
            .get()
            .is_some_and(|ticket| self.stream.has_news(ticket));
        if has_news {
            ticket.set(None);
        }
        has_news
    }

    fn deadline(&self) -> (Instant, Late) {
        let (since, limit, late) = if self.writing.get().is_some() {
            (&self.stuck_since, self.limits.write, Late::Write)
        } else {
            match self.phase.get() {
                Phase::Serving => return (Instant::NEVER, Late::Idle),
                Phase::Idle => (&self.since, self.limits.idle, Late::Idle),
                Phase::New => (&self.since, self.limits.head, Late::Idle),
                Phase::Head => (&self.since, self.limits.head, Late::Head),
            }
        };
        let deadline = since.get().checked_add(limit);
        (deadline.unwrap_or(Instant::NEVER), late)
    }

    /// What has taken too long, if something has.
    pub(super) fn late(&self) -> Option<Late> {
        self.late.get()
    }

    /// Is the connection gone, both ways?
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.get()
    }

    /// Has the peer said that nothing more will come?
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.get()
    }

    // ---- told by the wire

    pub(super) fn would_read(&self, ticket: Ticket) {
        self.reading.set(Some(ticket));
    }

    pub(super) fn would_write(&self, ticket: Ticket) {
        if self.writing.replace(Some(ticket)).is_none() {
            self.stuck_since.set(rt::now_of_turn());
        }
    }

    pub(super) fn has_read(&self, amount: usize) {
        self.reading.set(None);
        if amount == 0 {
            self.has_ended.set(true);
        }
        match self.phase.get() {
            // Its time has begun with the connection.
            Phase::New => self.phase.set(Phase::Head),
            Phase::Idle => self.enter(Phase::Head),
            Phase::Head | Phase::Serving => {}
        }
    }

    pub(super) fn has_written(&self) {
        self.writing.set(None);
    }

    // ---- told by the exchange

    pub(super) fn begin_request(&self) {
        self.phase.set(Phase::Serving);
    }

    pub(super) fn end_request(&self) {
        self.enter(Phase::Idle);
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(rt::now_of_turn());
    }

    /// Keeps a handler, to be waited for at the end.
    pub(super) fn keep(&self, handler: LocalJoinHandle<()>) {
        let mut handlers = self.handlers.borrow_mut();
        handlers.retain(|handler| !handler.is_finished());
        handlers.push(handler);
    }

    /// Cancels all handlers, and suspends until they have ended, whatever is due meanwhile.
    pub(super) fn end_handlers(&self) {
        self.handlers
            .borrow()
            .iter()
            .for_each(LocalJoinHandle::cancel);
        task::mask(|| {
            loop {
                let next = self.handlers.borrow_mut().pop();
                let Some(handler) = next else { return };
                // It caught whatever failed in it.
                let _ = handler.join();
            }
        });
    }
}
