//! `select!`: from the syntax of cases to typed cases, a call of `run`, and a match of what it gives.

/// Waits for whichever of several things comes first. The [module](mod@crate::sync::select) has the list of cases.
///
/// It is an expression, whose value is that of the case that was done.
///
/// ```
/// use std::time::Duration;
/// use sylvan::sync::{Semaphore, mpsc};
/// use sylvan::{select, thread};
///
/// sylvan::run(|| {
///     let (requests, work) = mpsc::sync_channel::<u32>(0);
///     let (answers, results) = mpsc::channel();
///     let worker = thread::spawn(move || {
///         loop {
///             select! {
///                 recv(work) -> request => match request {
///                     Ok(request) => answers.send(2 * request).unwrap(),
///                     Err(_) => break "all was done",
///                 },
///                 default(Duration::from_secs(60)) => break "idle for a minute",
///             }
///         }
///     });
///     let mut to_send = Some(21);
///     let answer = loop {
///         select! {
///             send_from(requests, to_send) -> sent => sent.unwrap(),
///             recv(results) -> answer => break answer.unwrap(),
///             join(worker) => panic!("the worker has ended early"),
///         }
///     };
///     assert_eq!(answer, 42);
///     drop(requests);
///     assert_eq!(worker.join().unwrap(), "all was done");
/// });
/// ```
///
/// With `biased;` the first of several that can be done is done, and not any:
///
/// ```
/// use sylvan::select;
/// use sylvan::sync::mpsc;
///
/// let (urgent, urgent_orders) = mpsc::channel();
/// let (other, other_orders) = mpsc::channel();
/// other.send("other").unwrap();
/// urgent.send("urgent").unwrap();
/// let first = select! {
///     biased;
///     recv(urgent_orders) -> order => order,
///     recv(other_orders) -> order => order,
/// };
/// assert_eq!(first, Ok("urgent"));
/// ```
#[macro_export]
macro_rules! select {
    (biased; $($cases:tt)*) => {
        $crate::__select!(@cases Listed [] [] $($cases)*)
    };
    ($($cases:tt)*) => {
        $crate::__select!(@cases Random [] [] $($cases)*)
    };
}

