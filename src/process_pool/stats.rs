//! [`Stats`].

/// What a pool has done so far, and what it is doing. Jobs are counted one by one, also those of a map.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Jobs that were taken in.
    pub submitted: u64,
    /// Jobs that wait for a process.
    pub queued: u64,
    /// Jobs that a process has.
    pub running: u64,
    /// Jobs that gave a result.
    pub succeeded: u64,
    /// Jobs that gave none: they panicked, could not travel, or their process died.
    pub failed: u64,
    /// Jobs that were cancelled.
    pub cancelled: u64,
    /// Jobs whose time was over.
    pub timed_out: u64,
    /// How often a job was begun again because its process had died.
    pub retried: u64,
    /// Processes that were started.
    pub started: u64,
    /// Processes that ended without having been told to.
    pub died: u64,
    /// Those that are alive.
    pub processes: Vec<ProcessStats>,
}

/// A process of a pool.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ProcessStats {
    /// Its number.
    pub pid: u32,
    /// Jobs that it has.
    pub running: u64,
    /// Jobs that it has had.
    pub answered: u64,
}
