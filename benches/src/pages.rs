//! How many pages the crawl clients have still to fetch, and what came of it.

use crate::arguments::Arguments;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a crawl client is to do.
#[derive(Clone, Copy)]
pub struct Order {
    /// How many pages in all.
    pub pages: u64,
    /// How many at once.
    pub at_once: u64,
    /// A new connection for each.
    pub fresh: bool,
}

impl Order {
    /// From the command line.
    #[must_use]
    pub fn of(arguments: &Arguments) -> Order {
        Order {
            pages: arguments.number("pages", 10_000),
            at_once: arguments.number("at-once", 100),
            fresh: arguments.flag("fresh"),
        }
    }
}

/// The pages that nobody has begun to fetch yet.
pub struct Pages {
    left: AtomicU64,
    bytes: AtomicU64,
}

impl Pages {
    /// All of them.
    #[must_use]
    pub fn of(order: &Order) -> Pages {
        Pages {
            left: AtomicU64::new(order.pages),
            bytes: AtomicU64::new(0),
        }
    }

    /// Takes one, if there is one left.
    pub fn take(&self) -> bool {
        let take = |left: u64| left.checked_sub(1);
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }

    /// One has come.
    pub fn fetched(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Panics unless each page was there in whole.
    ///
    /// # Panics
    ///
    /// See above.
    pub fn check(&self, order: &Order) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        assert_eq!(bytes, order.pages * PAGE as u64, "pages were cut off");
    }
}

/// The length of a page.
pub const PAGE: usize = 10 << 10;
