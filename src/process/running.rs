//! A child process as such: its number, its end, and the right to be killed.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::sync::Arc;

use crate::io::Io;
use crate::rt::{self, Reason};

/// The OS threads that wait for processes that nobody else waits for.
static REAPERS: rt::Pool = rt::Pool::new("sylvan-reaper", 4);

/// A child process of which somebody may wait for the end while others kill it.
///
/// Its end is waited for by a descriptor of the process (`pidfd_open`), which becomes readable then: no signal handler
/// is needed, and no OS thread. It is opened right after the process was started, and the number is the
/// process's until it has been waited for, which nobody else does.
pub(crate) struct Running {
    process: Arc<rt::Mutex<Child>>,
    id: u32,
    /// Readable when it has ended.
    end: Io<OwnedFd>,
}

impl Running {
    /// Takes over a process that has just been started. If that cannot be done, it is ended.
    pub(crate) fn new(process: Child) -> io::Result<Running> {
        let id = process.id();
        let process = Arc::new(rt::Mutex::new(process));
        match rt::pidfd(id) {
            Ok(end) => Ok(Running {
                process,
                id,
                end: Io::adopt(end),
            }),
            Err(error) => {
                end_in_background(&process);
                Err(error)
            }
        }
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Sends SIGKILL. Nothing happens if its end was waited for.
    pub(crate) fn kill(&self) -> io::Result<()> {
        self.process.lock().kill()
    }

    /// Suspends until it has ended.
    pub(crate) fn wait(&self) -> io::Result<ExitStatus> {
        // What is known needs no descriptor, and no time.
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        let attempt = || self.try_wait()?.ok_or(ErrorKind::WouldBlock.into());
        self.end.read_with(Reason::Child, |_| attempt())
    }

    /// How it ended, if it has. Never suspends.
    pub(crate) fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        self.process.lock().try_wait()
    }

    /// Sends SIGKILL, unless it has ended, and sees to it that it is waited for. Does not suspend.
    #[cfg(feature = "process-pool")]
    pub(crate) fn end_in_background(&self) {
        end_in_background(&self.process);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended leaves no zombie. If it has not, or that cannot be said, it is as std leaves it.
        let _ = self.try_wait();
    }
}

fn end_in_background(process: &Arc<rt::Mutex<Child>>) {
    {
        let mut process = process.lock();
        if matches!(process.try_wait(), Ok(Some(_))) {
            return;
        }
        // Of a child that nobody has waited for it cannot fail, unless it has become somebody else's.
        let _ = process.kill();
    }
    let process = process.clone();
    rt::detach_to(&REAPERS, move || drop(process.lock().wait()));
}
