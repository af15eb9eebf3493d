//! Signals as something to wait for: ^C, SIGTERM, SIGHUP and their like.
//!
//! [`Signals`] watches as many as are named; [`ctrl_c`] waits for one ^C. (To have ^C stop a whole runtime,
//! see [`cancel_on_ctrl_c`](crate::runtime::Builder::cancel_on_ctrl_c).)
//!
//! ```
//! use sylvan::signal::{Signal, Signals};
//! use sylvan::thread;
//!
//! # fn main() -> std::io::Result<()> {
//! sylvan::run(|| {
//!     let signals = Signals::new([Signal::TERMINATE, Signal::USER1])?;
//!     thread::spawn(|| {
//!         // As `kill -USR1` would from a shell.
//!         std::process::Command::new("kill")
//!             .args(["-USR1", &std::process::id().to_string()])
//!             .status()
//!     });
//!     assert_eq!(signals.wait()?, Signal::USER1);
//!     Ok(())
//! })
//! # }
//! ```
//!
//! # What watching changes
//!
//! A signal that is watched no longer does by itself what it does by default: SIGTERM does not end the process,
//! SIGTSTP does not stop it. When nobody watches it any more, it does so again: a second ^C after the one that
//! [`ctrl_c`] returned for ends the process, unless there is a [`Signals`] for it.
//!
//! A handler that the program had installed before still runs, each time, after the watchers were told. One that it
//! installs later takes the place of sylvan's, and must call the one that it found there for watchers to
//! be told.
//!
//! A child process made by [`std::process::Command`] starts with the default actions. In the child of a bare
//! `fork` what the parent watches is not watched.

#![forbid(unsafe_code)]

use std::fmt;
use std::io;

use crate::fd::{Description, Handle};
use crate::rt::{Reason, SignalWatch};

/// The number of a signal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(i32);

/// Names signals: the constant, what it is for, and the number, whose name is what is displayed.
macro_rules! signals {
    ($($name:ident = $number:ident: $meaning:literal),+ $(,)?) => {
        impl Signal {
            $(#[doc = concat!(stringify!($number), ": ", $meaning, ".")]
            pub const $name: Signal = Signal(libc::$number);)+

            fn name(self) -> Option<&'static str> {
                match self.0 {
                    $(libc::$number => Some(stringify!($number)),)+
                    _ => None,
                }
            }
        }
    };
}

signals! {
    HANGUP = SIGHUP: "the terminal is gone; daemons read their configuration again",
    INTERRUPT = SIGINT: "^C",
    QUIT = SIGQUIT: "^\\\\",
    ABORT = SIGABRT: "the process aborts, which this does not prevent",
    USER1 = SIGUSR1: "whatever the program makes of it",
    USER2 = SIGUSR2: "whatever the program makes of it",
    PIPE = SIGPIPE: "a write to a pipe that nobody reads; Rust programs ignore it",
    ALARM = SIGALRM: "a timer of `alarm` or `setitimer` is over",
    TERMINATE = SIGTERM: "the polite request to end, which `kill` sends",
    CHILD = SIGCHLD: "a child process has ended, stopped or gone on",
    CONTINUE = SIGCONT: "the process goes on after it was stopped",
    TERMINAL_STOP = SIGTSTP: "^Z",
    BACKGROUND_READ = SIGTTIN: "a background process reads from its terminal",
    BACKGROUND_WRITE = SIGTTOU: "a background process writes to its terminal",
    URGENT = SIGURG: "urgent data on a socket",
    WINDOW_CHANGE = SIGWINCH: "the terminal has another size",
}

impl Signal {
    /// The signal of this number, whether there is one or not: [`Signals::new`] finds out.
    #[must_use]
    pub const fn from_raw(number: i32) -> Signal {
        Signal(number)
    }

    /// Its number.
    #[must_use]
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

/// Its usual name, if it has a constant here; else its number.
///
/// ```
/// use sylvan::signal::Signal;
///
/// assert_eq!(Signal::TERMINATE.to_string(), "SIGTERM");
/// assert_eq!(Signal::from_raw(40).to_string(), "signal 40");
/// ```
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signal({self})")
    }
}

