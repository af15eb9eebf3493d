//! The connections of a session: how many there may be, who waits for one, and those that are kept.
//!
//! A *slot* is the right to one connection to a host. It is a permit of the host's semaphore and one of the
//! session's, taken in this order; both semaphores are first in, first out, so who waits for a host that is
//! full holds up nobody else, and no slot is lost to one who is cancelled while he waits. A [`Lease`] is a
//! slot with a connection. It gives the connection back *before* the slot: whoever gets the slot next finds the
//! connection.
//!
//! Kept connections hold no slot. Those in use and those that are kept together are never more than the limit:
//! before one is opened, the eldest are closed until there is room. So there is always room, as there are never
//! more slots than the limit; and a host that has no kept connection of its own has room under its own limit.
//!
//! The table is behind one of the kernel's locks, under which nothing waits and nothing is dropped or closed.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::connection::Connection;
use super::deadlines::Limit;
use super::error::Error;
use crate::rt::{Mutex, MutexGuard};
use crate::sync::Semaphore;
use crate::time::{Duration, Instant};

/// Where a connection leads.
#[derive(PartialEq, Eq, Hash, Debug)]
pub(super) struct Place {
    pub(super) is_https: bool,
    pub(super) host: String,
    pub(super) port: u16,
}

/// How many connections there may be, and how long one is kept; `None` is as many, and as long, as one likes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) total: Option<usize>,
    pub(super) per_host: Option<usize>,
    pub(super) keep: Duration,
}

pub(super) struct Pool {
    limits: Limits,
    total: Option<Semaphore>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    hosts: HashMap<Arc<Place>, Host>,
    /// By their age.
    kept: BTreeMap<u64, Kept>,
    next: u64,
    /// Slots that are taken.
    in_use: usize,
    waiting: usize,
}

/// There as long as somebody has a slot or waits for one, or a connection is kept.
#[derive(Default)]
struct Host {
    users: usize,
    permits: Option<Arc<Semaphore>>,
    /// Keys into the kept ones, the eldest first.
    kept: VecDeque<u64>,
}

struct Kept {
    place: Arc<Place>,
    connection: Connection,
    since: Instant,
}

impl Pool {
    pub(super) fn new(limits: Limits) -> Pool {
        Pool {
            limits,
            total: limits.total.map(Semaphore::new),
            table: Mutex::new(Table::default()),
        }
    }

    /// Waits for a slot; first come, first served.
    pub(super) fn slot(self: &Arc<Self>, place: Place, limit: Limit) -> Result<Slot, Error> {
        let mut slot = self.enter(Arc::new(place));
        if let Some(permits) = slot.permits.clone() {
            take(&permits, limit)?;
            slot.has_permit = true;
        }
        if let Some(total) = &self.total {
            take(total, limit)?;
        }
        slot.has_total = true;
        let mut table = self.lock();
        table.waiting -= 1;
        table.in_use += 1;
        drop(table);
        Ok(slot)
    }

    /// Counts in somebody who wants a slot.
    fn enter(self: &Arc<Self>, place: Arc<Place>) -> Slot {
        let mut table = self.lock();
        table.waiting += 1;
        let host = table.hosts.entry(Arc::clone(&place)).or_default();
        host.users += 1;
        if host.permits.is_none() {
            let permits = self.limits.per_host.map(Semaphore::new);
            host.permits = permits.map(Arc::new);
        }
        Slot {
            pool: Arc::clone(self),
            place,
            permits: host.permits.clone(),
            has_permit: false,
            has_total: false,
        }
    }

    /// In use, kept, and waited for.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let table = self.lock();
        (table.in_use, table.kept.len(), table.waiting)
    }

    /// Closes those that are kept.
    pub(super) fn close_kept(&self) {
        let closed = self.lock().take_eldest(usize::MAX, Instant::NEVER);
        drop(closed);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock()
    }
}

fn take(permits: &Semaphore, limit: Limit) -> Result<(), Error> {
    let permit = match limit.left()? {
        None => permits.acquire(),
        Some(left) => permits
            .acquire_timeout(left)
            .ok_or_else(|| limit.passed())?,
    };
    // The slot gives it back.
    permit.forget();
    Ok(())
}

