//! What std does not tell of the process.

/// Is the calling OS thread the one the process began with?
pub(crate) fn is_main_thread() -> bool {
    // SAFETY: both calls only return numbers.
    unsafe { libc::gettid() == libc::getpid() }
}
