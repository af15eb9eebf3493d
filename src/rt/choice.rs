//! The only source of choice: which victim a thief visits first, and in which order a select looks at its cases.

use std::cell::Cell;

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// A number below `count`, by xorshift64 (G. Marsaglia, "Xorshift RNGs", 2003).
pub(super) fn below(count: usize) -> usize {
    let mut state = STATE.get();
    if state == 0 {
        // Any start but zero; task numbers differ between OS threads.
        state = super::current::next_id().wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    }
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    STATE.set(state);
    (state % count as u64) as usize
}

/// Puts the numbers into a random order, each of them equally likely.
pub(super) fn shuffle(numbers: &mut [usize]) {
    for last in (1..numbers.len()).rev() {
        numbers.swap(last, below(last + 1));
    }
}
