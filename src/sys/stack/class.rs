//! One size class of a pool: its slabs, its hot stacks, and what to keep of them.

use std::io;
use std::ptr;

use super::slab::{Shape, Slab};

/// The first slab's size: one task does not map gigabytes. Every further slab doubles the class.
const FIRST_SLAB: usize = 8 << 20;

/// The largest slab: a million stacks of 64 KiB are 83 mappings.
const LARGEST_SLAB: usize = 1 << 30;

/// However idle, a class keeps this many hot stacks, but not more than this many bytes of them.
const KEEP: (usize, usize) = (64, 64 << 20);

/// However busy it was since the last trim, a class keeps no more than this.
const KEEP_BUSY: (usize, usize) = (1024, 256 << 20);

/// How many stacks one trim returns at most, and how many slabs: either is about 2 ms.
const BATCH: usize = 4096;
const BATCH_OF_SLABS: usize = 1;

/// A free stack that holds memory, and what rests there.
#[derive(Clone, Copy)]
pub(super) struct Hot {
    pub top: usize,
    pub rest: *mut u8,
}

pub(super) struct Class {
    shape: Shape,
    /// Free stacks that hold memory, the last used one at the end.
    hot: Vec<Hot>,
    /// The least length that `hot` had since the last trim. What lies below was not needed.
    low: usize,
    /// By descending address, which is mostly from old to young: the kernel maps downwards.
    slabs: Vec<Slab>,
    /// No slab before this one has a free slot.
    first_free: usize,
    /// Whether wholly free slabs were kept by the last trim.
    spare: bool,
}

impl Class {
    pub fn new(shape: Shape) -> Class {
        Class {
            shape,
            hot: Vec::new(),
            low: 0,
            slabs: Vec::new(),
            first_free: 0,
            spare: false,
        }
    }

    /// Takes a stack.
    #[inline]
    pub fn take(&mut self) -> io::Result<Hot> {
        let Some(hot) = self.hot.pop() else {
            return self.take_cold().map(|top| Hot {
                top,
                rest: ptr::null_mut(),
            });
        };
        self.low = self.low.min(self.hot.len());
        Ok(hot)
    }

    #[inline]
    pub fn give(&mut self, hot: Hot) {
        debug_assert!(
            self.slabs.iter().any(|slab| slab.contains(hot.top)),
            "a stack was given to a foreign pool"
        );
        self.hot.push(hot);
    }

    /// Returns surplus memory, then surplus slabs; says whether a later call may find more.
    pub fn trim(&mut self) -> bool {
        let used = self.hot.len() - self.low;
        let least = self.bounded(KEEP);
        let keep = used.clamp(least, self.bounded(KEEP_BUSY));
        let surplus = self.hot.len().saturating_sub(keep);
        if surplus > 0 {
            self.cool(surplus);
        }
        if surplus > 0 || self.spare {
            self.unmap(used);
        }
        self.low = self.hot.len();
        self.hot.len() > least || self.spare
    }

    fn bounded(&self, (stacks, bytes): (usize, usize)) -> usize {
        stacks.min(bytes / self.shape.size)
    }

    #[cold]
    fn take_cold(&mut self) -> io::Result<usize> {
        loop {
            while let Some(slab) = self.slabs.get_mut(self.first_free) {
                match slab.take() {
                    Ok(Some(top)) => return Ok(top),
                    Ok(None) => self.first_free += 1,
                    Err(error) => return self.take_clean(error),
                }
            }
            self.grow()?;
        }
    }

    /// No further stack can be guarded. One that has its guard may still lie in a later slab.
    fn take_clean(&mut self, error: io::Error) -> io::Result<usize> {
        self.spare = true; // A slab that holds no stack yet is to be found by the next trim.
        let slabs = self.slabs.iter_mut().skip(self.first_free);
        slabs.filter_map(Slab::take_clean).next().ok_or(error)
    }

    /// Maps a slab as large as all others together, or as large as the kernel will give.
    fn grow(&mut self) -> io::Result<()> {
        let total: usize = self.slabs.iter().map(Slab::slots).sum();
        let first = (FIRST_SLAB / self.shape.stride).max(1);
        let mut slots = total.clamp(first, LARGEST_SLAB / self.shape.stride);
        let slab = loop {
            match Slab::map(self.shape, slots) {
                Ok(slab) => break slab,
                Err(error) if slots == 1 => return Err(error),
                Err(_) => slots /= 2,
            }
        };
        self.first_free = self
            .slabs
            .partition_point(|other| other.start() > slab.start());
        self.slabs.insert(self.first_free, slab);
        Ok(())
    }

    /// Returns the memory of so many hot stacks, but of one batch at most.
    fn cool(&mut self, surplus: usize) {
        // The coldest stacks are at the bottom. Of these the lowest addresses go: neighbours share
        // a call, and what stays is found in the old slabs, so that young ones become free.
        let batch = self.hot.len().min(BATCH);
        self.hot[..batch].sort_unstable_by_key(|hot| hot.top);
        let cold = self.hot.drain(..surplus.min(batch));
        let tops: Vec<usize> = cold.map(|hot| hot.top).collect();
        self.hand_to_slabs(&tops, Slab::cool);
    }

    /// Passes each slab those of the ascending `tops` that are its own.
    fn hand_to_slabs(&mut self, mut tops: &[usize], hand: fn(&mut Slab, &[usize])) {
        for slab in self.slabs.iter_mut().rev() {
            let (own, others) = tops.split_at(tops.partition_point(|&top| slab.contains(top)));
            hand(slab, own);
            tops = others;
        }
        debug_assert!(tops.is_empty(), "a stack was given to a foreign pool");
        self.first_free = 0;
    }

    /// Unmaps wholly free slabs, the young ones first, as long as `wanted` stacks stay at hand.
    fn unmap(&mut self, wanted: usize) {
        let mut free = self.hot.len() + self.slabs.iter().map(Slab::clean).sum::<usize>();
        let mut batch = BATCH_OF_SLABS;
        self.spare = false;
        for index in (0..self.slabs.len()).rev() {
            let slab = &self.slabs[index];
            if !slab.is_free() {
                continue;
            }
            if batch == 0 || free - slab.clean() < wanted {
                self.spare = true;
                continue;
            }
            batch -= 1;
            free -= slab.clean();
            if let Err(slab) = self.slabs.remove(index).unmap() {
                self.slabs.insert(index, slab);
            }
        }
        self.first_free = 0;
    }
}

impl Drop for Class {
    /// Unmaps the slabs whose stacks are all back. A slab that is merely dropped stays mapped.
    fn drop(&mut self) {
        let mut tops: Vec<usize> = self.hot.drain(..).map(|hot| hot.top).collect();
        tops.sort_unstable();
        self.hand_to_slabs(&tops, Slab::take_back);
        for slab in self.slabs.drain(..).filter(Slab::is_free) {
            let _ = slab.unmap();
        }
    }
}