/// The cases are read one by one, each in three steps: its head, its body, and to be added to those before. `case` is
/// another variable in each step that makes one, as names of macros are.
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    // All are read.
    (@cases $order:ident [$(($case:ident $operation:ident $operands:tt $pattern:tt $body:tt))*] [$($default:tt)*]) => {{
        let selected = {
            #[allow(unused_imports)]
            use $crate::sync::select::{
                Await as _, Operation as _, Receive as _, Transmit as _,
            };
            match ($($crate::__select!(@operation $operation $operands),)*) {
                ($($case,)*) => {
                    let chosen = $crate::sync::select::private::run(
                        $crate::sync::select::private::Order::$order,
                        $crate::__select!(@until $($default)*),
                        [$(&$case),*],
                    );
                    $crate::__select!(@finish chosen [$($case)*] [$($default)*])
                }
            }
        };
        $crate::__select!(@bodies selected [$(($pattern $body))*] [$($default)*])
    }};

    // The head of a case.
    (@cases $order:ident $done:tt $default:tt default => $($rest:tt)*) => {
        $crate::__select!(@body $order $done $default (default Now) $($rest)*)
    };
    (@cases $order:ident $done:tt $default:tt default() => $($rest:tt)*) => {
        $crate::__select!(@body $order $done $default (default Now) $($rest)*)
    };
    (@cases $order:ident $done:tt $default:tt default($duration:expr $(,)?) => $($rest:tt)*) => {
        $crate::__select!(@body $order $done $default (default Over $duration) $($rest)*)
    };
    (@cases $order:ident $done:tt $default:tt $operation:ident $operands:tt -> $pattern:pat => $($rest:tt)*) => {
        $crate::__select!(@body $order $done $default ($operation $operands $pattern) $($rest)*)
    };
    (@cases $order:ident $done:tt $default:tt $operation:ident $operands:tt => $($rest:tt)*) => {
        $crate::__select!(@body $order $done $default ($operation $operands _) $($rest)*)
    };
    (@cases $order:ident $done:tt $default:tt $($rest:tt)*) => {
        compile_error!(concat!(
            "a case of select! is `operation(operands) -> pattern => code`, not `",
            stringify!($($rest)*),
            "`",
        ))
    };

    // Its body.
    (@body $order:ident $done:tt $default:tt $head:tt $body:expr, $($rest:tt)*) => {
        $crate::__select!(@add $order $done $default $head ($body) $($rest)*)
    };
    (@body $order:ident $done:tt $default:tt $head:tt $body:block $($rest:tt)*) => {
        $crate::__select!(@add $order $done $default $head ($body) $($rest)*)
    };
    (@body $order:ident $done:tt $default:tt $head:tt $body:expr) => {
        $crate::__select!(@add $order $done $default $head ($body))
    };
    (@body $($rest:tt)*) => {
        compile_error!("a case of select! has no code, or no comma after it")
    };

    // To those before.
    (@add $order:ident $done:tt [] (default $($until:tt)*) $body:tt $($rest:tt)*) => {
        $crate::__select!(@cases $order $done [($($until)*) $body] $($rest)*)
    };
    (@add $order:ident $done:tt [$($default:tt)+] (default $($until:tt)*) $body:tt $($rest:tt)*) => {
        compile_error!("select! has two defaults")
    };
    (@add $order:ident [$($done:tt)*] $default:tt ($operation:ident $operands:tt $pattern:tt) $body:tt $($rest:tt)*) => {
        $crate::__select!(@cases $order [$($done)* (case $operation $operands $pattern $body)] $default $($rest)*)
    };

    // What a case waits for.
    (@operation recv ($from:expr $(,)?)) => { $from.to_receive() };
    (@operation get ($from:expr $(,)?)) => { $from.to_receive() };
    (@operation send ($into:expr, $message:expr $(,)?)) => {
        $into.to_send($crate::sync::select::Outgoing::new($message))
    };
    (@operation put ($into:expr, $message:expr $(,)?)) => {
        $into.to_send($crate::sync::select::Outgoing::new($message))
    };
    (@operation send_from ($into:expr, $slot:expr $(,)?)) => {
        $into.to_send($crate::sync::select::Outgoing::lent(&mut $slot))
    };
    (@operation put_from ($into:expr, $slot:expr $(,)?)) => {
        $into.to_send($crate::sync::select::Outgoing::lent(&mut $slot))
    };
    (@operation wait ($for:expr $(,)?)) => { $for.to_wait() };
    (@operation join ($handle:expr $(,)?)) => { $handle.to_wait() };
    (@operation acquire ($semaphore:expr $(,)?)) => { $semaphore.to_wait() };
    (@operation after ($duration:expr $(,)?)) => {
        $crate::sync::select::after($duration).to_wait()
    };
    (@operation at ($moment:expr $(,)?)) => {
        $crate::sync::select::at($moment).to_wait()
    };
    (@operation $operation:ident $operands:tt) => {
        compile_error!(concat!(
            "select! has no case `",
            stringify!($operation $operands),
            "`; it has recv(receiver), send(sender, message), send_from(sender, slot), join(handle), \
             acquire(semaphore), wait(something), after(duration), at(instant), default and default(duration)",
        ))
    };

    // How long it waits.
    (@until) => { $crate::sync::select::private::Until::Never };
    (@until (Now) $body:tt) => { $crate::sync::select::private::Until::Now };
    (@until (Over $duration:expr) $body:tt) => {
        $crate::sync::select::private::Until::Over($duration)
    };

    // From the number of the case that was done to what came of it.
    (@finish $chosen:ident [$case:ident $($rest:ident)*] $default:tt) => {
        if $chosen == 0 {
            $crate::sync::select::private::Selected::This($case.finish())
        } else {
            let chosen = $chosen - 1;
            $crate::sync::select::private::Selected::Other(
                $crate::__select!(@finish chosen [$($rest)*] $default)
            )
        }
    };
    (@finish $chosen:ident [] []) => {{
        let _ = $chosen;
        $crate::sync::select::private::nothing_else()
    }};
    (@finish $chosen:ident [] [$($default:tt)+]) => {{
        let _ = $chosen;
    }};

    // The code of the case that was done; its operands are not borrowed any more.
    (@bodies $selected:ident [($pattern:tt ($body:expr)) $($rest:tt)*] $default:tt) => {
        match $selected {
            $crate::sync::select::private::Selected::This($pattern) => $body,
            $crate::sync::select::private::Selected::Other(other) => {
                $crate::__select!(@bodies other [$($rest)*] $default)
            }
        }
    };
    (@bodies $selected:ident [] []) => { match $selected {} };
    (@bodies $selected:ident [] [$until:tt ($body:expr)]) => { match $selected { () => $body } };
}

#[doc(inline)]
pub use select;
