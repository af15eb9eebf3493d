//! epoll without anything around it.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// What to wait for.
pub const READ: u32 = libc::EPOLLIN as u32;
/// What to wait for.
pub const WRITE: u32 = libc::EPOLLOUT as u32;
/// Tell each change once.
pub const EDGE: u32 = libc::EPOLLET as u32;

/// What has come.
#[derive(Clone, Copy)]
pub struct Event {
    /// Whose.
    pub token: u64,
    /// Nothing comes after what there is to read now.
    pub ended: bool,
}

/// A set of descriptors that are watched.
pub struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    /// An empty one.
    ///
    /// # Errors
    ///
    /// If there are no more descriptors.
    pub fn new() -> io::Result<Epoll> {
        // SAFETY: the call takes no pointers.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the descriptor is new, and ours alone.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let events = Vec::with_capacity(1024);
        Ok(Epoll { fd, events })
    }

    /// Watches one more descriptor, until it is closed.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn add(&self, what: &impl AsRawFd, interest: u32, token: u64) -> io::Result<()> {
        let events = interest | libc::EPOLLRDHUP as u32;
        let mut event = libc::epoll_event { events, u64: token };
        // SAFETY: `event` is valid for the read.
        check(unsafe {
            libc::epoll_ctl(
                self.fd.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                what.as_raw_fd(),
                &raw mut event,
            )
        })?;
        Ok(())
    }

    /// Waits for events, at most `limit` if there is one, and gives those that came.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn wait(
        &mut self,
        limit: Option<Duration>,
    ) -> io::Result<impl Iterator<Item = Event> + use<'_>> {
        let milliseconds = match limit {
            // Rounded up: to wake too early is to spin.
            Some(limit) => limit
                .as_micros()
                .div_ceil(1000)
                .try_into()
                .unwrap_or(i32::MAX),
            None => -1,
        };
        let capacity = self.events.capacity();
        // SAFETY: the buffer holds `capacity` events, and the kernel has written those it counts.
        unsafe {
            let buffer = self.events.as_mut_ptr();
            let count =
                libc::epoll_wait(self.fd.as_raw_fd(), buffer, capacity as i32, milliseconds);
            let count = match check(count) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                count => count?,
            };
            self.events.set_len(count as usize);
        }
        const ENDED: u32 = (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32;
        Ok(self.events.iter().map(|event| Event {
            token: event.u64,
            ended: event.events & ENDED != 0,
        }))
    }
}

fn check(result: i32) -> io::Result<i32> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}
