//! The stores whose order is that of coming: first in, first out, and last in, first out.

use std::collections::VecDeque;

use super::core::Store;

/// First in, first out.
pub struct Ring<T>(VecDeque<T>);

/// Last in, first out.
pub struct Stack<T>(Vec<T>);

impl<T> Ring<T> {
    pub(super) const fn new() -> Ring<T> {
        Ring(VecDeque::new())
    }
}

impl<T> Stack<T> {
    pub(super) const fn new() -> Stack<T> {
        Stack(Vec::new())
    }
}

impl<T> Store<T> for Ring<T> {
    type Aside = ();

    #[inline]
    fn push(&mut self, value: T) {
        self.0.push_back(value);
    }

    fn restore(&mut self, value: T) {
        self.0.push_front(value);
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        self.0.pop_front()
    }

    fn pop_aside(_: &(), _: impl FnOnce(&mut dyn FnMut(&mut Self))) -> T {
        unreachable!("there is a value for each right, and `pop` gives it")
    }
}

impl<T> Store<T> for Stack<T> {
    type Aside = ();

    #[inline]
    fn push(&mut self, value: T) {
        self.0.push(value);
    }

    fn restore(&mut self, value: T) {
        self.0.push(value);
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    fn pop_aside(_: &(), _: impl FnOnce(&mut dyn FnMut(&mut Self))) -> T {
        unreachable!("there is a value for each right, and `pop` gives it")
    }
}
