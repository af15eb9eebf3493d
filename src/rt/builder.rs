//! What a runtime can be told before it is made.

use std::io;
use std::time::Duration;

use super::deadlock::{OnDeadlock, Reports};
use super::runtime::Runtime;
use super::shared::Shared;
use super::worker::default_stack_size;

/// Sets up a [`Runtime`].
///
/// ```
/// use sylvan::runtime::Runtime;
///
/// # fn main() -> std::io::Result<()> {
/// let runtime = Runtime::builder().workers(2).build()?;
/// assert_eq!(runtime.run(|| 6 * 7), 42);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct Builder {
    workers: usize,
    stack_size: Option<usize>,
    cancel_on_ctrl_c: bool,
    reports: Reports,
}

impl Builder {
    /// One hub, and stacks of one MiB.
    pub fn new() -> Builder {
        Builder {
            workers: 1,
            stack_size: None,
            cancel_on_ctrl_c: false,
            reports: Reports::default(),
        }
    }

    /// The number of hubs, one of which is the thread that calls [`Runtime::run`], while it does.
    ///
    /// With one, the order in which green threads run is deterministic.
    pub fn workers(mut self, workers: usize) -> Builder {
        self.workers = workers;
        self
    }

    /// The stack size, in bytes, of green threads that ask for none. It is address space; only what is
    /// touched costs memory. Sizes are rounded up to 64 KiB, 256 KiB, 1 MiB or 8 MiB.
    ///
    /// The default is the environment variable `RUST_MIN_STACK`, as in std, or else 1 MiB.
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.stack_size = Some(bytes);
        self
    }

    /// Whether ^C (SIGINT) stops the runtime. It does not unless this is called with `true`.
    ///
    /// The first ^C is what [`Handle::stop`](super::Handle::stop) is: the main green thread is cancelled and unwinds, so all its
    /// destructors run; [`run`](Runtime::run) unwinds its caller, [`try_run`](Runtime::try_run) returns
    /// [`Cancelled`](crate::task::Cancelled), and [`run_forever`](Runtime::run_forever) returns. The other
    /// green threads are unwound when the runtime is closed or dropped, as always.
    ///
    /// A second ^C that comes before that is done, or before the runtime is run again, ends the process at
    /// once. It prints a list of the green threads that are alive, with what each waits for, to standard
    /// error; then the signal has its usual effect, and a shell says 130. That works even if green
    /// threads hang in loops that never wait: an OS thread listens, which sleeps until a ^C comes.
    ///
    /// # The exit status of the program
    ///
    /// `run` in `main` ends the program, after a first ^C, with the status of a panic, 101, but without a
    /// message. With `try_run` the program chooses:
    ///
    /// ```
    /// use std::process::ExitCode;
    /// use sylvan::runtime::Runtime;
    /// use sylvan::task::Cancelled;
    ///
    /// fn main() -> ExitCode {
    ///     let runtime = Runtime::builder().cancel_on_ctrl_c(true).build().unwrap();
    ///     let outcome = runtime.try_run(|| println!("press ^C to stop this"));
    ///     // All others unwind before the program ends.
    ///     runtime.close();
    ///     match outcome {
    ///         Ok(()) => ExitCode::SUCCESS,
    ///         Err(payload) if payload.is::<Cancelled>() => ExitCode::from(130),
    ///         Err(panic) => std::panic::resume_unwind(panic),
    ///     }
    /// }
    /// ```
    ///
    /// # Several listeners
    ///
    /// A ^C stops all runtimes that were built so and are not closed; the list names the green threads of all of
    /// them. [`Signals`](crate::signal::Signals) and a handler of the program's own see it as well. When
    /// the last such runtime is gone ^C does again what it did before.
    ///
    /// With `panic = "abort"` nothing can unwind: the first ^C only makes
    /// [`cancel_requested`](crate::task::cancel_requested) true in the main green thread.
    pub fn cancel_on_ctrl_c(mut self, cancel: bool) -> Builder {
        self.cancel_on_ctrl_c = cancel;
        self
    }

    /// What happens when the green threads wait for each other and nothing else.
    ///
    /// A deadlock is suspected while a `run` goes on if nothing has run for a second and nothing can
    /// wake a green thread: no timer, descriptor, lookup or offloaded job is waited for. It is then
    /// reported, once until something runs again: who waits for what, since when, spawned where, and who
    /// holds the lock. The default is [`OnDeadlock::Report`] and no more, because a plain OS thread or another
    /// runtime may hold the other end of a channel or a lock, which nobody can know.
    ///
    /// What can be known is that green threads wait for locks of each other, all around, or one for a lock that it
    /// holds itself. This is reported when the last of them begins to wait, also if all else goes on, unless one of
    /// them has a deadline to give up at. With [`OnDeadlock::Panic`] the one that was about to begin panics there, unless
    /// somebody on its OS thread unwinds.
    ///
    /// The process-wide default runtime is not watched, for the same reason.
    ///
    /// ```
    /// use sylvan::runtime::{OnDeadlock, Runtime};
    /// use sylvan::sync::mpsc;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = Runtime::builder().on_deadlock(OnDeadlock::Panic).build()?;
    /// let result = runtime.try_run(|| {
    ///     let (_sender, receiver) = mpsc::channel::<u8>();
    ///     receiver.recv() // nobody will send
    /// });
    /// assert!(result.is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_deadlock(mut self, reaction: OnDeadlock) -> Builder {
        self.reports.on_deadlock = reaction;
        self
    }

    /// Reports a green thread that keeps its hub for longer than `limit` without suspending: it computes, or it
    /// calls something that blocks the OS thread, so no other green thread of that hub can run.
    ///
    /// The report names it and says what the OS thread does. If that waits for a lock of std, which a suspended
    /// green thread of the same hub may hold, these are named as well. The report is repeated
    /// whenever the time has grown tenfold.
    ///
    /// Where debug assertions are on this is the default, with a limit of one second, for
    /// [`run`](crate::run) and the process-wide default runtime as well.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sylvan::runtime::Runtime;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let limit = Duration::from_millis(200);
    /// let runtime = Runtime::builder().watchdog(limit).build()?;
    /// assert_eq!(runtime.run(|| 6 * 7), 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn watchdog(mut self, limit: Duration) -> Builder {
        self.reports.watchdog = Some(limit);
        self
    }

    /// Reports no green thread that keeps its hub; see [`watchdog`](Self::watchdog). Without debug assertions this
    /// is the default.
    pub fn no_watchdog(mut self) -> Builder {
        self.reports.watchdog = None;
        self
    }

    /// Makes the runtime and starts the OS threads of its other hubs.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for zero workers; what the operating system says
    /// if it has no more threads, descriptors or memory.
    pub fn build(self) -> io::Result<Runtime> {
        if self.workers == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a runtime needs at least one worker",
            ));
        }
        let stack_size = self.stack_size.unwrap_or_else(default_stack_size);
        let (shared, seeds) = Shared::new(self.workers, stack_size, self.reports)?;
        Runtime::start(shared, seeds, self.cancel_on_ctrl_c)
    }
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}
