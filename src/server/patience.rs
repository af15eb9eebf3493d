//! What to do when the next peer cannot be had.

use std::fmt::Display;
use std::io::{self, ErrorKind};

use crate::rt;
use crate::task::Cancelled;
use crate::thread;
use crate::time::Duration;

/// What an error of `accept` or `recvfrom` is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
    /// One peer, who is gone.
    Peer,
    /// Descriptors or memory, of which there may be some again soon.
    Scarcity,
    /// The socket itself, or its owner is to end.
    Ours,
}

impl Trouble {
    pub(super) fn of(error: &io::Error) -> Trouble {
        match error.kind() {
            ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::HostUnreachable
            | ErrorKind::Interrupted
            | ErrorKind::NetworkDown
            | ErrorKind::NetworkUnreachable
            // A firewall forbids this one.
            | ErrorKind::PermissionDenied
            | ErrorKind::TimedOut => Trouble::Peer,
            ErrorKind::InvalidInput => Trouble::Ours,
            _ if is_cancelled(error) => Trouble::Ours,
            // Whatever else it is: to wait a little does no harm.
            _ => Trouble::Scarcity,
        }
    }
}

/// Pauses that grow until something succeeds.
pub(super) struct Patience {
    next: Duration,
}

const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_secs(1);

impl Patience {
    pub(super) fn new() -> Patience {
        Patience { next: SHORTEST }
    }

    pub(super) fn succeeded(&mut self) {
        self.next = SHORTEST;
    }

    /// Suspends for a while. The first time, tells of it.
    pub(super) fn wait(&mut self, doing: &dyn Display, error: &io::Error) {
        if self.next == SHORTEST {
            rt::report(format_args!("{doing} failed, and is tried again: {error}"));
        }
        thread::sleep(self.next);
        self.next = (self.next * 2).min(LONGEST);
    }
}

/// Where nothing can unwind, this is how a green thread learns that it is cancelled.
fn is_cancelled(error: &io::Error) -> bool {
    let cause = error.get_ref();
    cause.is_some_and(<dyn std::error::Error + Send + Sync>::is::<Cancelled>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart() {
        for (number, trouble) in [
            (103, Trouble::Peer),     // ECONNABORTED
            (1, Trouble::Peer),       // EPERM
            (24, Trouble::Scarcity),  // EMFILE
            (23, Trouble::Scarcity),  // ENFILE
            (105, Trouble::Scarcity), // ENOBUFS
            (12, Trouble::Scarcity),  // ENOMEM
            (22, Trouble::Ours),      // EINVAL
        ] {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(Trouble::of(&error), trouble, "{error}");
        }
    }
}
