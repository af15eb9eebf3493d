//! The values of a queue, one after the other.

/// What gives values, now or later.
pub trait Get {
    /// What it gives.
    type Value;

    /// Waits for a value; `None` if there will be none.
    fn next(&self) -> Option<Self::Value>;

    /// The value that is there.
    fn try_next(&self) -> Option<Self::Value>;
}

/// All values of a queue until it is closed and empty; waits for each.
#[derive(Debug)]
pub struct Iter<'queue, Q>(&'queue Q);

/// All values that are in a queue. Never suspends.
#[derive(Debug)]
pub struct TryIter<'queue, Q>(&'queue Q);

impl<'queue, Q> Iter<'queue, Q> {
    pub(super) fn new(queue: &'queue Q) -> Self {
        Iter(queue)
    }
}

impl<'queue, Q> TryIter<'queue, Q> {
    pub(super) fn new(queue: &'queue Q) -> Self {
        TryIter(queue)
    }
}

impl<Q> Clone for Iter<'_, Q> {
    fn clone(&self) -> Self {
        Iter(self.0)
    }
}

impl<Q> Clone for TryIter<'_, Q> {
    fn clone(&self) -> Self {
        TryIter(self.0)
    }
}

impl<Q: Get> Iterator for Iter<'_, Q> {
    type Item = Q::Value;

    fn next(&mut self) -> Option<Q::Value> {
        self.0.next()
    }
}

impl<Q: Get> Iterator for TryIter<'_, Q> {
    type Item = Q::Value;

    fn next(&mut self) -> Option<Q::Value> {
        self.0.try_next()
    }
}
