//! Host names: `getaddrinfo` on a pool of OS threads, once for all who ask for a name at one time.
//!
//! `LOOKUPS` holds the lookups in flight. Who finds none there puts one there and gives the job to the
//! pool; then all wait in line alike. The job belongs to none of them: whoever started it may be
//! cancelled, and the others still get their answer. However the job ends, its [`Publication`] takes
//! the lookup off the map and wakes everyone.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, LazyLock};

use crate::rt::{self, Instant, Mutex, MutexGuard, OffloadPool, OnceLock, Reason, WaitQueue};

/// Apart from the pool for files, so that no slow disk delays a lookup.
static DNS: LazyLock<OffloadPool> = LazyLock::new(|| OffloadPool::new("sylvan-dns", 32));

static LOOKUPS: Mutex<BTreeMap<Box<str>, Arc<Lookup>>> = Mutex::new(BTreeMap::new());

/// A lookup in flight, shared by all who wait for it.
struct Lookup {
    answer: OnceLock<Answer>,
    waiters: WaitQueue,
}

type Answer = io::Result<Vec<SocketAddr>>;

/// The addresses of a host, with port 0; suspends the caller.
pub(super) fn lookup(host: &str) -> Answer {
    let lookup = join_or_start(host);
    loop {
        if let Some(answer) = lookup.answer.get() {
            return copy(answer);
        }
        let is_answered = || lookup.answer.get().is_some();
        // The caller's own deadline throws out of the wait.
        let pass_on = |_| {}; // All are woken.
        lookup
            .waiters
            .wait_or_fail(Reason::Lookup, Instant::NEVER, is_answered, pass_on)?;
    }
}

/// The lookup of this host that is in flight; a new one if there is none.
fn join_or_start(host: &str) -> Arc<Lookup> {
    let mut lookups = lock_lookups();
    if let Some(lookup) = lookups.get(host) {
        return Arc::clone(lookup);
    }
    let lookup = Arc::new(Lookup {
        answer: OnceLock::new(),
        waiters: WaitQueue::new(),
    });
    lookups.insert(host.into(), Arc::clone(&lookup));
    drop(lookups);

    let publication = Publication {
        host: host.into(),
        lookup: Arc::clone(&lookup),
    };
    rt::detach_to(&DNS, move || {
        if publication.is_abandoned() {
            return;
        }
        let addresses = (&*publication.host, 0).to_socket_addrs();
        publication.publish(addresses.map(Iterator::collect));
    });
    lookup
}

/// The duty to end a lookup, wherever the job that carries it ends.
struct Publication {
    host: Box<str>,
    lookup: Arc<Lookup>,
}

impl Publication {
    /// Have all who asked left before their turn came? A resolver that hangs must not make those who ask
    /// now wait for the answers to questions that nobody asks any more.
    fn is_abandoned(&self) -> bool {
        let mut lookups = lock_lookups();
        // The map's and ours; whoever waits has one more, taken under this lock.
        let abandoned = Arc::strong_count(&self.lookup) == 2;
        if abandoned {
            lookups.remove(&self.host);
        }
        abandoned
    }

    fn publish(self, answer: Answer) {
        let _ = self.lookup.answer.set(answer);
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        // Off the map first: who comes now must not find an old answer.
        let mut lookups = lock_lookups();
        let ours = |there: &Arc<Lookup>| Arc::ptr_eq(there, &self.lookup);
        if lookups.get(&self.host).is_some_and(ours) {
            lookups.remove(&self.host);
        }
        drop(lookups);
        // Only a job that never ran to its end has left this to be done.
        let given_up = || Err(io::Error::other("the lookup was given up"));
        self.lookup.answer.get_or_init(given_up);
        self.lookup.waiters.wake_all();
    }
}

fn lock_lookups() -> MutexGuard<'static, BTreeMap<Box<str>, Arc<Lookup>>> {
    LOOKUPS.lock()
}

/// An answer for one of those who share it. `io::Error` cannot be cloned, but all that std's lookups
/// put into one can be told: its number, or its kind and its words.
fn copy(answer: &Answer) -> Answer {
    match answer {
        Ok(addresses) => Ok(addresses.clone()),
        Err(error) => Err(match error.raw_os_error() {
            Some(number) => io::Error::from_raw_os_error(number),
            None => io::Error::new(error.kind(), error.to_string()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::thread;

    #[test]
    fn all_who_ask_get_the_answer() {
        let start = Arc::new(Barrier::new(8));
        let askers: Vec<_> = (0..8)
            .map(|_| {
                let start = Arc::clone(&start);
                thread::spawn(move || {
                    start.wait();
                    lookup("localhost").unwrap()
                })
            })
            .collect();
        for asker in askers {
            let addresses = asker.join().unwrap();
            assert!(addresses.iter().all(|address| address.ip().is_loopback()));
            assert!(!addresses.is_empty());
        }
        assert!(!lock_lookups().contains_key("localhost"));
    }

    #[test]
    fn an_error_is_told_as_std_tells_it() {
        let host = "no such host";
        let ours = lookup(host).unwrap_err();
        let theirs = (host, 0).to_socket_addrs().unwrap_err();
        assert_eq!(ours.kind(), theirs.kind());
        assert_eq!(ours.to_string(), theirs.to_string());
        assert_eq!(ours.raw_os_error(), theirs.raw_os_error());
    }

    #[test]
    fn a_lookup_that_all_have_left_is_not_made() {
        let host = "left.alone.test";
        let lookup = Arc::new(Lookup {
            answer: OnceLock::new(),
            waiters: WaitQueue::new(),
        });
        lock_lookups().insert(host.into(), Arc::clone(&lookup));
        let publication = Publication {
            host: host.into(),
            lookup: Arc::clone(&lookup),
        };
        assert!(!publication.is_abandoned(), "this test still has it");
        drop(lookup);
        assert!(publication.is_abandoned());
        assert!(!lock_lookups().contains_key(host));
        // One that was begun since is another's to end.
        let next = Arc::new(Lookup {
            answer: OnceLock::new(),
            waiters: WaitQueue::new(),
        });
        lock_lookups().insert(host.into(), Arc::clone(&next));
        drop(publication);
        assert!(lock_lookups().remove(host).is_some());
    }

    #[test]
    fn a_job_that_never_ran_still_ends_its_lookup() {
        let host = "given.up.test";
        let lookup = Arc::new(Lookup {
            answer: OnceLock::new(),
            waiters: WaitQueue::new(),
        });
        lock_lookups().insert(host.into(), Arc::clone(&lookup));
        drop(Publication {
            host: host.into(),
            lookup: Arc::clone(&lookup),
        });
        assert!(matches!(lookup.answer.get(), Some(Err(_))));
        assert!(!lock_lookups().contains_key(host));
    }
}
