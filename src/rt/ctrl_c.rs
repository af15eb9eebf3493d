//! ^C for runtimes that asked for it: the first one stops them, a second one ends the process.
//!
//! An OS thread of its own listens, so that it can answer when every hub hangs; it sleeps in the kernel. It
//! starts with the first runtime that asks and stays; SIGINT is watched only while there is such a runtime, and
//! has its usual effect otherwise.
//!
//! Each listener has a flag, `interrupted`, from its first ^C until it is run again. One lock holds all the
//! flags, and is held while `stop` is called and while a `run` takes the request to stop that was made before it
//! began. So a ^C belongs to one run: either the run finds the request, and the flag stays up; or the flag is
//! taken down, and the ^C that comes then is a first one for that run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::{io, thread};

use super::report;
use super::shared::Shared;
use super::task::Task;
use crate::sys::fork;
use crate::sys::poll::{self, Direction};
use crate::sys::signal::{self, Watch};
use crate::sys::sync::{Mutex, MutexGuard};

const INTERRUPT: i32 = libc::SIGINT;

/// A runtime's wish to be stopped by ^C, until it is dropped.
pub(super) struct Listening(Arc<Shared>);

impl Listening {
    /// # Errors
    ///
    /// If there is no OS thread or descriptor to be had.
    pub(super) fn start(runtime: &Arc<Shared>) -> io::Result<Listening> {
        let mut state = lock();
        state.start_thread()?.add(INTERRUPT)?;
        state.listeners.push(Listener {
            runtime: runtime.clone(),
            interrupted: false,
        });
        Ok(Listening(runtime.clone()))
    }

    /// A run begins. Returns whether it is to stop at once, which `take` finds out.
    pub(super) fn begin_run(&self, take: impl FnOnce() -> bool) -> bool {
        let mut state = lock();
        let stops = take();
        for listener in &mut state.listeners {
            if Arc::ptr_eq(&listener.runtime, &self.0) {
                listener.interrupted &= stops;
            }
        }
        stops
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut state = lock();
        state
            .listeners
            .retain(|listener| !Arc::ptr_eq(&listener.runtime, &self.0));
        if let Some(watch) = state.watch.as_ref().filter(|_| state.listeners.is_empty()) {
            watch.clear();
        }
    }
}

struct State {
    /// What the OS thread waits for; none before it has started.
    watch: Option<Arc<Watch>>,
    listeners: Vec<Listener>,
    generation: u32,
}

struct Listener {
    runtime: Arc<Shared>,
    interrupted: bool,
}

static STATE: Mutex<State> = Mutex::new(State {
    watch: None,
    listeners: Vec::new(),
    generation: 0,
});

fn lock() -> MutexGuard<'static, State> {
    STATE.lock()
}

impl State {
    /// Starts the OS thread, unless it runs.
    fn start_thread(&mut self) -> io::Result<&Watch> {
        // In the child of a fork there is neither the thread nor any of the parent's runtimes.
        if self.generation != fork::generation() {
            self.watch = None;
            self.listeners.clear();
            self.generation = fork::generation();
        }
        let watch = match self.watch.take() {
            Some(watch) => watch,
            None => {
                let watch = Arc::new(Watch::new()?);
                let its = watch.clone();
                thread::Builder::new()
                    .name("sylvan-signals".to_owned())
                    .spawn(move || listen(&its))?;
                watch
            }
        };
        Ok(self.watch.insert(watch))
    }

    /// Is this ^C a second one? There is a listener that was told already and has not come to its end; or
    /// there is nobody who was not told.
    fn has_been_interrupted(&self) -> bool {
        let told = |listener: &Listener| listener.interrupted;
        let ends = |listener: &Listener| told(listener) && listener.runtime.is_driven();
        !self.listeners.is_empty()
            && (self.listeners.iter().any(ends) || self.listeners.iter().all(told))
    }
}

/// What the OS thread does.
fn listen(watch: &Watch) {
    loop {
        let waited = match watch.attempt() {
            Ok(_) => {
                interrupt();
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll::wait(watch.as_fd().as_raw_fd(), Direction::Read, None)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = waited {
            report::error(format_args!("^C cannot be waited for any more: {error}"));
            watch.clear();
            lock().watch = None;
            return;
        }
    }
}

fn interrupt() {
    let mut state = lock();
    if state.has_been_interrupted() {
        end_process(&state);
    }
    for listener in &mut state.listeners {
        listener.interrupted = true;
        listener.runtime.stop();
    }
}

/// Says what hangs, and ends the process as if nobody had ever listened.
fn end_process(state: &State) -> ! {
    // Whatever delays what follows, a further ^C does not wait for it.
    signal::restore_default(INTERRUPT);
    report::last_words(&those_left(state));
    signal::end_process(INTERRUPT)
}

/// A line for each green thread; one for all that differ in nothing.
fn those_left(state: &State) -> String {
    let mut count = 0;
    let mut lines = BTreeMap::<String, usize>::new();
    for listener in &state.listeners {
        for task in listener.runtime.tasks() {
            count += 1;
            *lines.entry(describe(&task)).or_default() += 1;
        }
    }
    let mut text =
        format!("a second ^C ends the process; green threads that had not ended: {count}");
    for (line, times) in lines {
        // Writing to a string cannot fail.
        let _ = match times {
            1 => write!(text, "\n  {line}"),
            _ => write!(text, "\n  {line} ({times} of them)"),
        };
    }
    text
}

fn describe(task: &Task) -> String {
    format!(
        "'{}' (spawned at {}): {}",
        task.display_name(),
        task.identity.spawned_at,
        task.state().doing(),
    )
}
