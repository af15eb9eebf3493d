//! Notices that this process is the child of a `fork` that happened behind our back.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static GENERATION: AtomicU32 = AtomicU32::new(0);

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// Starts watching for forks; every hub calls it before it shares anything with the kernel.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler only stores to an atomic, which is allowed between fork and exec.
        // A failure (no memory) leaves us without the check, which is no worse than before.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

/// How many forks lie between the first process that watched and this one. What was made in another
/// generation shares its descriptors with the parent, whose threads do not exist here.
#[inline]
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}
