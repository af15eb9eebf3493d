//! Memory for the records of tasks, kept by each hub and used again.
//!
//! Tasks come in great numbers, live for a moment, and their records are of a few sizes. So a hub keeps those that
//! are freed on it, in a list for each size, which it alone touches; a record may have been allocated by
//! another. What it does not use for a while it gives back. In debug builds nothing is kept, so that
//! AddressSanitizer sees who uses a record that was freed.
//!
//! A record begins with a cache line of the processor's, for a task's seat is to be in a single one. An allocator that is
//! asked for that alignment loses a hundred bytes a record, and time: so it is asked for somewhat more than the record, which is
//! put where a line begins, and behind the record stands where the whole of it begins.

use std::alloc::{self, Layout};
use std::cell::Cell;
use std::ptr::NonNull;

use super::current;

/// A cache line.
const LINE: usize = 64;
/// What allocators align to without being asked.
const GRAIN: usize = 16;
/// Sizes are rounded up to this.
const UNIT: usize = 32;
/// What is larger is not kept.
const LARGEST: usize = 1024;
/// How many records of one size are kept.
const MOST: usize = 4096;
const KEEPS: bool = !cfg!(debug_assertions);

/// The records that one hub keeps.
#[derive(Default)]
pub(super) struct Records {
    lists: [List; LARGEST / UNIT],
}

#[derive(Default)]
struct List {
    first: Cell<Option<NonNull<Free>>>,
    length: Cell<usize>,
}

/// Memory that nobody uses.
struct Free {
    next: Option<NonNull<Free>>,
}

/// Memory for a record.
#[inline]
pub(super) fn allocate(layout: Layout) -> NonNull<u8> {
    let kept = current::hub().and_then(|hub| hub.records().list(layout)?.pop());
    match kept {
        Some(free) => free.cast(),
        None => allocate_anew(layout.size(), layout.align()),
    }
}

/// Takes the memory of a record back.
///
/// # Safety
///
/// It was allocated here for this layout, and nobody uses it any more.
#[inline]
pub(super) unsafe fn free(memory: NonNull<u8>, layout: Layout) {
    let list = current::hub().and_then(|hub| hub.records().list(layout));
    match list {
        // SAFETY: by the caller's promise; a list has memory of one size.
        Some(list) if KEEPS && list.length.get() < MOST => unsafe { list.push(memory.cast()) },
        // SAFETY: by the caller's promise.
        _ => unsafe { give_back(memory, layout) },
    }
}

/// As C's it cannot unwind, and a spawn that calls it need not keep what would have to be dropped then.
#[cold]
extern "C" fn allocate_anew(size: usize, align: usize) -> NonNull<u8> {
    let layout = Layout::from_size_align(size, align).expect("made of a layout");
    let Some(size) = self::size(layout) else {
        return allocate_whole(layout);
    };
    let whole = allocate_whole(whole(size));
    let shift = whole.addr().get().wrapping_neg() % LINE;
    // SAFETY: a line begins so far on, and there is room for the record and what stands behind it.
    unsafe {
        let memory = whole.add(shift);
        memory.add(size).cast().write(whole);
        memory
    }
}

fn allocate_whole(layout: Layout) -> NonNull<u8> {
    // SAFETY: no record is of size zero.
    let memory = unsafe { alloc::alloc(layout) };
    NonNull::new(memory).unwrap_or_else(|| alloc::handle_alloc_error(layout))
}

/// # Safety
///
/// As [`free`].
unsafe fn give_back(memory: NonNull<u8>, layout: Layout) {
    match size(layout) {
        // SAFETY: by the caller's promise; that is where `allocate_anew` has put it.
        Some(size) => unsafe {
            let begin = memory.add(size).cast::<NonNull<u8>>().read();
            alloc::dealloc(begin.as_ptr(), whole(size));
        },
        // SAFETY: by the caller's promise.
        None => unsafe { alloc::dealloc(memory.as_ptr(), layout) },
    }
}

/// The size that a record of this layout is given; none if it needs to be aligned to more than a line.
#[inline]
fn size(layout: Layout) -> Option<usize> {
    (layout.align() <= LINE).then(|| layout.size().next_multiple_of(UNIT))
}

/// What is allocated for a record of a size.
fn whole(size: usize) -> Layout {
    let most = size + (LINE - GRAIN) + size_of::<NonNull<u8>>();
    Layout::from_size_align(most, GRAIN).expect("a record that fits a layout is not that large")
}

impl Records {
    /// The list for records of this layout; none if they are not kept.
    #[inline]
    fn list(&self, layout: Layout) -> Option<&List> {
        self.lists.get(size(layout)? / UNIT - 1)
    }

    /// Gives back what is kept.
    pub(super) fn trim(&self) {
        for (list, units) in self.lists.iter().zip(1..) {
            let layout = Layout::from_size_align(units * UNIT, LINE);
            let layout = layout.expect("what is kept is small");
            while let Some(free) = list.pop() {
                // SAFETY: allocated for a layout of this size, and nobody uses it.
                unsafe { give_back(free.cast(), layout) };
            }
        }
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        self.trim();
    }
}

impl List {
    #[inline]
    fn pop(&self) -> Option<NonNull<Free>> {
        let free = self.first.get()?;
        // SAFETY: what is listed is valid and nobody else's.
        self.first.set(unsafe { free.as_ref() }.next);
        self.length.set(self.length.get() - 1);
        Some(free)
    }

    /// # Safety
    ///
    /// The memory is of this list's size, and nobody uses it.
    #[inline]
    unsafe fn push(&self, memory: NonNull<Free>) {
        let next = self.first.get();
        // SAFETY: by the caller's promise; every record is large enough.
        unsafe { memory.write(Free { next }) };
        self.first.set(Some(memory));
        self.length.set(self.length.get() + 1);
    }
}
