//! The connections of an event loop, found by the number of their descriptor.

use std::os::fd::AsRawFd;

/// Values by the descriptor they have.
pub struct Slots<T>(Vec<Option<T>>);

impl<T> Slots<T> {
    /// None.
    #[must_use]
    pub fn new() -> Slots<T> {
        Slots(Vec::new())
    }

    /// Keeps `value` and returns its token.
    pub fn insert(&mut self, value: T, fd: &impl AsRawFd) -> u64 {
        let index = fd.as_raw_fd() as usize;
        if index >= self.0.len() {
            self.0.resize_with(index + 1, || None);
        }
        self.0[index] = Some(value);
        index as u64
    }

    /// The one with that token, if it is still there.
    pub fn get(&mut self, token: u64) -> Option<&mut T> {
        self.0.get_mut(token as usize)?.as_mut()
    }

    /// Drops the one with that token.
    pub fn remove(&mut self, token: u64) {
        self.0[token as usize] = None;
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots::new()
    }
}
