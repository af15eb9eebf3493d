//! What an OS thread of this process does at this moment, as the kernel tells it in `/proc`.

use std::{fmt, fs};

/// See the module's text.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Activity {
    /// It runs, or would if there were a core for it.
    Computes,
    /// It is blocked in the kernel, in this call if that can be told.
    Blocked(Option<String>),
    /// The kernel does not tell.
    Unknown,
}

impl Activity {
    pub(crate) fn of_thread(id: i32) -> Activity {
        let read = |file| fs::read_to_string(format!("/proc/self/task/{id}/{file}")).ok();
        read("syscall")
            .and_then(|text| from_call(&text))
            .or_else(|| from_state(&read("stat")?, read("wchan").as_deref()))
            .unwrap_or(Activity::Unknown)
    }

    /// Does it wait for a lock of std or the like?
    pub(crate) fn is_futex(&self) -> bool {
        matches!(self, Activity::Blocked(Some(call)) if call.starts_with("futex"))
    }
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Activity::Computes => f.write_str("computes"),
            Activity::Blocked(Some(call)) if self.is_futex() => {
                write!(f, "waits for a lock of std or the like ({call})")
            }
            Activity::Blocked(Some(call)) => write!(f, "is blocked in the kernel ({call})"),
            Activity::Blocked(None) => f.write_str("is blocked in the kernel"),
            Activity::Unknown => f.write_str("does what the kernel does not tell"),
        }
    }
}

/// From the file `syscall`: "running", or the number of the call (-1: a page fault, say) and its arguments.
fn from_call(text: &str) -> Option<Activity> {
    let first = text.split_whitespace().next()?;
    if first == "running" {
        return Some(Activity::Computes);
    }
    let number: libc::c_long = first.parse().ok()?;
    let name = (number >= 0).then(|| match CALLS.iter().find(|(known, _)| *known == number) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("system call {number}"),
    });
    Some(Activity::Blocked(name))
}

/// From the file `stat`, where the state follows the name in parentheses, and the function of the kernel
/// in which the thread waits, as a kernel tells it that was built without the file `syscall`.
fn from_state(stat: &str, function: Option<&str>) -> Option<Activity> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let function = function
        .map(str::trim)
        .filter(|it| !it.is_empty() && *it != "0");
    match after_name.trim_start().chars().next()? {
        'R' => Some(Activity::Computes),
        'S' | 'D' => Some(Activity::Blocked(function.map(str::to_owned))),
        _ => None,
    }
}

/// The calls in which a thread is likely to wait.
const CALLS: &[(libc::c_long, &str)] = &[
    (libc::SYS_futex, "futex"),
    (libc::SYS_nanosleep, "nanosleep"),
    (libc::SYS_clock_nanosleep, "clock_nanosleep"),
    (libc::SYS_read, "read"),
    (libc::SYS_readv, "readv"),
    (libc::SYS_pread64, "pread64"),
    (libc::SYS_write, "write"),
    (libc::SYS_writev, "writev"),
    (libc::SYS_pwrite64, "pwrite64"),
    (libc::SYS_openat, "openat"),
    (libc::SYS_close, "close"),
    (libc::SYS_fsync, "fsync"),
    (libc::SYS_fdatasync, "fdatasync"),
    (libc::SYS_flock, "flock"),
    (libc::SYS_fcntl, "fcntl"),
    (libc::SYS_connect, "connect"),
    (libc::SYS_accept, "accept"),
    (libc::SYS_accept4, "accept4"),
    (libc::SYS_recvfrom, "recvfrom"),
    (libc::SYS_recvmsg, "recvmsg"),
    (libc::SYS_sendto, "sendto"),
    (libc::SYS_sendmsg, "sendmsg"),
    (libc::SYS_ppoll, "ppoll"),
    (libc::SYS_pselect6, "pselect6"),
    (libc::SYS_epoll_pwait, "epoll_pwait"),
    (libc::SYS_wait4, "wait4"),
    (libc::SYS_waitid, "waitid"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, "poll"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_select, "select"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, "epoll_wait"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(call: &str) -> Option<Activity> {
        Some(Activity::Blocked(Some(call.to_owned())))
    }

    #[test]
    fn the_file_syscall_names_the_call() {
        let futex = format!(
            "{} 0x7f 0x80 0x2 0x0 0x0 0x0 0x7ffd 0x7f05\n",
            libc::SYS_futex
        );
        assert_eq!(from_call(&futex), blocked("futex"));
        assert!(from_call(&futex).unwrap().is_futex());
        assert_eq!(from_call("99999 0x0"), blocked("system call 99999"));
        assert_eq!(from_call("-1 0x7ffd 0x7f05"), Some(Activity::Blocked(None)));
        assert_eq!(from_call("running\n"), Some(Activity::Computes));
        assert_eq!(from_call(""), None);
    }

    #[test]
    fn without_it_the_state_tells() {
        let sleeps = "12 (a ) name) S 1 12";
        assert_eq!(
            from_state("12 (name) R 1 12", None),
            Some(Activity::Computes)
        );
        assert_eq!(
            from_state(sleeps, Some("futex_wait_queue")),
            blocked("futex_wait_queue")
        );
        assert_eq!(from_state(sleeps, Some("0")), Some(Activity::Blocked(None)));
        assert_eq!(from_state("12 (name) Z 1 12", None), None);
    }

    #[test]
    fn the_calling_thread_is_not_blocked() {
        let id = crate::sys::process::thread_id();
        assert_ne!(Activity::of_thread(id), Activity::Unknown);
        assert_eq!(Activity::of_thread(-1), Activity::Unknown);
    }
}
