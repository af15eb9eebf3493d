//! A hub's side of readiness: the epoll instance, and the sources registered with it.
//!
//! Only mio is asked, and always edge-triggered, for both directions and urgent data at once. The
//! token of a registration is a place in a table and a generation, so an event that was under way
//! when its source left finds nobody, whatever descriptor has taken the number since.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mio::unix::SourceFd;
use mio::{Interest, Token};

use super::source::{Readiness, Source};
use crate::sys::fork;
use crate::sys::sync::{Mutex, MutexGuard};

/// The token of the hub's own waker: no place in any table.
pub(super) const WAKER: Token = Token(usize::MAX);

/// See the module's text.
pub(super) struct Reactor {
    registry: mio::Registry,
    table: Mutex<Table>,
    registered: Arc<AtomicUsize>,
    /// The fork generation it was made in: a forked child shares the epoll instance with its parent
    /// and must change nothing there.
    generation: u32,
}

/// What a source keeps of its registration.
pub(super) struct Registration {
    pub(super) reactor: Arc<Reactor>,
    pub(super) fd: RawFd,
    token: Token,
}

#[derive(Default)]
struct Table {
    places: Vec<Place>,
    free: Vec<usize>,
}

struct Place {
    generation: u32,
    source: Option<Arc<Source>>,
}

const PLACE_BITS: u32 = 32;

impl Reactor {
    pub(super) fn new(registry: mio::Registry) -> Reactor {
        Reactor {
            registry,
            table: Mutex::default(),
            registered: Arc::default(),
            generation: fork::generation(),
        }
    }

    /// Registers `fd` for `source`. The source's readiness is told from now on, and once for what is
    /// ready already.
    pub(super) fn register(
        self: &Arc<Self>,
        source: &Arc<Source>,
        fd: RawFd,
    ) -> io::Result<Registration> {
        let token = self.table().insert(source.clone());
        let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        if let Err(error) = self.registry.register(&mut SourceFd(&fd), token, interest) {
            self.table().remove(token);
            return Err(error);
        }
        self.registered.fetch_add(1, Ordering::Relaxed);
        Ok(Registration {
            reactor: self.clone(),
            fd,
            token,
        })
    }

    /// Is anything registered, so that asking the kernel makes sense?
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.registered.load(Ordering::Relaxed) == 0
    }

    /// How many sources are registered; it can be kept without keeping the epoll instance open.
    pub(super) fn registered(&self) -> Arc<AtomicUsize> {
        self.registered.clone()
    }

    /// Tells the sources what the kernel said.
    pub(super) fn dispatch(&self, events: &mio::Events) {
        let mut table = None;
        for event in events {
            if event.token() == WAKER {
                continue;
            }
            let table = table.get_or_insert_with(|| self.table());
            if let Some(source) = table.get(event.token()) {
                source.notice(Readiness::of(event));
            }
        }
    }

    /// The hub ends, or is not driven for a while: its sources forget it, and register elsewhere when
    /// they must wait again.
    pub(super) fn release(&self) {
        let sources: Vec<_> = {
            let table = self.table();
            let places = table.places.iter();
            places.filter_map(|place| place.source.clone()).collect()
        };
        for source in sources {
            source.forget_hub(self);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock()
    }
}

impl Registration {
    /// Ends the registration. The descriptor is still open.
    ///
    /// It fails only if somebody closed the descriptor behind our back, and then there is nothing left
    /// to undo.
    pub(super) fn end(self) -> io::Result<()> {
        let reactor = &self.reactor;
        let source = reactor.table().remove(self.token);
        if source.is_none() {
            return Ok(());
        }
        reactor.registered.fetch_sub(1, Ordering::Relaxed);
        if reactor.generation != fork::generation() {
            return Ok(());
        }
        reactor.registry.deregister(&mut SourceFd(&self.fd))
    }
}

impl Table {
    fn insert(&mut self, source: Arc<Source>) -> Token {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place {
                generation: 0,
                source: None,
            });
            self.places.len() - 1
        });
        let entry = &mut self.places[place];
        entry.source = Some(source);
        Token(place | (entry.generation as usize) << PLACE_BITS)
    }

    fn remove(&mut self, token: Token) -> Option<Arc<Source>> {
        let (place, generation) = split(token);
        let entry = self.places.get_mut(place)?;
        if entry.generation != generation {
            return None;
        }
        // Half the numbers are enough: with all of them the last one's token would be the waker's.
        entry.generation = (entry.generation + 1) % (u32::MAX / 2);
        self.free.push(place);
        entry.source.take()
    }

    fn get(&self, token: Token) -> Option<&Source> {
        let (place, generation) = split(token);
        let entry = self.places.get(place)?;
        entry
            .source
            .as_deref()
            .filter(|_| entry.generation == generation)
    }
}

fn split(token: Token) -> (usize, u32) {
    let place = token.0 & ((1 << PLACE_BITS) - 1);
    (place, (token.0 >> PLACE_BITS) as u32)
}
