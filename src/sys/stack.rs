//! Stacks for green threads: guarded, recycled, a million at a time.
//!
//! Each hub owns one [`Pool`]. A stack is a slot of a [`slab`]: one large mapping cut into equal
//! slots of one size class. From its lowest address up, a slot is
//!
//! ```text
//! limit            limit + guard                                  top        end of the slot
//!   | guard pages    | usable, at least the size of the class      | colour, within one page |
//! ```
//!
//! The guard and the page for the colour come on top of the class, so that who asks for 64 KiB has
//! 64 KiB. They also keep the distance of neighbours off the powers of two: at 256 pages, the tops
//! of 1,000 stacks of 1 MiB compete for so few sets of the TLB that touching one takes 12.5 ns
//! instead of 6.5 (an odd number of pages, as here, was never worse than any other).
//!
//! Three kinds of free stacks are told apart, so that each costs the least: *hot* ones (they still
//! hold memory; a LIFO in [`class`]), *clean* ones (guarded, but [`Pool::trim`] has returned their
//! memory) and *fresh* ones (never handed out, not even guarded). All lists live outside of the
//! stacks: a stack at rest is never touched.

mod class;
mod registry;
mod slab;
#[cfg(test)]
pub(super) mod tests;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::ptr;

use class::{Class, Hot};
pub(crate) use registry::overflowed;
use slab::{Shape, Slab};

/// The sizes of the classes. Larger requests get a mapping of their own.
const SIZES: [usize; 4] = [64 << 10, 256 << 10, 1 << 20, 8 << 20];

/// One guarded stack.
///
/// Give it back by [`Pool::give`], to the pool it came from. Merely dropping it leaks it, and that
/// is meant: the stack of a coroutine that is parked for ever must never be used again.
#[derive(Debug)]
#[must_use = "a stack that is dropped is leaked; give it back to its pool"]
pub(crate) struct Stack {
    top: NonZeroUsize,
    size: usize,
    /// Where a flow of control rests on it or is suspended, which is the business of `context.rs`; null if none is
    /// there. It stays with the stack as long as that keeps its memory.
    pub rest: Cell<*mut u8>,
}

impl Stack {
    #[inline]
    fn new(top: usize, size: usize, rest: *mut u8) -> Stack {
        Stack {
            top: NonZeroUsize::new(top).expect("a stack lies at no null address"),
            size,
            rest: Cell::new(rest),
        }
    }

    /// The highest address, where the stack begins to grow down: 64-byte aligned, colour included.
    pub fn top(&self) -> usize {
        self.top.get()
    }

    /// The lowest address, that of the guard.
    #[inline(always)]
    pub fn limit(&self) -> usize {
        let shape = Shape::of(self.size).expect("a stack that exists has a shape");
        shape.slot_end(self.top()) - shape.stride
    }

    /// How many bytes the stack's class promises between guard and top.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.size
    }
}

/// The stacks of one hub. All its methods are for one thread at a time.
///
/// A pool that is dropped unmaps the slabs whose stacks are all back, and deliberately leaks the
/// others.
pub(crate) struct Pool {
    classes: [Class; SIZES.len()],
    /// Stacks beyond the largest class, by their top.
    own: BTreeMap<usize, Slab>,
    live: usize,
    not_sync: PhantomData<Cell<()>>,
}

impl Pool {
    /// Makes a pool, which maps nothing before the first `take`.
    pub fn new() -> Pool {
        Pool {
            classes: SIZES.map(|size| Class::new(Shape::of(size).expect("classes are small"))),
            own: BTreeMap::new(),
            live: 0,
            not_sync: PhantomData,
        }
    }

    /// Takes a guarded stack of at least `bytes`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, in most cases, when the kernel has no memory, address space or mapping left
    /// (without light guards, `vm.max_map_count` ends it at about 31,700 stacks). Nothing is lost
    /// by it, and `take` works again once stacks were given back.
    #[inline]
    pub fn take(&mut self, bytes: usize) -> io::Result<Stack> {
        let index = class_of(bytes);
        let stack = match self.classes.get_mut(index) {
            Some(class) => {
                let Hot { top, rest } = class.take()?;
                Stack::new(top, SIZES[index], rest)
            }
            None => self.take_own(bytes)?,
        };
        self.live += 1;
        Ok(stack)
    }

    /// Takes a stack back. It keeps its memory until a `trim` finds it superfluous.
    #[inline]
    pub fn give(&mut self, stack: Stack) {
        match self.classes.get_mut(class_of(stack.size)) {
            Some(class) => class.give(Hot {
                top: stack.top(),
                rest: stack.rest.get(),
            }),
            None => self.give_own(stack),
        }
        self.live -= 1;
    }

    /// How many stacks are handed out, those that were leaked included.
    #[inline]
    pub fn live(&self) -> usize {
        self.live
    }

    /// Returns memory that was not needed lately. It is cheap when there is nothing to do.
    ///
    /// One call does a few milliseconds of work at most. It says whether a later call may return
    /// more, either because there is more than that, or because what was in use since the last call
    /// is first kept for a while. As long as it says so, a hub ought not to sleep without bound:
    /// two calls with nothing in between find all there is to find, but for the bound.
    pub fn trim(&mut self) -> bool {
        let mut more = false;
        for class in &mut self.classes {
            more |= class.trim();
        }
        more
    }

    /// The size of the stack that `take(bytes)` returns.
    pub fn round_up(bytes: usize) -> usize {
        let page = slab::page_size();
        match SIZES.get(class_of(bytes)) {
            Some(&size) => size,
            // The saturated size is one that `take` refuses.
            None => bytes.checked_next_multiple_of(page).unwrap_or(usize::MAX),
        }
    }

    #[cold]
    fn take_own(&mut self, bytes: usize) -> io::Result<Stack> {
        let size = Pool::round_up(bytes);
        let shape = Shape::of(size).ok_or_else(slab::out_of_memory)?;
        let mut slab = Slab::map(shape, 1)?;
        match slab.take() {
            Ok(top) => {
                let top = top.expect("a new slab has a free slot");
                self.own.insert(top, slab);
                Ok(Stack::new(top, size, ptr::null_mut()))
            }
            Err(error) => {
                // Should this fail too, the mapping holds no memory.
                let _ = slab.unmap();
                Err(error)
            }
        }
    }

    #[cold]
    fn give_own(&mut self, stack: Stack) {
        let slab = self.own.remove(&stack.top());
        debug_assert!(slab.is_some(), "a stack was given to a foreign pool");
        if let Some(mut slab) = slab {
            // The kernel can refuse to unmap, at its limit of mappings: then at least the memory
            // has been returned.
            slab.cool(&[stack.top()]);
            let _ = slab.unmap();
        }
    }
}

/// The index in `SIZES` of the smallest class that holds `bytes`; `SIZES.len()` if none does.
#[inline]
fn class_of(bytes: usize) -> usize {
    // A sum of comparisons has no branch to mispredict.
    SIZES.iter().map(|&size| usize::from(bytes > size)).sum()
}
