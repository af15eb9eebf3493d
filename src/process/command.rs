//! [`Command`].

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};
use std::sync::LazyLock;
use std::{fmt, mem};

use super::child::Child;
use super::running;
use crate::rt;

/// The OS threads on which processes are started.
static SPAWNERS: LazyLock<rt::OffloadPool> =
    LazyLock::new(|| rt::OffloadPool::new("sylvan-spawn", 4));

/// All three streams as the parent has them.
const INHERIT: [fn() -> Stdio; 3] = [Stdio::inherit; 3];

/// What is to be started, and how.
///
/// ```
/// use sylvan::process::Command;
///
/// let output = Command::new("echo").arg("hello").output()?;
/// assert_eq!(output.stdout, b"hello\n");
/// # std::io::Result::Ok(())
/// ```
///
/// # Differences from std
///
/// * [`spawn`](Self::spawn), [`output`](Self::output) and [`status`](Self::status) suspend the green thread.
/// * The process is started on an OS thread of a pool, for its thread is stopped until the program has been found and
///   loaded: 50 µs at best, a millisecond on a busy machine, and as long as a disk or a network takes. What a process has
///   from the OS thread that starts it, such as the CPUs it may run on, is then the pool's.
/// * Only if there is something to be called between `fork` and `exec`
///   ([`pre_exec`](crate::os::unix::process::CommandExt::pre_exec)) it is started on the caller's own OS thread: what is done there may be bound
///   to the thread, as `PR_SET_PDEATHSIG` is, and those of a pool end when they are not needed. All that run there wait
///   meanwhile. It is a real `fork`, and takes milliseconds where much memory is in use.
pub struct Command {
    inner: process::Command,
    /// Which of the standard streams were told what to be.
    told: [bool; 3],
    /// To be started on the caller's own OS thread.
    in_place: bool,
}

impl Command {
    /// The program of this name or path, without arguments.
    pub fn new<S: AsRef<OsStr>>(program: S) -> Command {
        Command {
            inner: process::Command::new(program),
            told: [false; 3],
            in_place: false,
        }
    }

    /// One more argument.
    pub fn arg<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Command {
        self.inner.arg(arg);
        self
    }

    /// More arguments.
    pub fn args<I, S>(&mut self, args: I) -> &mut Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.inner.args(args);
        self
    }

    /// Sets a variable of its environment.
    ///
    /// ```
    /// use sylvan::process::Command;
    ///
    /// let output = Command::new("sh").args(["-c", "echo $MOOD"]).env("MOOD", "good").output()?;
    /// assert_eq!(output.stdout, b"good\n");
    /// # std::io::Result::Ok(())
    /// ```
    pub fn env<K, V>(&mut self, key: K, val: V) -> &mut Command
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.inner.env(key, val);
        self
    }

    /// Sets several variables of its environment.
    pub fn envs<I, K, V>(&mut self, vars: I) -> &mut Command
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.inner.envs(vars);
        self
    }

    /// Takes a variable out of its environment.
    pub fn env_remove<K: AsRef<OsStr>>(&mut self, key: K) -> &mut Command {
        self.inner.env_remove(key);
        self
    }

    /// Begins with an empty environment.
    pub fn env_clear(&mut self) -> &mut Command {
        self.inner.env_clear();
        self
    }

    /// Sets the folder it works in.
    pub fn current_dir<P: AsRef<Path>>(&mut self, dir: P) -> &mut Command {
        self.inner.current_dir(dir);
        self
    }

    /// What its standard input is to be. Without this: the parent's, and nothing for [`output`](Self::output).
    pub fn stdin<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.inner.stdin(cfg);
        self.told[0] = true;
        self
    }

    /// What its standard output is to be. Without this: the parent's, and a pipe for [`output`](Self::output).
    pub fn stdout<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.inner.stdout(cfg);
        self.told[1] = true;
        self
    }

    /// What its standard error is to be. Without this: the parent's, and a pipe for [`output`](Self::output).
    pub fn stderr<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.inner.stderr(cfg);
        self.told[2] = true;
        self
    }

    /// Starts it. Suspends until it has begun, or that has failed.
    ///
    /// A cancel that comes meanwhile takes effect at the next wait.
    ///
    /// # Errors
    ///
    /// [`NotFound`](io::ErrorKind::NotFound) if there is no such program; what else the system calls give.
    pub fn spawn(&mut self) -> io::Result<Child> {
        self.start(INHERIT)
    }

    /// Starts it, suspends until it has ended, and returns what it has written.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn), and what reading and waiting give.
    pub fn output(&mut self) -> io::Result<Output> {
        self.start([Stdio::null, Stdio::piped, Stdio::piped])?
            .wait_with_output()
    }

    /// Starts it, and suspends until it has ended.
    ///
    /// ```
    /// use sylvan::process::Command;
    ///
    /// assert!(!Command::new("false").status()?.success());
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn), and what waiting gives.
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// The program.
    #[must_use]
    pub fn get_program(&self) -> &OsStr {
        self.inner.get_program()
    }

    /// The arguments.
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.inner.get_args()
    }

    /// What was said of variables: those to be set, and, with `None`, those to be taken out.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.inner.get_envs()
    }

    /// The folder it works in, if one was set.
    #[must_use]
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.inner.get_current_dir()
    }

    /// std's own, for its other options.
    pub(crate) fn as_std_mut(&mut self) -> &mut process::Command {
        &mut self.inner
    }

    /// From here on it is started on the caller's own OS thread.
    pub(crate) fn start_in_place(&mut self) {
        self.in_place = true;
    }

    /// Becomes the program.
    pub(crate) fn exec(&mut self) -> io::Error {
        self.tell(INHERIT);
        self.inner.exec()
    }

    /// Says this of the streams of which nothing else was said, until the next time.
    fn tell(&mut self, [stdin, stdout, stderr]: [fn() -> Stdio; 3]) {
        let told = self.told;
        if !told[0] {
            self.inner.stdin(stdin());
        }
        if !told[1] {
            self.inner.stdout(stdout());
        }
        if !told[2] {
            self.inner.stderr(stderr());
        }
    }

    /// Starts it with these for the streams of which nothing was said.
    fn start(&mut self, otherwise: [fn() -> Stdio; 3]) -> io::Result<Child> {
        self.tell(otherwise);
        running::look_at_orphans();
        if self.in_place {
            return self.inner.spawn().map(Child::adopt);
        }
        // It comes back, whatever becomes of the process.
        let mut command = mem::replace(&mut self.inner, process::Command::new(""));
        // Nobody leaves in between, or it would be gone.
        let (command, child) = rt::mask(|| {
            rt::offload_to(&SPAWNERS, rt::Reason::Offload, move || {
                let child = command.spawn();
                (command, child)
            })
        });
        self.inner = command;
        child.map(Child::adopt)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
