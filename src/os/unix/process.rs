//! What Unix adds to [`process`](crate::process), as [`std::os::unix::process`].

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as StdCommandExt;

pub use std::os::unix::process::{ExitStatusExt, parent_id};

use crate::process::Command;

mod sealed {
    /// Keeps the trait to this crate's type, as std keeps its own.
    pub trait Sealed {}

    impl Sealed for crate::process::Command {}
}

/// What Unix adds to [`Command`].
///
/// ```
/// use sylvan::os::unix::process::CommandExt;
/// use sylvan::process::Command;
///
/// let output = Command::new("sh").arg0("shell").args(["-c", "echo $0"]).output()?;
/// assert_eq!(output.stdout, b"shell\n");
/// # std::io::Result::Ok(())
/// ```
pub trait CommandExt: sealed::Sealed {
    /// Sets the user that it runs as.
    fn uid(&mut self, id: u32) -> &mut Command;

    /// Sets the group that it runs as.
    fn gid(&mut self, id: u32) -> &mut Command;

    /// What it calls between `fork` and `exec`; several are called in this order. It is then started on the caller's own OS
    /// thread.
    ///
    /// # Safety
    ///
    /// As [std's](std::os::unix::process::CommandExt::pre_exec): in the child of a process that has other threads only
    /// few things may be done. It must not use sylvan.
    unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Command
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static;

    /// As [`pre_exec`](Self::pre_exec), under its old name.
    ///
    /// # Safety
    ///
    /// As `pre_exec`.
    #[deprecated(note = "use `pre_exec` instead")]
    unsafe fn before_exec<F>(&mut self, f: F) -> &mut Command
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static,
    {
        // SAFETY: the caller keeps to what std asks for.
        unsafe { self.pre_exec(f) }
    }

    /// Becomes the program, in this process. Returns only if that fails. Never suspends.
    fn exec(&mut self) -> io::Error;

    /// Sets what the program is told its own name is.
    fn arg0<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Command;

    /// Sets the process group; 0 is one of its own. Whoever is in another one gets no ^C of the terminal.
    fn process_group(&mut self, pgroup: i32) -> &mut Command;
}

impl CommandExt for Command {
    fn uid(&mut self, id: u32) -> &mut Command {
        self.as_std_mut().uid(id);
        self
    }

    fn gid(&mut self, id: u32) -> &mut Command {
        self.as_std_mut().gid(id);
        self
    }

    unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Command
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static,
    {
        self.start_in_place();
        // SAFETY: the caller keeps to what std asks for.
        unsafe { self.as_std_mut().pre_exec(f) };
        self
    }

    fn exec(&mut self) -> io::Error {
        self.exec()
    }

    fn arg0<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Command {
        self.as_std_mut().arg0(arg);
        self
    }

    fn process_group(&mut self, pgroup: i32) -> &mut Command {
        self.as_std_mut().process_group(pgroup);
        self
    }
}