impl Table {
    /// Takes out so many of the eldest, and all that are kept since before that moment.
    fn take_eldest(&mut self, count: usize, before: Instant) -> Vec<Kept> {
        let mut taken = Vec::new();
        while let Some(eldest) = self.kept.first_entry()
            && (taken.len() < count)
            && eldest.get().since < before
        {
            let kept = eldest.remove();
            if let Some(host) = self.hosts.get_mut(&kept.place) {
                host.kept.pop_front();
            }
            self.forget_if_unused(&kept.place);
            taken.push(kept);
        }
        taken
    }

    fn forget_if_unused(&mut self, place: &Arc<Place>) {
        let host = self.hosts.get(place);
        if host.is_some_and(|host| host.users == 0 && host.kept.is_empty()) {
            self.hosts.remove(place);
        }
    }
}

/// The right to one connection, or a place in the line for it.
pub(super) struct Slot {
    pool: Arc<Pool>,
    place: Arc<Place>,
    permits: Option<Arc<Semaphore>>,
    has_permit: bool,
    has_total: bool,
}

impl Slot {
    /// A kept connection to this host that is still open, the one that was used last. `lightly`: it is no great loss if
    /// it turns out to be closed.
    pub(super) fn kept(&self, now: Instant, lightly: bool) -> Option<Connection> {
        loop {
            let mut table = self.pool.lock();
            let key = table.hosts.get_mut(&self.place)?.kept.pop_back()?;
            let kept = table.kept.remove(&key)?;
            drop(table);
            let mut connection = kept.connection;
            let is_young = now.duration_since(kept.since) < self.pool.limits.keep;
            if is_young && connection.is_open(lightly) {
                connection.note_reuse();
                return Some(connection);
            }
        }
    }

    /// Closes kept connections until one more may be opened.
    pub(super) fn make_room(&self) {
        let Some(limit) = self.pool.limits.total else {
            return;
        };
        let mut table = self.pool.lock();
        let surplus = (table.in_use + table.kept.len()).saturating_sub(limit);
        let closed = table.take_eldest(surplus, Instant::NEVER);
        drop(table);
        drop(closed);
    }

    pub(super) fn with(self, connection: Connection) -> Lease {
        Lease {
            connection,
            slot: self,
        }
    }

    fn keep(&self, connection: Connection, since: Instant) {
        if self.pool.limits.keep.is_zero() {
            return;
        }
        let mut table = self.pool.lock();
        let key = table.next;
        table.next += 1;
        let place = Arc::clone(&self.place);
        if let Some(host) = table.hosts.get_mut(&place) {
            host.kept.push_back(key);
        }
        let kept = Kept {
            place,
            connection,
            since,
        };
        table.kept.insert(key, kept);
        let too_old = since.checked_sub(self.pool.limits.keep);
        let closed = too_old.map(|too_old| table.take_eldest(usize::MAX, too_old));
        drop(table);
        drop(closed);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut table = self.pool.lock();
        if self.has_total {
            table.in_use -= 1;
        } else {
            table.waiting -= 1;
        }
        if let Some(host) = table.hosts.get_mut(&self.place) {
            host.users -= 1;
        }
        table.forget_if_unused(&self.place);
        drop(table);
        if let Some(total) = self.pool.total.as_ref().filter(|_| self.has_total) {
            total.release(1);
        }
        if let Some(permits) = self.permits.as_ref().filter(|_| self.has_permit) {
            permits.release(1);
        }
    }
}

/// A connection and its slot. Dropping it closes the connection.
pub(super) struct Lease {
    // Before the slot, so that it is closed when the next one may be opened.
    pub(super) connection: Connection,
    slot: Slot,
}

impl Lease {
    /// Closes the connection; another one may be opened in its place.
    pub(super) fn into_slot(self) -> Slot {
        self.slot
    }

    /// Keeps the connection for the next request, and gives the slot back.
    pub(super) fn give_back(self, now: Instant) {
        let Lease {
            mut connection,
            slot,
        } = self;
        connection.rest();
        slot.keep(connection, now);
    }
}
