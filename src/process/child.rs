//! [`Child`].

use std::io::{self, Read};
use std::process::{self, ExitStatus, Output};
use std::time::Duration;
use std::{fmt, panic};

use super::running::Running;
use super::stdio::{ChildStderr, ChildStdin, ChildStdout};
use crate::thread;

/// A child process, started by [`Command::spawn`](super::Command::spawn).
///
/// When it is dropped the process goes on, as std's does. std then leaves a zombie behind, unless the process had been
/// waited for. Here it is waited for all the same: at once if it has ended, else when further processes are started. So
/// whoever drops a `Child` must not wait for the number by other means.
///
/// ```
/// use sylvan::process::Command;
///
/// sylvan::run(|| {
///     let mut child = Command::new("sleep").arg("0.01").spawn()?;
///     assert!(child.wait()?.success()); // others run meanwhile
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
///
/// # Differences from std
///
/// * [`wait`](Self::wait) and [`wait_with_output`](Self::wait_with_output) suspend the green thread, and so do the
///   pipes. A wait that is cancelled leaves the process as it is, and can be made again.
/// * [`wait_timeout`](Self::wait_timeout) is not in std.
/// * A process that ends unwatched leaves no zombie for long; see above.
pub struct Child {
    running: Running,
    /// The own end of the process's standard input, if that is a pipe.
    pub stdin: Option<ChildStdin>,
    /// The own end of its standard output, if that is a pipe.
    pub stdout: Option<ChildStdout>,
    /// The own end of its standard error, if that is a pipe.
    pub stderr: Option<ChildStderr>,
}

impl Child {
    /// Takes over a process that has just been started.
    pub(super) fn adopt(mut process: process::Child) -> Child {
        let stdin = process.stdin.take().map(ChildStdin::from);
        let stdout = process.stdout.take().map(ChildStdout::from);
        let stderr = process.stderr.take().map(ChildStderr::from);
        Child {
            running: Running::new(process),
            stdin,
            stdout,
            stderr,
        }
    }

    /// The process as such, of which the pipes are left to others.
    #[cfg(feature = "process-pool")]
    pub(crate) fn into_running(self) -> Running {
        self.running
    }

    /// The number of the process.
    ///
    /// ```
    /// use sylvan::process::Command;
    ///
    /// let mut child = Command::new("true").spawn()?;
    /// assert_ne!(child.id(), sylvan::process::id());
    /// child.wait()?;
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn id(&self) -> u32 {
        self.running.id()
    }

    /// Ends the process by SIGKILL. It is to be waited for all the same. Never suspends.
    ///
    /// ```
    /// use std::os::unix::process::ExitStatusExt;
    /// use sylvan::process::Command;
    ///
    /// let mut child = Command::new("sleep").arg("1000").spawn()?;
    /// child.kill()?;
    /// assert_eq!(child.wait()?.signal(), Some(9));
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives. Of a process that was waited for, none.
    pub fn kill(&mut self) -> io::Result<()> {
        self.running.kill()
    }

    /// Suspends until the process has ended. Its standard input is closed before, so that it cannot wait for that.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        self.running.wait()
    }

    /// As [`wait`](Self::wait), for so long at most: `None` when the time is over. The process goes on then.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sylvan::process::Command;
    ///
    /// let mut child = Command::new("sleep").arg("1000").spawn()?;
    /// assert!(child.wait_timeout(Duration::from_millis(10))?.is_none());
    /// child.kill()?;
    /// child.wait()?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn wait_timeout(&mut self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        drop(self.stdin.take());
        self.running.wait_timeout(timeout)
    }

    /// How the process ended, if it has. Never suspends.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.running.try_wait()
    }

    /// Suspends until the process has ended, and collects what it writes to its pipes meanwhile: both at once, so that
    /// it cannot wait for the one while this waits for the other. (A second green thread reads the other pipe. To an OS thread
    /// that runs none, the process-wide default runtime lends one.)
    ///
    /// ```
    /// use sylvan::process::{Command, Stdio};
    ///
    /// let child = Command::new("sh")
    ///     .args(["-c", "echo out; echo err >&2; exit 3"])
    ///     .stdout(Stdio::piped())
    ///     .stderr(Stdio::piped())
    ///     .spawn()?;
    /// let output = child.wait_with_output()?;
    /// assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
    /// assert_eq!(output.status.code(), Some(3));
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// What reading or waiting gives.
    pub fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let (stdout, stderr) = match (self.stdout.take(), self.stderr.take()) {
            (None, None) => (Vec::new(), Vec::new()),
            (Some(stdout), None) => (read_all(stdout)?, Vec::new()),
            (None, Some(stderr)) => (Vec::new(), read_all(stderr)?),
            (Some(stdout), Some(stderr)) => thread::scope(|scope| {
                let beside = scope.spawn(move || read_all(stderr));
                let stdout = read_all(stdout);
                let stderr = beside.join();
                let stderr = stderr.unwrap_or_else(|payload| panic::resume_unwind(payload));
                io::Result::Ok((stdout?, stderr?))
            })?,
        };
        let status = self.wait()?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }
}

fn read_all(mut pipe: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("id", &self.id())
            .field("stdin", &self.stdin)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .finish_non_exhaustive()
    }
}
