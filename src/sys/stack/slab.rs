//! A slab: one mapping cut into equal slots, each of which becomes a guarded stack when first used.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use super::registry::Entry;

/// Light guards (Linux 6.13): they fault like `PROT_NONE`, but split no mapping and survive
/// `MADV_DONTNEED`. libc does not name it yet.
const MADV_GUARD_INSTALL: libc::c_int = 102;

/// The calling process, as a descriptor of it; younger than light guards. libc does not name it yet.
const PIDFD_SELF: libc::c_int = -10_000;

/// So many slots get their guards by one call, once a slab has that many times [`GROWTH`] of them: a sixth of what the
/// kernel does for a new stack is the way there and back.
const BATCH: usize = 16;
const GROWTH: usize = 4;

/// How stacks of one size are laid out.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// The usable bytes.
    pub size: usize,
    /// The guard, at the low end.
    pub guard: usize,
    /// From one slot to the next: guard, usable bytes, and a page for the colour.
    pub stride: usize,
}

impl Shape {
    /// The shape for a size that is a multiple of the page; `None` when it fits no address space.
    pub fn of(size: usize) -> Option<Shape> {
        let page = page_size();
        // A C function with a frame of 14 KiB steps over a guard of one page without a fault.
        let guard = if size <= 64 << 10 { 16 << 10 } else { 64 << 10 };
        let guard = usize::next_multiple_of(guard, page);
        let stride = size
            .checked_next_multiple_of(page)?
            .checked_add(guard + page)?;
        Some(Shape {
            size,
            guard,
            stride,
        })
    }

    /// Where the slot ends in which a stack has this top: the colour lowers it by less than a page.
    pub fn slot_end(self, top: usize) -> usize {
        top.next_multiple_of(page_size())
    }
}

/// Dropping a slab leaves it mapped, for live stacks may be in it; see [`Slab::unmap`].
pub(super) struct Slab {
    start: usize,
    shape: Shape,
    slots: usize,
    /// The slots below this one have their guard. The others were never used.
    guarded: usize,
    /// Free slots that have their guard and hold no memory.
    clean: Vec<u32>,
    /// How many of the guards are by `mprotect`.
    splits: usize,
    light: bool,
    entry: Entry,
}

impl Slab {
    /// Reserves address space for so many stacks; it costs nothing until they are used.
    pub fn map(shape: Shape, slots: usize) -> io::Result<Slab> {
        let length = shape.stride.checked_mul(slots).ok_or_else(out_of_memory)?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // With huge pages one touched page would cost 2 MiB. A kernel without them refuses, rightly.
        // SAFETY: the range is the mapping just made, and the advice changes no contents.
        unsafe { libc::madvise(start, length, libc::MADV_NOHUGEPAGE) };
        let start = start as usize;
        Ok(Slab {
            start,
            shape,
            slots,
            guarded: 0,
            clean: Vec::new(),
            splits: 0,
            light: !mprotect_forced(),
            entry: Entry::new(start, length, shape),
        })
    }

    pub fn start(&self) -> usize {
        self.start
    }

    pub fn slots(&self) -> usize {
        self.slots
    }

    /// How many clean stacks are free.
    pub fn clean(&self) -> usize {
        self.clean.len()
    }

    pub fn contains(&self, top: usize) -> bool {
        top > self.start && top <= self.start + self.slots * self.shape.stride
    }

    /// Whether no stack is live or hot.
    pub fn is_free(&self) -> bool {
        self.clean.len() == self.guarded
    }

    /// Takes a free stack, clean or fresh, and returns its top.
    ///
    /// # Errors
    ///
    /// When a fresh stack can get no guard: unguarded ones are never handed out.
    pub fn take(&mut self) -> io::Result<Option<usize>> {
        if let Some(top) = self.take_clean() {
            return Ok(Some(top));
        }
        if self.guarded == self.slots {
            return Ok(None);
        }
        let first = self.guarded;
        let batch = (first / GROWTH).clamp(1, BATCH).min(self.slots - first);
        let count = if batch > 1 && self.guard_all(first, batch) {
            batch
        } else {
            self.guard(self.low(first))?;
            1
        };
        self.guarded += count;
        // The lowest is the next to be taken.
        let others = first + 1..self.guarded;
        self.clean.extend(others.rev().map(|slot| slot as u32));
        Ok(Some(self.top(first)))
    }

    /// Takes a free stack that needs no help of the kernel.
    pub fn take_clean(&mut self) -> Option<usize> {
        let slot = self.clean.pop()?;
        Some(self.top(slot as usize))
    }

