//! What the operating system tells of this process and of others: CPU time and memory; and where it
//! may run.

use std::fs;
use std::io;
use std::mem;
use std::time::Duration;

/// The CPU time that this process has used.
#[must_use]
pub fn cpu_time() -> Duration {
    read_clock(libc::CLOCK_PROCESS_CPUTIME_ID).expect("every process has a CPU clock")
}

/// The CPU time that the process `pid` has used.
///
/// # Errors
///
/// If there is no such process.
pub fn cpu_time_of(pid: i32) -> io::Result<Duration> {
    let mut clock = 0;
    // SAFETY: `clock` is valid for the write.
    let error = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    read_clock(clock)
}

fn read_clock(clock: libc::clockid_t) -> io::Result<Duration> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid for the write.
    match unsafe { libc::clock_gettime(clock, &raw mut time) } {
        0 => Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What a process holds, in bytes.
pub struct Memory {
    /// Pages in memory.
    pub resident: u64,
    /// The most there ever were.
    pub peak: u64,
    /// Page tables.
    pub tables: u64,
}

impl Memory {
    /// That of this process.
    ///
    /// # Panics
    ///
    /// If /proc is not mounted.
    #[must_use]
    pub fn now() -> Memory {
        Memory::of("self").expect("/proc is mounted")
    }

    /// That of the process `pid`, a number or "self".
    ///
    /// # Errors
    ///
    /// If there is no such process.
    pub fn of(pid: &str) -> io::Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kibibytes =
                line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            kibibytes.map_or(0, |kibibytes| kibibytes << 10)
        };
        Ok(Memory {
            resident: bytes("VmRSS:"),
            peak: bytes("VmHWM:"),
            tables: bytes("VmPTE:"),
        })
    }
}

/// Keeps the calling OS thread, and those it starts from now on, on the core `core`.
///
/// # Errors
///
/// If there is no such core.
pub fn pin(core: usize) -> io::Result<()> {
    // SAFETY: all zeroes is the empty set, and `core` is checked by CPU_SET's own array bounds.
    let set = unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        libc::CPU_SET(core, &mut set);
        set
    };
    // SAFETY: `set` is a whole cpu_set_t; 0 is the calling thread.
    match unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has this process killed when the thread that started it ends, however that ends.
pub fn die_with_parent() {
    // SAFETY: the call takes no pointers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// Allows as many descriptors as the hard limit does: ten thousand connections need as many.
pub fn raise_descriptor_limit() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for the write, and for the read after it.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}
