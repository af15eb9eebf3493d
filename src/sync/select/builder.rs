//! A select whose cases are put together while the program runs.

use std::fmt;
use std::mem;
use std::time::Duration;

use super::operation::{Order, Outgoing, Until, manner};
use super::{Await, Operation, Receive, Transmit};
use crate::rt::{self, Case};
use crate::time::Instant;

/// A select with any number of cases, each with a closure that is called when it is done.
///
/// It is for cases whose number is not known when the program is written; else there is [`select!`](crate::select), which does
/// not allocate. What the closures return is what the select returns.
///
/// ```
/// use sylvan::sync::{mpsc, select::Select};
///
/// let channels: Vec<_> = (0..10).map(|_| mpsc::channel()).collect();
/// channels[7].0.send("seven").unwrap();
/// let mut select = Select::new();
/// for (number, (_, receiver)) in channels.iter().enumerate() {
///     select.recv(receiver, move |message| (number, message));
/// }
/// assert_eq!(select.select(), (7, Ok("seven")));
/// ```
///
/// A select is used once: when a case was done, the select has none any more.
pub struct Select<'queue, R> {
    cases: Vec<Box<dyn Choosable<'queue, R> + 'queue>>,
    order: Order,
}

impl<'queue, R: 'queue> Select<'queue, R> {
    /// A select without a case, yet.
    #[must_use]
    pub fn new() -> Select<'queue, R> {
        Select {
            cases: Vec::new(),
            order: Order::Random,
        }
    }

    /// Of several cases that can be done, the one that was added first shall be, and not any of them.
    ///
    /// ```
    /// use sylvan::sync::{mpsc, select::Select};
    ///
    /// let (sender, receiver) = mpsc::channel();
    /// sender.send(()).unwrap();
    /// let first = Select::new()
    ///     .biased()
    ///     .recv(&receiver, |_| "first")
    ///     .recv(&receiver, |_| "second")
    ///     .select();
    /// assert_eq!(first, "first");
    /// ```
    pub fn biased(&mut self) -> &mut Self {
        self.order = Order::Listed;
        self
    }

    /// Adds a case: to receive.
    pub fn recv<X: Receive + ?Sized>(
        &mut self,
        from: &'queue X,
        then: impl FnOnce(X::Output) -> R + 'queue,
    ) -> &mut Self {
        self.add(from.to_receive(), then)
    }

    /// Adds a case: to send `message`, which is dropped if another case is done.
    ///
    /// ```
    /// use sylvan::sync::{mpsc, select::Select};
    ///
    /// let (sender, receiver) = mpsc::sync_channel(1);
    /// let sent = Select::new().send(&sender, 5, |result| result).select();
    /// assert_eq!((sent, receiver.recv()), (Ok(()), Ok(5)));
    /// ```
    pub fn send<X: Transmit + ?Sized>(
        &mut self,
        into: &'queue X,
        message: X::Message,
        then: impl FnOnce(X::Output) -> R + 'queue,
    ) -> &mut Self
    where
        X::Message: 'queue,
    {
        self.add(into.to_send(Outgoing::new(message)), then)
    }

    /// Adds a case: to send the message in `slot`. When the select is dropped `slot` has it again, if it was not sent. If
    /// there is none the case is never done.
    ///
    /// ```
    /// use sylvan::sync::{mpsc, select::Select};
    ///
    /// let (sender, receiver) = mpsc::sync_channel(0);
    /// let mut slot = Some("unsent");
    /// let sent = Select::new()
    ///     .send_from(&sender, &mut slot, |result| result)
    ///     .try_select();
    /// assert_eq!(sent, None);
    /// assert_eq!(slot, Some("unsent"));
    /// # drop(receiver);
    /// ```
    pub fn send_from<X: Transmit + ?Sized>(
        &mut self,
        into: &'queue X,
        slot: &'queue mut Option<X::Message>,
        then: impl FnOnce(X::Output) -> R + 'queue,
    ) -> &mut Self {
        self.add(into.to_send(Outgoing::lent(slot)), then)
    }

    /// Adds a case: to wait for something.
    ///
    /// ```
    /// use sylvan::sync::{Semaphore, select::Select};
    /// use sylvan::thread;
    ///
    /// sylvan::run(|| {
    ///     let semaphore = Semaphore::new(0);
    ///     let task = thread::spawn(|| 42);
    ///     let ended = Select::new()
    ///         .wait(&semaphore, |_permit| false)
    ///         .wait(&task, |()| true)
    ///         .select();
    ///     assert!(ended);
    ///     assert_eq!(task.join().unwrap(), 42);
    /// });
    /// ```
    pub fn wait<X: Await + ?Sized>(
        &mut self,
        on: &'queue X,
        then: impl FnOnce(X::Output<'queue>) -> R + 'queue,
    ) -> &mut Self {
        self.add(on.to_wait(), then)
    }

    fn add<O: Operation<'queue> + 'queue>(
        &mut self,
        operation: O,
        then: impl FnOnce(O::Output) -> R + 'queue,
    ) -> &mut Self {
        self.cases.push(Box::new(Handled { operation, then }));
        self
    }

    /// Waits until one of the cases can be done, does it, and returns what its closure returns.
    ///
    /// # Panics
    ///
    /// If there is no case.
    pub fn select(&mut self) -> R {
        assert!(!self.cases.is_empty(), "a select without a case");
        let selected = self.run(Until::Never);
        selected.expect("a select that waits for ever ends by a case")
    }

    /// Does one of the cases if one can be done at once. Never suspends. If it returns `None`, the cases stay.
    pub fn try_select(&mut self) -> Option<R> {
        self.run(Until::Now)
    }

    /// As [`select`](Self::select), for so long at most. If it returns `None`, the cases stay.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sylvan::sync::{mpsc, select::Select};
    ///
    /// let (sender, receiver) = mpsc::channel();
    /// let mut select = Select::new();
    /// select.recv(&receiver, |message| message);
    /// assert_eq!(select.select_timeout(Duration::from_millis(1)), None);
    /// sender.send(1).unwrap();
    /// assert_eq!(select.select(), Ok(1));
    /// ```
    pub fn select_timeout(&mut self, duration: Duration) -> Option<R> {
        self.run(Until::Over(duration))
    }

    /// As [`select_timeout`](Self::select_timeout), until `deadline` at most.
    pub fn select_deadline(&mut self, deadline: Instant) -> Option<R> {
        self.run(Until::At(deadline))
    }

    fn run(&mut self, until: Until) -> Option<R> {
        let cases: Vec<&dyn Case<'queue>> = self.cases.iter().map(|case| case.as_case()).collect();
        let chosen = rt::select_slice(&cases, manner(self.order, until))?;
        let chosen = mem::take(&mut self.cases).swap_remove(chosen);
        Some(chosen.finish())
    }
}

impl<'queue, R: 'queue> Default for Select<'queue, R> {
    fn default() -> Select<'queue, R> {
        Select::new()
    }
}

impl<R> fmt::Debug for Select<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select")
            .field("cases", &self.cases.len())
            .field("order", &self.order)
            .finish()
    }
}

/// A case and its closure, whatever their types.
trait Choosable<'queue, R> {
    fn as_case(&self) -> &dyn Case<'queue>;
    fn finish(self: Box<Self>) -> R;
}

struct Handled<O, F> {
    operation: O,
    then: F,
}

impl<'queue, R, O, F> Choosable<'queue, R> for Handled<O, F>
where
    O: Operation<'queue>,
    F: FnOnce(O::Output) -> R,
{
    fn as_case(&self) -> &dyn Case<'queue> {
        &self.operation
    }

    fn finish(self: Box<Self>) -> R {
        let Handled { operation, then } = *self;
        then(operation.finish())
    }
}
