//! The failure of a task that could get no stack.

use std::{error, fmt, io};

/// What the handle of a task gives that could get no stack when it was to start: the payload of the
/// `Err` of `join`.
///
/// Each stack is an area of the process's address space. Where the kernel has light guard pages (Linux
/// 6.13 and later) a million of them take a few mappings; elsewhere every guard page is a mapping of
/// its own, and the kernel's limit `vm.max_map_count` ends it at about 32,000 green threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoStack {
    message: String,
}

impl NoStack {
    pub(crate) fn new(error: &io::Error) -> NoStack {
        NoStack {
            message: format!(
                "no stack for a green thread: {error} (if there is memory left, the limit is the number \
                 of mappings: see the sysctl vm.max_map_count)"
            ),
        }
    }
}

impl fmt::Display for NoStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl error::Error for NoStack {}
