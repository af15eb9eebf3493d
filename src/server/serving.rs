//! [`Serving`]: a server that has started.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::crew::Crew;
use crate::rt;
use crate::task::Group;
use crate::thread;
use crate::time::Duration;

/// A server that has started. Clones are the same server.
///
/// It goes on when this is dropped, until the [`run`](crate::run) around it ends, as green threads do.
#[derive(Clone)]
pub struct Serving {
    shared: Arc<Shared>,
}

struct Shared {
    address: SocketAddr,
    grace: Duration,
    crew: Arc<Crew>,
    /// One thread, which owns the socket.
    receptionist: Group,
    /// Why it ended, if nobody stopped it.
    failure: rt::Mutex<Option<io::Error>>,
}

/// What a server has done so far; see [`Serving::stats`].
///
/// ```
/// use sylvan::server::{DatagramServer, Stats};
///
/// sylvan::run(|| {
///     let serving = DatagramServer::bind("127.0.0.1:0").unwrap().start(|_| ()).unwrap();
///     assert_eq!(serving.stats(), Stats::default());
/// });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Connections, or datagrams, for which a handler was begun.
    pub accepted: u64,
    /// Those whose handlers have not ended.
    pub active: u64,
    /// Those that were gone before they could be accepted.
    pub refused: u64,
    /// Handlers that returned an error.
    pub failed: u64,
    /// Handlers that panicked.
    pub panicked: u64,
    /// Handlers that were cancelled.
    pub cancelled: u64,
}

impl Serving {
    /// Starts a thread that gets peers until it fails.
    pub(super) fn start(
        address: SocketAddr,
        grace: Duration,
        crew: Arc<Crew>,
        receive: impl FnOnce() -> io::Error + Send + 'static,
    ) -> io::Result<Serving> {
        let shared = Arc::new(Shared {
            address,
            grace,
            crew,
            receptionist: Group::new(),
            failure: rt::Mutex::default(),
        });
        let server = shared.clone();
        thread::Builder::new()
            .name(format!("server {address}"))
            .spawn_in_group(&shared.receptionist, move || {
                let failure = receive();
                *server.failure.lock() = Some(failure);
            })?;
        Ok(Serving { shared })
    }

    /// The address that it serves.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.address
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.crew.stats()
    }

    /// Stops gracefully: closes the socket, waits for the handlers, for as long as the server's grace; then cancels those that
    /// are left, and waits for them. Returns how many these were.
    ///
    /// Who has connected and was not accepted yet is turned away. Suspends.
    ///
    /// If the caller is cancelled, or runs out of time, no more peers are served all the same, and those that are
    /// served go on.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sylvan::net::TcpStream;
    /// use sylvan::server::StreamServer;
    /// use sylvan::thread;
    ///
    /// sylvan::run(|| {
    ///     let endless = |_, _| thread::park();
    ///     let server = StreamServer::bind("127.0.0.1:0").unwrap().grace(Duration::from_millis(5));
    ///     let serving = server.start(endless).unwrap();
    ///     let client = TcpStream::connect(serving.local_addr()).unwrap();
    ///     while serving.stats().active == 0 {
    ///         thread::yield_now();
    ///     }
    ///     assert_eq!(serving.stop(), 1);
    /// });
    /// ```
    pub fn stop(&self) -> usize {
        self.stop_within(self.shared.grace)
    }

    /// As [`stop`](Self::stop), with a grace of this call's own; zero cancels at once.
    pub fn stop_within(&self, grace: Duration) -> usize {
        let shared = &*self.shared;
        shared.receptionist.cancel();
        let _ = shared.receptionist.join();
        shared.crew.begin_to_stop();
        shared.crew.end_within(grace)
    }

    /// Suspends until it has been stopped, and nobody is served any more.
    ///
    /// # Errors
    ///
    /// If it could not go on: its socket was shut down, behind its back.
    pub fn wait(&self) -> io::Result<()> {
        let _ = self.shared.receptionist.join();
        let failure = self.shared.failure.lock().take();
        failure.map_or_else(
            || {
                self.shared.crew.wait();
                Ok(())
            },
            Err,
        )
    }

    /// Waits as [`wait`](Self::wait). If that is unwound, the server ends: nobody is accepted, all are cancelled.
    pub(crate) fn hold(&self) -> io::Result<()> {
        struct End<'serving>(&'serving Shared);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.receptionist.cancel();
                self.0.crew.cancel();
            }
        }
        let end = End(&self.shared);
        let result = self.wait();
        std::mem::forget(end);
        result
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving")
            .field("local_addr", &self.local_addr())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
