//! Hints to the processor's caches.

/// A task that waits a few calls deep has this much of its stack in use, in cache lines.
const TOP: usize = 6;

/// Asks for the upper end of a stack. `root` is in its first line.
#[inline(always)]
pub(crate) fn prefetch_stack(root: *const u8) {
    for line in 0..TOP {
        prefetch(root.wrapping_sub(line * 64));
    }
}

/// Asks for the cache line at this address, which is about to be used. Any address will do.
#[inline(always)]
pub(crate) fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which faults at no address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; it changes no register, flag or memory.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
}
