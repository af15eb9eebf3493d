//! What is done when the process ends in the usual way: `main` returns, or somebody calls `exit`.

use std::panic;
use std::sync::OnceLock;

static LAST: OnceLock<fn()> = OnceLock::new();

/// Calls `last` when the process ends. There can be one.
pub(super) fn call_at_exit(last: fn()) {
    extern "C" fn at_exit() {
        // Nothing may unwind out of here; and there is nobody left to tell.
        let _ = panic::catch_unwind(|| LAST.get().map(|last| last()));
    }
    if LAST.set(last).is_ok() {
        // SAFETY: the handler is a function of this program. If there is no memory for it, nobody calls it.
        unsafe { libc::atexit(at_exit) };
    }
}
