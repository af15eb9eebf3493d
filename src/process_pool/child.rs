//! A child process: the same program, started again, with the link as its standard input.

use std::collections::VecDeque;
use std::env;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use crate::io::Io;
use crate::rt::{self, Reason};

/// Tells a child that its standard input is the link: which device and inode that is. So nobody else takes what it
/// has there for one, though the variable be handed on.
const VARIABLE: &str = "SYLVAN_WORKER";

/// How much of what a child wrote to standard error is kept.
const TAIL: usize = 4 * 1024;

/// The OS threads that wait for children whose owners have left.
static REAPERS: rt::Pool = rt::Pool::new("sylvan-reaper", 4);

/// Additional arguments of children; see `use_test_entry`.
static ARGUMENTS: OnceLock<Vec<String>> = OnceLock::new();

/// Sets the arguments of all children of this process, once. `false`: there are others.
pub(super) fn set_arguments(arguments: Vec<String>) -> bool {
    *ARGUMENTS.get_or_init(|| arguments.clone()) == arguments
}

/// A child process, killed when this is dropped, and waited for.
pub(super) struct Child {
    process: rt::Mutex<Owned>,
    id: u32,
    /// Readable when it has ended.
    end: Io<OwnedFd>,
}

/// A process whose owner may leave at any time.
struct Owned(Option<process::Child>);

/// The end of the pipe that a child's standard error is.
pub(super) struct Stderr {
    io: Io<File>,
}

/// The last that was read from a [`Stderr`].
#[derive(Default)]
pub(super) struct Tail(rt::Mutex<VecDeque<u8>>);

impl Child {
    /// Starts one with this as its standard input. `posix_spawn` does it, on an OS thread of its own: the caller is
    /// suspended, and not its hub.
    pub(super) fn start(link: OwnedFd) -> io::Result<(Child, Stderr)> {
        let mut process = rt::offload(move || {
            let mut command = Command::new("/proc/self/exe");
            if let Some(name) = env::args_os().next() {
                command.arg0(name);
            }
            command
                .args(ARGUMENTS.get().into_iter().flatten())
                .env(VARIABLE, identity(link.as_fd())?)
                .stdin(Stdio::from(link))
                .stderr(Stdio::piped())
                .spawn()
                .map(|child| Owned(Some(child)))
        })?;
        let child = process.0.as_mut().ok_or(ErrorKind::NotFound)?;
        let id = child.id();
        let stderr = child.stderr.take().ok_or(ErrorKind::BrokenPipe)?;
        let io = Io::adopt(File::from(OwnedFd::from(stderr)));
        io.hold_nonblocking();
        let child = Child {
            process: rt::Mutex::new(process),
            id,
            end: Io::adopt(rt::pidfd(id)?),
        };
        Ok((child, Stderr { io }))
    }

    /// The number of the process.
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Ends it by SIGKILL. Nothing happens if it has ended.
    pub(super) fn kill(&self) {
        if let Some(process) = &mut self.process.lock().0 {
            // It cannot fail for a child that nobody has waited for, unless that has become somebody else's.
            let _ = process.kill();
        }
    }

    /// Suspends until it has ended.
    pub(super) fn wait(&self) -> io::Result<ExitStatus> {
        let attempt = || self.try_wait()?.ok_or(ErrorKind::WouldBlock.into());
        self.end.read_with(Reason::Child, |_| attempt())
    }

    /// How it ended, if it has. Never suspends.
    pub(super) fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        match &mut self.process.lock().0 {
            Some(process) => process.try_wait(),
            None => Err(ErrorKind::NotFound.into()),
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let Some(mut process) = self.0.take() else {
            return;
        };
        if matches!(process.try_wait(), Ok(Some(_))) {
            return;
        }
        // Neither can fail for a child that nobody has waited for.
        let _ = process.kill();
        rt::detach_to(&REAPERS, move || drop(process.wait()));
    }
}

impl Stderr {
    /// Passes all on to the own standard error, until the last who can write there has closed it, and keeps the last
    /// of it. Suspends.
    pub(super) fn pass_on(self, tail: &Tail) -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            let read = |_: BorrowedFd<'_>| self.io.get().read(&mut buffer);
            let count = self.io.read_by_mode(Reason::Readable, read)?;
            if count == 0 {
                return Ok(());
            }
            tail.push(&buffer[..count]);
            let bytes = buffer[..count].to_vec();
            // Whoever has closed our standard error wants to hear nothing of it.
            let _unheard = rt::offload(move || io::stderr().write_all(&bytes));
        }
    }
}

impl Tail {
    fn push(&self, bytes: &[u8]) {
        let mut tail = self.0.lock();
        tail.extend(bytes);
        let surplus = tail.len().saturating_sub(TAIL);
        tail.drain(..surplus);
    }

    /// What there is of it, as text.
    pub(super) fn text(&self) -> String {
        let tail: Vec<u8> = self.0.lock().iter().copied().collect();
        String::from_utf8_lossy(&tail).into_owned()
    }
}

/// The link of this process, if it was started by [`Child::start`] and has not taken it yet. It becomes the caller's, and
/// standard input is empty from here on.
pub(super) fn take_link() -> io::Result<Option<OwnedFd>> {
    if !has_link() {
        return Ok(None);
    }
    let link = io::stdin().as_fd().try_clone_to_owned()?;
    rt::stdin_from_null()?;
    Ok(Some(link))
}

/// Is the standard input of this process a link that nobody has taken?
pub(super) fn has_link() -> bool {
    env::var(VARIABLE).is_ok_and(|expected| {
        identity(io::stdin().as_fd()).is_ok_and(|identity| identity == expected)
    })
}

/// What names an open file among all that are open now.
fn identity(fd: BorrowedFd<'_>) -> io::Result<String> {
    let metadata = File::from(fd.try_clone_to_owned()?).metadata()?;
    Ok(format!("{}:{}", metadata.dev(), metadata.ino()))
}