    /// Takes back stacks, by ascending top, and returns their memory to the kernel.
    pub fn cool(&mut self, tops: &[usize]) {
        let is_neighbour = |low: &usize, high: &usize| self.slot(*high) - self.slot(*low) == 1;
        for run in tops.chunk_by(is_neighbour) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else {
                continue;
            };
            let low = self.shape.slot_end(*first) - self.shape.stride + self.shape.guard;
            let length = self.shape.slot_end(*last) - low;
            // The guards between neighbours survive it. On failure (locked memory) the stacks only
            // keep what they hold.
            // SAFETY: the range lies in this slab and in stacks that are free: nobody reads them.
            unsafe { libc::madvise(low as *mut _, length, libc::MADV_DONTNEED) };
        }
        self.take_back(tops);
    }

    /// Takes back stacks without returning their memory, for use before `unmap`.
    pub fn take_back(&mut self, tops: &[usize]) {
        for &top in tops {
            self.clean.push(self.slot(top) as u32);
        }
    }

    /// Unmaps a slab in which no stack is live.
    ///
    /// # Errors
    ///
    /// Gives the slab back if the kernel refuses, as it may when that would split a mapping.
    pub fn unmap(mut self) -> Result<(), Slab> {
        debug_assert!(self.is_free());
        let length = self.slots * self.shape.stride;
        // The entry goes first: as soon as the range is unmapped another thread may map it.
        self.entry.withdraw();
        // SAFETY: the range is our own mapping, and no stack in it is in use.
        if unsafe { libc::munmap(self.start as *mut _, length) } != 0 {
            self.entry = Entry::new(self.start, length, self.shape);
            return Err(self);
        }
        SPLITS.fetch_sub(self.splits, Relaxed);
        Ok(())
    }

    /// Makes guards in so many slots from `first` on, which were never touched, by one call. `false`: that cannot be had,
    /// and some of them may have theirs.
    fn guard_all(&self, first: usize, count: usize) -> bool {
        static CAN_BE_HAD: AtomicBool = AtomicBool::new(true);
        if !self.light || !CAN_BE_HAD.load(Relaxed) {
            return false;
        }
        let guards: [libc::iovec; BATCH] = std::array::from_fn(|nth| libc::iovec {
            iov_base: self.low(first + nth) as *mut _,
            iov_len: self.shape.guard,
        });
        // SAFETY: the ranges lie in this slab, in slots that are not in use.
        let advised = unsafe {
            libc::syscall(
                libc::SYS_process_madvise,
                PIDFD_SELF,
                guards.as_ptr(),
                count,
                MADV_GUARD_INSTALL,
                0,
            )
        };
        let is_whole = usize::try_from(advised) == Ok(count * self.shape.guard);
        if !is_whole {
            // An older kernel, or a filter of system calls. One by one it may go.
            CAN_BE_HAD.store(false, Relaxed);
        }
        is_whole
    }

    /// Makes guard pages at the low end of a slot that was never touched.
    fn guard(&mut self, low: usize) -> io::Result<()> {
        if self.light {
            // SAFETY: the range lies in this slab, in a slot that is not in use.
            if unsafe { libc::madvise(low as *mut _, self.shape.guard, MADV_GUARD_INSTALL) } == 0 {
                return Ok(());
            }
            self.light = false;
        }
        if SPLITS.fetch_add(1, Relaxed) >= most_splits() {
            SPLITS.fetch_sub(1, Relaxed);
            return Err(out_of_memory());
        }
        // SAFETY: the range lies in this slab, in a slot that is not in use.
        if unsafe { libc::mprotect(low as *mut _, self.shape.guard, libc::PROT_NONE) } != 0 {
            SPLITS.fetch_sub(1, Relaxed);
            return Err(io::Error::last_os_error());
        }
        self.splits += 1;
        Ok(())
    }

    /// The top of a slot's stack, lowered by its colour: were all tops equal in their low bits, the
    /// frames at rest would compete for a few sets of the first-level cache.
    fn top(&self, slot: usize) -> usize {
        self.start + (slot + 1) * self.shape.stride - slot % 32 * 64
    }

    /// The low end of a slot, where its guard is.
    fn low(&self, slot: usize) -> usize {
        self.start + slot * self.shape.stride
    }

    fn slot(&self, top: usize) -> usize {
        (self.shape.slot_end(top) - self.start) / self.shape.stride - 1
    }
}

pub(super) fn page_size() -> usize {
    static PAGE: OnceLock<usize> = OnceLock::new();
    // SAFETY: sysconf reads a constant of the system.
    *PAGE.get_or_init(|| unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize)
}

pub(super) fn out_of_memory() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOMEM)
}

/// A switch for tests on kernels that have light guards.
fn mprotect_forced() -> bool {
    static FORCED: OnceLock<bool> = OnceLock::new();
    *FORCED.get_or_init(|| std::env::var_os("SYLVAN_GUARDS").is_some_and(|it| it == "mprotect"))
}

/// The guards of this process that are by `mprotect`. Each costs two of its mappings.
static SPLITS: AtomicUsize = AtomicUsize::new(0);

/// How many such guards to allow. At the kernel's limit every mapping fails, malloc's as well, and
/// then the process dies of it: so some mappings are left to others.
fn most_splits() -> usize {
    static MOST: OnceLock<usize> = OnceLock::new();
    *MOST.get_or_init(|| {
        let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count");
        let limit = limit.ok().and_then(|text| text.trim().parse().ok());
        let limit: usize = limit.unwrap_or(65_530);
        (limit - (limit / 8).min(2048)) / 2
    })
}
