//! Green threads that wait for locks of each other, all around: found when the last one begins to wait.
//!
//! Who begins to wait for a lock lists its note (`holder.rs`), then goes from holder to holder: who holds the lock,
//! and what does that one wait for? Where this leads back to itself, nobody in the circle can go on. Two who close
//! one at the same time list their notes before they look, under locks, so at least one of them sees the other.
//!
//! *No false report.* What is read on the way was true at different moments, and a holder's word is a relaxed hint.
//! Two things make it exact:
//!
//! * A holder takes its number out of the word before it unlocks, and only it writes that number. So **a task that
//!   reads its own number in a lock holds it**.
//! * A task does nothing while it waits: it neither takes nor unlocks anything, nor does another for it (but see below). Whoever has seen its note has synchronised with all that it did before. So **if its number is read
//!   in a lock after its note was seen, and its wait goes on after that reading, then it holds that lock** through
//!   all of that wait: had it unlocked it before, the reader would see that.
//!
//! So the way is gone three times. First all notes are seen. Then each lock is read again: it must name the next in
//! the circle. Then all notes must be those of the same waits. Between the last two each waited for a lock that the
//! next one held. That lasts for ever, unless somebody is cancelled, or has a deadline: those who have one are
//! left to it, and so is a circle of which one is cancelled already and has not come to throw.
//!
//! *What cannot be known.* A guard does not leave its OS thread, but may go to another green thread there, by an `Rc` or by
//! a thread-local of the OS thread's. Its lock is held in the name of whoever took it all the same, and a circle
//! that the other one would open is reported.
//!
//! *Not within a report.* A logger may need the very lock. Who waits for one lock in the midst of its wait for another,
//! as the logger or a destructor does, is not looked after.
//!
//! *Once.* The wait of the circle's lowest number is marked as reported, by one.

use std::fmt;
use std::thread;

use super::current;
use super::deadlock::OnDeadlock;
use super::holder::{self, HeldBy, Seen};
use super::report;
use super::stuck::Named;
use super::task::TaskRef;

/// The running task, which has this number, begins to wait for a lock that `holder` is said to hold. If that closes
/// a circle, it is reported, and the task panics if its runtime is to.
pub(super) fn look(number: u64, holder: u64) {
    if holder != number && !leads_to(number, holder) {
        return;
    }
    let on_deadlock = match current::hub_of_task() {
        Some(hub) => hub.runtime().reports.on_deadlock,
        None => return,
    };
    if on_deadlock == OnDeadlock::Ignore {
        return;
    }
    let Some(circle) = confirm(number) else {
        return;
    };
    report::error(format_args!("{circle}"));
    if on_deadlock == OnDeadlock::Panic && !thread::panicking() {
        panic!("{circle}");
    }
}

/// Does the way from holder to holder, which begins at `first`, come by `goal`? Without any allocation: nearly
/// always the first holder waits for no lock.
fn leads_to(goal: u64, first: u64) -> bool {
    let mut at = first;
    // The way may end in a circle of others. It then comes by the same one again, which is moved on in time.
    let mut met = first;
    for step in 1_usize.. {
        let Some(HeldBy::Task(next)) = holder::see(at).map(|seen| seen.held_by) else {
            return false;
        };
        if next == goal {
            return true;
        }
        if next == met {
            return false;
        }
        if step.is_power_of_two() {
            met = next;
        }
        at = next;
    }
    false
}

/// Tasks each of which waits for a lock that the next one holds, and the last for one of the first.
struct Circle(Vec<(Seen, TaskRef)>);

/// The circle that the task with this number has closed, if there certainly is one, nobody will leave it by itself,
/// and it was not reported.
fn confirm(number: u64) -> Option<Circle> {
    let mut members = vec![holder::see(number)?];
    loop {
        let HeldBy::Task(next) = members.last()?.held_by else {
            return None;
        };
        if next == number {
            break;
        }
        // It has led into a circle of others meanwhile.
        if members.iter().any(|member| member.number == next) {
            return None;
        }
        members.push(holder::see(next)?);
    }
    let mut nexts = members.iter().cycle().skip(1);
    let all_hold = members.iter().all(|member| {
        let now = holder::see(member.number);
        let next = nexts.next().map(|next| HeldBy::Task(next.number));
        now.is_some_and(|now| now.wait == member.wait && Some(now.held_by) == next)
    });
    let alone = members.len() == 1;
    if !all_hold || !alone && members.iter().any(|member| member.gives_up) {
        return None;
    }
    let tasks: Vec<_> = members.iter().map_while(holder::still_waits).collect();
    if tasks.iter().any(|task| task.is_to_end()) {
        return None;
    }
    let lowest = members.iter().min_by_key(|member| member.number)?;
    let is_new = tasks.len() == members.len() && holder::mark_reported(lowest);
    is_new.then(|| Circle(members.into_iter().zip(tasks).collect()))
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(seen, task)] = &self.0[..] {
            let (task, reason, place) = (Named(task), seen.reason, task.identity.spawned_at);
            return write!(
                f,
                "deadlock: green thread {task} waits: {reason} held by itself (spawned at {place})"
            );
        }
        let count = self.0.len();
        write!(f, "deadlock: {count} green threads wait for each other")?;
        for (place, (seen, task)) in self.0.iter().enumerate() {
            let (_, holder) = &self.0[(place + 1) % count];
            let (reason, holder) = (seen.reason, Named(holder));
            let (name, place) = (task.display_name(), task.identity.spawned_at);
            write!(
                f,
                "\n  '{name}' waits: {reason} held by {holder} (spawned at {place})"
            )?;
        }
        Ok(())
    }
}
