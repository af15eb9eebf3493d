//! Memory for the records of tasks, kept by each hub and used again.
//!
//! Tasks come in great numbers, live for a moment, and their records are of a few sizes. So a hub keeps those that
//! are freed on it, in a list for each size, which it alone touches; a record may have been allocated by
//! another. What it does not use for a while it gives back. In debug builds nothing is kept, so that
//! AddressSanitizer sees who uses a record that was freed.

use std::alloc::{self, Layout};
use std::cell::Cell;
use std::ptr::NonNull;

use super::current;

/// Sizes are rounded up to this, a cache line.
const UNIT: usize = 64;
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
        None => allocate_anew(layout),
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
        _ => unsafe { alloc::dealloc(memory.as_ptr(), rounded(layout)) },
    }
}

#[cold]
fn allocate_anew(layout: Layout) -> NonNull<u8> {
    let rounded = rounded(layout);
    // SAFETY: no record is of size zero.
    let memory = unsafe { alloc::alloc(rounded) };
    NonNull::new(memory).unwrap_or_else(|| alloc::handle_alloc_error(rounded))
}

/// What is allocated for a layout, whoever frees it.
#[inline]
fn rounded(layout: Layout) -> Layout {
    layout.align_to(UNIT).unwrap_or(layout).pad_to_align()
}

impl Records {
    /// The list for records of this layout; none if they are not kept.
    #[inline]
    fn list(&self, layout: Layout) -> Option<&List> {
        let rounded = rounded(layout);
        let unit = rounded.align() == UNIT;
        self.lists.get(rounded.size() / UNIT - 1).filter(|_| unit)
    }

    /// Gives back what is kept.
    pub(super) fn trim(&self) {
        for (list, size) in self.lists.iter().zip(1..) {
            // SAFETY: a multiple of a power of two, and far from too large.
            let layout = unsafe { Layout::from_size_align_unchecked(size * UNIT, UNIT) };
            while let Some(free) = list.pop() {
                // SAFETY: allocated for a layout that was rounded to this, and nobody uses it.
                unsafe { alloc::dealloc(free.cast().as_ptr(), layout) };
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