/// Signals that are watched from its making to its drop.
///
/// A signal that comes while nobody waits is there for the next wait. Several of one number that come before
/// somebody takes them may be one, as they may be in the kernel; different ones are never lost, and the lowest
/// number is taken first. Each signal is given to one waiter, and to each `Signals` that watches it.
///
/// ```
/// use sylvan::signal::{Signal, Signals};
///
/// # fn main() -> std::io::Result<()> {
/// let signals = Signals::new([Signal::HANGUP])?;
/// assert_eq!(signals.try_next(), None);
/// # Ok(())
/// # }
/// ```
pub struct Signals {
    io: Handle<SignalWatch>,
}

impl Signals {
    /// Watches these signals. [The module's text](self#what-watching-changes) says what that changes.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for what is no signal, and for those that cannot be
    /// watched: SIGKILL, SIGSTOP, and SIGSEGV, SIGILL, SIGFPE and SIGBUS, which faults raise; what the
    /// operating system says if it has no descriptor left.
    pub fn new(signals: impl IntoIterator<Item = Signal>) -> io::Result<Signals> {
        let watch = SignalWatch::new()?;
        for signal in signals {
            watch.add(signal.as_raw())?;
        }
        let io = Handle::new(watch, Description::new_plain());
        Ok(Signals { io })
    }

    /// Takes the next signal; suspends until there is one.
    ///
    /// A wait that is cancelled, or ended by a [`timeout`](crate::time::timeout), takes none with it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sylvan::signal::{Signal, Signals};
    /// use sylvan::time;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let signals = Signals::new([Signal::HANGUP])?;
    /// let waited = time::timeout(Duration::from_millis(5), || signals.wait());
    /// assert!(waited.is_err(), "nobody has hung up");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What the operating system says if it cannot wait; an error in the child of a `fork` that
    /// happened after [`new`](Self::new).
    pub fn wait(&self) -> io::Result<Signal> {
        let attempt = || self.io.get().attempt().map(Signal);
        self.io.read_with(Reason::Signal, |_bell| attempt())
    }

    /// Takes the next signal if one has come; never suspends.
    #[must_use = "what was taken is gone"]
    pub fn try_next(&self) -> Option<Signal> {
        self.io.get().take().map(Signal)
    }

    /// [`wait`](Self::wait), again and again; it never ends.
    pub fn iter(&self) -> Iter<'_> {
        Iter { signals: self }
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").finish_non_exhaustive()
    }
}

/// The signals of a [`Signals`], one after the other.
#[derive(Clone, Debug)]
pub struct Iter<'signals> {
    signals: &'signals Signals,
}

impl Iterator for Iter<'_> {
    type Item = io::Result<Signal>;

    fn next(&mut self) -> Option<io::Result<Signal>> {
        Some(self.signals.wait())
    }
}

/// ```no_run
/// use sylvan::signal::{Signal, Signals};
///
/// # fn main() -> std::io::Result<()> {
/// let signals = Signals::new([Signal::HANGUP, Signal::TERMINATE])?;
/// for signal in &signals {
///     match signal? {
///         Signal::HANGUP => println!("the configuration is read again"),
///         _ => break,
///     }
/// }
/// # Ok(())
/// # }
/// ```
impl<'signals> IntoIterator for &'signals Signals {
    type Item = io::Result<Signal>;
    type IntoIter = Iter<'signals>;

    fn into_iter(self) -> Iter<'signals> {
        self.iter()
    }
}

/// Suspends until the next ^C (SIGINT).
///
/// Between two calls a ^C has its usual effect, and ends the process: so a program that calls it once can
/// be ended by a second ^C while it cleans up. For one that must see every ^C there is [`Signals`].
///
/// ```no_run
/// use sylvan::signal;
///
/// # fn main() -> std::io::Result<()> {
/// println!("press ^C");
/// signal::ctrl_c()?;
/// println!("cleaning up; a second ^C ends this at once");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`Signals::new`] and [`Signals::wait`].
pub fn ctrl_c() -> io::Result<()> {
    Signals::new([Signal::INTERRUPT])?.wait().map(drop)
}
