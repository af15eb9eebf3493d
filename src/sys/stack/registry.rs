//! The slabs of all pools, readable in a signal handler.
//!
//! The handler may run while other threads map and unmap slabs, and on a thread that was stopped in
//! the middle of that. So it takes no lock: slabs are described by integers in nodes that are never
//! freed, only reused, and each node has a version that is odd while it changes (a seqlock). Whoever
//! finds a node changing passes it by, and rightly: the slab it described holds no live stack any
//! more, the slab it will describe holds none yet.

use std::ptr;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicPtr, AtomicUsize, fence};

use super::slab::Shape;
use crate::sys::sync::Mutex;

/// Tells whether an address lies in the guard of a stack, and if so the usable size of that stack.
///
/// It is async-signal-safe and lock-free.
pub(crate) fn overflowed(address: usize) -> Option<usize> {
    let mut next = FIRST.load(Acquire).cast_const();
    // SAFETY: the list's pointers are null or come from `Box::leak`, published by a release store.
    while let Some(node) = unsafe { next.as_ref() } {
        if let Some(size) = node.overflowed(address) {
            return Some(size);
        }
        next = node.next;
    }
    None
}

/// A registered slab. It stays registered until it is withdrawn.
pub(super) struct Entry(&'static Node);

impl Entry {
    pub fn new(start: usize, length: usize, shape: Shape) -> Entry {
        let mut idle = IDLE.lock();
        let node = idle.pop().unwrap_or_else(|| {
            let next = FIRST.load(Relaxed);
            let node: &Node = Box::leak(Box::new(Node::new(next)));
            // No other thread adds one: the lock is held.
            FIRST.store(ptr::from_ref(node).cast_mut(), Release);
            node
        });
        drop(idle);
        node.write([start, length, shape.stride, shape.guard, shape.size]);
        Entry(node)
    }

    /// Forgets the slab. The entry is then used up: it must be replaced or dropped.
    pub fn withdraw(&self) {
        self.0.write([0; 5]);
        let mut idle = IDLE.lock();
        idle.push(self.0);
    }
}

/// All nodes there ever were.
static FIRST: AtomicPtr<Node> = AtomicPtr::new(ptr::null_mut());

/// Those that describe no slab.
static IDLE: Mutex<Vec<&'static Node>> = Mutex::new(Vec::new());

struct Node {
    next: *const Node,
    version: AtomicUsize,
    /// Start and length of the slab; stride, guard and usable size of its stacks.
    slab: [AtomicUsize; 5],
}

// SAFETY: `next` is never changed once the node is shared, and points to a node that is never freed.
unsafe impl Sync for Node {}

impl Node {
    fn new(next: *const Node) -> Node {
        Node {
            next,
            version: AtomicUsize::new(0),
            slab: [const { AtomicUsize::new(0) }; 5],
        }
    }

    /// Only the thread that took the node from the idle ones may call this.
    fn write(&self, slab: [usize; 5]) {
        let version = self.version.load(Relaxed);
        self.version.store(version.wrapping_add(1), Relaxed);
        // No reader can see one of the new values and still the old version.
        fence(Release);
        for (to, from) in self.slab.iter().zip(slab) {
            to.store(from, Relaxed);
        }
        self.version.store(version.wrapping_add(2), Release);
    }

    fn read(&self) -> Option<[usize; 5]> {
        let version = self.version.load(Acquire);
        let slab = self.slab.each_ref().map(|value| value.load(Relaxed));
        // Should one of the values be new, the version now read is new as well.
        fence(Acquire);
        let unchanged = self.version.load(Relaxed) == version;
        (unchanged && version.is_multiple_of(2)).then_some(slab)
    }

    fn overflowed(&self, address: usize) -> Option<usize> {
        let [start, length, stride, guard, size] = self.read()?;
        let offset = address.checked_sub(start)?;
        (offset < length && offset % stride < guard).then_some(size)
    }
}
