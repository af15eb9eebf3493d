//! Tasks that wait in vain, in words.

use std::collections::HashMap;
use std::fmt;
use std::panic::Location;

use super::clock::Instant;
use super::holder::HeldBy;
use super::reason::Reason;
use super::task::{Task, TaskRef};

/// How many are told of in full.
const IN_FULL: usize = 20;

/// A task that waits, and who holds the lock it waits for.
pub(super) struct Stuck {
    pub(super) task: TaskRef,
    pub(super) held_by: HeldBy,
}

/// A line for each task, or for each that has many like it.
pub(super) struct Lines {
    stuck: Vec<Stuck>,
    /// The tasks that can be looked up, by number.
    by_number: HashMap<u64, usize>,
    now: Instant,
}

impl Lines {
    pub(super) fn new(mut stuck: Vec<Stuck>) -> Lines {
        // The order in which they were spawned, as far as it is known.
        stuck.sort_by_key(|stuck| stuck.task.id());
        let numbers = stuck.iter().map(|stuck| stuck.task.id());
        Lines {
            by_number: numbers.zip(0..).collect(),
            now: Instant::now(),
            stuck,
        }
    }

    /// Tasks that were spawned at one place and wait for the same kind of thing are alike: the first of
    /// them, and how many there are.
    fn groups(&self) -> Vec<(&Stuck, usize)> {
        if self.stuck.len() <= IN_FULL {
            return self.stuck.iter().map(|stuck| (stuck, 1)).collect();
        }
        let mut places: HashMap<(&Location<'_>, Option<Reason>), usize> = HashMap::new();
        let mut groups: Vec<(&Stuck, usize)> = Vec::new();
        for stuck in &self.stuck {
            let (reason, _) = stuck.task.last_wait();
            let place = places.entry((stuck.task.identity.spawned_at, reason));
            let place = *place.or_insert_with(|| {
                groups.push((stuck, 0));
                groups.len() - 1
            });
            groups[place].1 += 1;
        }
        groups
    }

    fn write(&self, stuck: &Stuck, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reason, since) = stuck.task.last_wait();
        let waits = reason.map_or("nothing", Reason::name);
        write!(f, "'{}' waits: {waits}", stuck.task.display_name())?;
        self.write_holder(stuck.held_by, f)?;
        let seconds = self.now.duration_since(since).as_secs_f64();
        let place = stuck.task.identity.spawned_at;
        write!(f, ", for {seconds:.1} s (spawned at {place})")
    }

    fn write_holder(&self, holder: HeldBy, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = match holder {
            HeldBy::Unknown => return Ok(()),
            HeldBy::OsThread => return f.write_str(" held by a plain OS thread"),
            HeldBy::Task(number) => number,
        };
        match self.by_number.get(&number) {
            Some(&place) => {
                f.write_str(" held by ")?;
                write!(f, "{}", Named(&self.stuck[place].task))
            }
            None => f.write_str(" held by a green thread that has ended, or is of another runtime"),
        }
    }
}

/// A task's name. What has no name is known by its place.
pub(super) struct Named<'task>(pub(super) &'task Task);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Named(task) = self;
        write!(f, "'{}'", task.display_name())?;
        match task.identity.name {
            Some(_) => Ok(()),
            None => write!(f, " of {}", task.identity.spawned_at),
        }
    }
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.groups();
        let (in_full, others) = groups.split_at(groups.len().min(IN_FULL));
        for &(first, count) in in_full {
            f.write_str("\n  ")?;
            self.write(first, f)?;
            if count > 1 {
                write!(f, ", and {} more like it", count - 1)?;
            }
        }
        let left: usize = others.iter().map(|(_, count)| count).sum();
        if left > 0 {
            write!(f, "\n  and {left} more")?;
        }
        Ok(())
    }
}
