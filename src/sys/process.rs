//! What std does not tell of the process, and of the end of a thread.

use std::ffi::{c_int, c_void};
use std::mem;
use std::ptr;

/// Is the calling OS thread the one the process began with?
pub(crate) fn is_main_thread() -> bool {
    // SAFETY: both calls only return numbers.
    unsafe { libc::gettid() == libc::getpid() }
}

/// The kernel's number of the calling OS thread.
pub(crate) fn thread_id() -> i32 {
    // SAFETY: it only returns a number.
    unsafe { libc::gettid() }
}

/// Calls `callback` when the calling OS thread ends, before the destructors of all thread-locals that it
/// has by now. Does nothing where the C library has no such call (musl).
pub(crate) fn at_thread_exit(callback: extern "C" fn(*mut c_void)) {
    type Register =
        unsafe extern "C" fn(extern "C" fn(*mut c_void), *mut c_void, *mut c_void) -> c_int;
    // SAFETY: a name that ends in a null byte.
    let register = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__cxa_thread_atexit_impl".as_ptr()) };
    if register.is_null() {
        return;
    }
    // SAFETY: a function of this name has this type, by the C++ ABI that it implements.
    let register: Register = unsafe { mem::transmute(register) };
    // SAFETY: the callback is a function of this program; null stands for the program itself. A failure
    // (no memory) leaves the thread as it was.
    unsafe { register(callback, ptr::null_mut(), ptr::null_mut()) };
}
