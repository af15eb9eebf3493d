//! A child process: the same program, started again, with the link as its standard input.

use std::collections::VecDeque;
use std::env;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::parent_id;
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::os::unix::process::CommandExt;
use crate::process::{ChildStderr, Command, ExitStatus, Running, Stdio};
use crate::rt;

/// Tells a child that its standard input is the link, which device and inode that is, and the number of the parent. So
/// nobody else takes what it has there for one, though the variable be handed on.
const VARIABLE: &str = "SYLVAN_WORKER";

/// This process has taken its link.
static HAS_TAKEN: AtomicBool = AtomicBool::new(false);

/// How much of what a child wrote to standard error is kept.
const TAIL: usize = 4 * 1024;

/// Additional arguments of children; see `use_test_entry`.
static ARGUMENTS: OnceLock<Vec<String>> = OnceLock::new();

/// Sets the arguments of all children of this process, once. `false`: there are others.
pub(super) fn set_arguments(arguments: Vec<String>) -> bool {
    *ARGUMENTS.get_or_init(|| arguments.clone()) == arguments
}

/// A child process, killed when this is dropped, and waited for.
pub(super) struct Child(Running);

/// The last that a child wrote to standard error.
#[derive(Default)]
pub(super) struct Tail(rt::Mutex<VecDeque<u8>>);

impl Child {
    /// Starts one with this as its standard input. Returns it with what it writes to standard error. Suspends.
    pub(super) fn start(link: OwnedFd) -> io::Result<(Child, ChildStderr)> {
        let mut command = Command::new("/proc/self/exe");
        if let Some(name) = env::args_os().next() {
            command.arg0(name);
        }
        let mut process = command
            .args(ARGUMENTS.get().into_iter().flatten())
            .env(VARIABLE, name_of(link.as_fd(), process::id())?)
            .stdin(link)
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = process.stderr.take();
        let child = Child(process.into_running());
        Ok((child, stderr.ok_or(ErrorKind::BrokenPipe)?))
    }

    /// The number of the process.
    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Ends it by SIGKILL. Nothing happens if it has ended.
    pub(super) fn kill(&self) {
        // It cannot fail for a child that nobody has waited for, unless that has become somebody else's.
        let _ = self.0.kill();
    }

    /// Suspends until it has ended.
    pub(super) fn wait(&self) -> io::Result<ExitStatus> {
        self.0.wait()
    }

    /// Suspends until it has ended, which it is made to after some time.
    pub(super) fn wait_or_kill(&self, patience: Duration) -> io::Result<ExitStatus> {
        if let Some(status) = self.0.wait_timeout(patience)? {
            return Ok(status);
        }
        self.kill();
        self.0.wait()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.0.end_in_background();
    }
}

/// Passes all that a child writes on to the own standard error, until the last who can write there has closed it, and
/// keeps the last of it. Suspends.
pub(super) fn pass_on(mut stderr: ChildStderr, tail: &Tail) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = stderr.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        tail.push(&buffer[..count]);
        let bytes = buffer[..count].to_vec();
        // Whoever has closed our standard error wants to hear nothing of it.
        let _unheard = rt::offload(move || io::stderr().write_all(&bytes));
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
    HAS_TAKEN.store(true, Ordering::Relaxed);
    Ok(Some(link))
}

/// Was this process started for a pool, and has not become one of its processes? Such a one must not start processes,
/// which would do as it does. It is the parent alone that tells: standard input may be another by now.
pub(super) fn is_lost() -> bool {
    let parent = parent_id().to_string();
    !HAS_TAKEN.load(Ordering::Relaxed)
        && env::var(VARIABLE).is_ok_and(|name| name.rsplit(':').next() == Some(parent.as_str()))
}

/// Is the standard input of this process a link that nobody has taken? Of a program with more rights than whoever
/// started it never: what comes over a link is called.
fn has_link() -> bool {
    !rt::is_privileged()
        && env::var(VARIABLE).is_ok_and(|expected| {
            name_of(io::stdin().as_fd(), parent_id()).is_ok_and(|name| name == expected)
        })
}

/// What names an open file among all that are open now, and whose child it is for.
fn name_of(fd: BorrowedFd<'_>, parent: u32) -> io::Result<String> {
    let metadata = File::from(fd.try_clone_to_owned()?).metadata()?;
    Ok(format!("{}:{}:{parent}", metadata.dev(), metadata.ino()))
}
