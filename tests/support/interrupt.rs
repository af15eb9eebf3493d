//! Programs that can be interrupted, in whatever way the tests themselves were started.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Has the program begin with ^C as it usually is. A shell without job control starts what it runs in the background
/// with ^C ignored, and that is inherited.
#[allow(unsafe_code)]
pub fn can_be_interrupted(command: &mut Command) -> &mut Command {
    let reset = || {
        // SAFETY: it touches no memory, and may be called between fork and exec.
        unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
        Ok(())
    };
    // SAFETY: see above.
    unsafe { command.pre_exec(reset) }
}
