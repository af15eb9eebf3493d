//! A child process as such: its number, its end, and the right to be killed.
//!
//! Its end is waited for by a descriptor of the process (`pidfd_open`), which becomes readable then: no signal handler
//! is needed, and no OS thread. It is opened by the first who waits, under the lock under which processes are asked
//! whether they have ended: as long as the answer was no, the number is the process's own. Where there is none to be had
//! (an older kernel, a filter of system calls, no descriptor left) whoever waits asks again and again.
//!
//! A process that has not ended when it is left becomes an *orphan*: whoever starts the next one looks at some of them, so
//! that those which nobody waits for do not stay behind as zombies.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
#[cfg(feature = "process-pool")]
use std::sync::LazyLock;
use std::sync::OnceLock;
use std::time::Duration;

use crate::fd::Handle;
use crate::rt::{self, Instant, Reason};

/// How long to wait until a process without a descriptor is asked again: at first, and in the end.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// So many orphans are looked at when a process is started, which adds one at most: their number does not grow.
const LOOKED_AT: usize = 8;

/// Those looked at longest ago come first.
static ORPHANS: rt::Mutex<VecDeque<Child>> = rt::Mutex::new(VecDeque::new());

/// The OS threads that wait for processes which were killed and left.
#[cfg(feature = "process-pool")]
static REAPERS: LazyLock<rt::OffloadPool> =
    LazyLock::new(|| rt::OffloadPool::new("sylvan-reaper", 4));

/// A child process of which somebody may wait for the end while others kill it.
pub(crate) struct Running {
    /// `None` once it was left to somebody else.
    process: rt::Mutex<Option<Child>>,
    id: u32,
    /// Readable when it has ended. See the module's text.
    end: OnceLock<Handle<OwnedFd>>,
}

impl Running {
    /// Takes over a process that has just been started.
    pub(crate) fn new(process: Child) -> Running {
        Running {
            id: process.id(),
            process: rt::Mutex::new(Some(process)),
            end: OnceLock::new(),
        }
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Sends SIGKILL. Nothing happens if its end was waited for.
    pub(crate) fn kill(&self) -> io::Result<()> {
        self.process.lock().as_mut().map_or(Ok(()), Child::kill)
    }

    /// Suspends until it has ended.
    pub(crate) fn wait(&self) -> io::Result<ExitStatus> {
        self.wait_until_over(None)
    }

    /// As [`wait`](Self::wait), for so long at most: `None` when the time is over.
    pub(crate) fn wait_timeout(&self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        match self.wait_until_over(Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            result => result.map(Some),
        }
    }

    /// How it ended, if it has. Never suspends.
    pub(crate) fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        self.process
            .lock()
            .as_mut()
            .map_or(Ok(None), Child::try_wait)
    }

    /// Sends SIGKILL, unless it has ended, and sees to it that it is waited for. Does not suspend.
    #[cfg(feature = "process-pool")]
    pub(crate) fn end_in_background(&self) {
        let Some(mut process) = self.take_unless_ended() else {
            return;
        };
        // Of a child that nobody has waited for it cannot fail, unless it has become somebody else's.
        let _ = process.kill();
        rt::detach_to(&REAPERS, move || drop(process.wait()));
    }

    /// When the time is over it fails with the kind `WouldBlock`.
    fn wait_until_over(&self, timeout: Option<Duration>) -> io::Result<ExitStatus> {
        // What is known needs no descriptor, and no time.
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        let attempt = || self.try_wait()?.ok_or(ErrorKind::WouldBlock.into());
        match self.end() {
            Some(end) => end.read_with_timeout(Reason::Child, timeout, |_| attempt()),
            None => ask_again_and_again(timeout, attempt),
        }
    }

    /// Its descriptor, if there is one to be had.
    fn end(&self) -> Option<&Handle<OwnedFd>> {
        if self.end.get().is_none() {
            let mut process = self.process.lock();
            // Has somebody waited for it meanwhile, its number may be another's.
            if matches!(process.as_mut()?.try_wait(), Ok(None)) {
                let _others_was_first = self.end.set(Handle::adopt(rt::pidfd(self.id).ok()?));
            }
        }
        self.end.get()
    }

    /// The process, if it is still to be waited for.
    fn take_unless_ended(&self) -> Option<Child> {
        let mut process = self.process.lock().take()?;
        matches!(process.try_wait(), Ok(None)).then_some(process)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(process) = self.take_unless_ended() {
            ORPHANS.lock().push_back(process);
        }
    }
}

/// Waits for some of the processes that nobody else waits for, as far as they have ended. Never suspends.
pub(super) fn look_at_orphans() {
    let mut orphans = ORPHANS.lock();
    for _ in 0..orphans.len().min(LOOKED_AT) {
        if let Some(mut process) = orphans.pop_front()
            && matches!(process.try_wait(), Ok(None))
        {
            orphans.push_back(process);
        }
    }
}

/// Makes attempts with ever longer pauses between them, until one does not fail with `WouldBlock`.
fn ask_again_and_again<R>(
    timeout: Option<Duration>,
    mut attempt: impl FnMut() -> io::Result<R>,
) -> io::Result<R> {
    let deadline = timeout.map_or(Instant::NEVER, Instant::limit);
    let nobody_wakes = rt::WaitQueue::new();
    let mut pause = FIRST_PAUSE;
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::WouldBlock && !rt::has_passed(deadline) => {}
            result => return result,
        }
        let until = deadline.min(Instant::after(pause));
        nobody_wakes.wait_or_fail(Reason::Child, until, || false, |_| ())?;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}
