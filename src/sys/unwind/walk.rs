//! The walk along the frames of a stack.

use std::ffi::{c_int, c_void};

use super::Barriers;
use super::table::{self, Call};

/// See [`barriers`](super::barriers).
pub(super) fn barriers(base: usize) -> Barriers {
    let mut walk = Walk {
        base,
        last: 0,
        ended: false,
        stopped: false,
        found: Barriers::NO,
    };
    // SAFETY: `visit` is such a function and `walk` what it takes. The only unwinder of the process is that of
    // std, whose functions these are.
    unsafe { _Unwind_Backtrace(visit, (&raw mut walk).cast()) };
    // Nothing is known of what comes after the last frame that was seen: nothing passes it.
    if !walk.ended {
        walk.found.note(walk.last, true);
    }
    walk.found
}

impl Barriers {
    fn note(&mut self, frame: usize, is_certain: bool) {
        self.innermost = self.innermost.min(frame);
        if is_certain {
            self.certain = self.certain.min(frame);
        }
    }
}

struct Walk {
    base: usize,
    /// The frame seen last.
    last: usize,
    /// It went as far as it was to.
    ended: bool,
    /// An unwinding would not come as far as this frame, and the compiler may have known it.
    stopped: bool,
    found: Barriers,
}

impl Walk {
    fn note(&mut self, frame: usize, call: Call) {
        match call {
            Call::Passes => self.stopped = false,
            Call::Catches => self.stopped = true,
            Call::Aborts => {
                self.found.note(frame, true);
                self.stopped = true;
            }
            Call::Unlisted { in_pad } => {
                if in_pad || !self.stopped {
                    self.found.note(frame, !self.stopped);
                }
                self.stopped = true;
            }
        }
        // What is further out changes nothing.
        self.ended = self.found.exist();
    }
}

/// Looks at one frame. What it returns ends the walk or lets it go on.
///
/// # Safety
///
/// `context` is the unwinder's and `walk` points to a [`Walk`].
unsafe extern "C-unwind" fn visit(context: *mut Context, walk: *mut c_void) -> c_int {
    // SAFETY: by the caller's promise.
    let walk = unsafe { &mut *walk.cast::<Walk>() };
    // SAFETY: the context of a frame, by the caller's promise. (It is the address where the frame called
    // left off, which is this frame's stack pointer.)
    let frame = unsafe { _Unwind_GetCFA(context) };
    if frame >= walk.base {
        walk.ended = true;
        return STOP;
    }
    walk.last = frame;
    // SAFETY: as above.
    if let Some(call) = unsafe { call_in(context) } {
        walk.note(frame, call);
    }
    if walk.ended { STOP } else { GO_ON }
}

/// What is known of the call that is under way in this frame; `None` if its function has no table.
///
/// # Safety
///
/// `context` is the unwinder's.
unsafe fn call_in(context: *mut Context) -> Option<Call> {
    let mut is_exact = 0;
    // SAFETY: by the caller's promise.
    let (data, start, address) = unsafe {
        (
            _Unwind_GetLanguageSpecificData(context),
            _Unwind_GetRegionStart(context),
            _Unwind_GetIPInfo(context, &raw mut is_exact),
        )
    };
    if data.is_null() {
        return None;
    }
    // The call is before the address it returns to, unless a signal came at this very instruction.
    let call = address.wrapping_sub(usize::from(is_exact == 0));
    // SAFETY: the unwinder gives the table that the compiler made for this function.
    let found = unsafe { table::look_up(data, call.wrapping_sub(start)) };
    // One that is not understood.
    Some(found.unwrap_or(Call::Aborts))
}

/// The unwinder's description of a frame.
#[repr(C)]
struct Context {
    _opaque: [u8; 0],
}

type Visit = unsafe extern "C-unwind" fn(*mut Context, *mut c_void) -> c_int;

/// What [`visit`] returns to see the next frame (`_URC_NO_REASON`), and to see no other.
const GO_ON: c_int = 0;
const STOP: c_int = 4;

// The unwinder's interface, which std links: libgcc's or LLVM's.
unsafe extern "C-unwind" {
    fn _Unwind_Backtrace(visit: Visit, argument: *mut c_void) -> c_int;
    fn _Unwind_GetCFA(context: *mut Context) -> usize;
    fn _Unwind_GetIPInfo(context: *mut Context, is_exact: *mut c_int) -> usize;
    fn _Unwind_GetLanguageSpecificData(context: *mut Context) -> *const u8;
    fn _Unwind_GetRegionStart(context: *mut Context) -> usize;
}
