//! One transfer over a socket, never blocking: the only place that names `MSG_` flags.
//!
//! `MSG_DONTWAIT` makes the single call non-blocking and leaves the descriptor in the mode its user
//! set, so that a child process, or whoever else gets it, finds it as std would leave it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use socket2::{SockAddr, SockRef};

use crate::rt::Direction;

const RECEIVE: libc::c_int = libc::MSG_DONTWAIT;
const PEEK: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_PEEK;
/// A closed peer is an error to return, not a signal to die by.
const SEND: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// The most bytes that Linux transfers in one call, and the most buffers.
pub(crate) const MOST_AT_ONCE: usize = 0x7fff_f000;
pub(crate) const MOST_BUFFERS: usize = libc::UIO_MAXIOV as usize;

/// Receives into one buffer.
#[inline]
pub(crate) fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    receive_with(fd, buffer, RECEIVE)
}

/// Receives without taking what was received.
pub(crate) fn peek(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    receive_with(fd, buffer, PEEK)
}

#[inline]
fn receive_with(fd: BorrowedFd<'_>, buffer: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
    // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer`, which we may write to.
    let count = unsafe {
        libc::recv(
            fd.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            flags,
        )
    };
    transferred(count)
}

/// Receives into several buffers, in order. The caller has clamped their number.
pub(crate) fn receive_vectored(
    fd: BorrowedFd<'_>,
    buffers: &mut [IoSliceMut<'_>],
) -> io::Result<usize> {
    let mut message = message(buffers.as_mut_ptr().cast(), buffers.len());
    // SAFETY: `IoSliceMut` has the layout of `iovec`, the message names that many of them and nothing
    // else, and the kernel writes only to the bytes they cover, which we may write to.
    let count = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, RECEIVE) };
    transferred(count)
}

/// Receives one datagram and where it came from.
pub(crate) fn receive_from(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddr)> {
    receive_from_with(fd, buffer, RECEIVE)
}

/// As [`receive_from`], without taking the datagram.
pub(crate) fn peek_from(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    receive_from_with(fd, buffer, PEEK)
}

fn receive_from_with(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
    flags: libc::c_int,
) -> io::Result<(usize, SocketAddr)> {
    let (count, address) = receive_from_any_with(fd, buffer, flags)?;
    match address.as_socket() {
        Some(address) => Ok((count, address)),
        // The descriptor is no internet socket; these are std's words for it.
        None => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "invalid argument",
        )),
    }
}

/// Receives one datagram, of whatever family.
pub(crate) fn receive_from_any(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<(usize, SockAddr)> {
    receive_from_any_with(fd, buffer, RECEIVE)
}

fn receive_from_any_with(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
    flags: libc::c_int,
) -> io::Result<(usize, SockAddr)> {
    // SAFETY: the layout is the same, and `recvfrom` writes none but initialised bytes.
    let buffer = unsafe { &mut *(std::ptr::from_mut(buffer) as *mut [MaybeUninit<u8>]) };
    SockRef::from(&fd).recv_from_with_flags(buffer, flags)
}

/// Sends one buffer, or as much of it as there is room for.
#[inline]
pub(crate) fn send(fd: BorrowedFd<'_>, buffer: &[u8]) -> io::Result<usize> {
    // SAFETY: the kernel reads at most `buffer.len()` bytes from `buffer`.
    let count = unsafe { libc::send(fd.as_raw_fd(), buffer.as_ptr().cast(), buffer.len(), SEND) };
    transferred(count)
}

/// Sends several buffers, in order. The caller has clamped their number.
pub(crate) fn send_vectored(fd: BorrowedFd<'_>, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
    let message = message(buffers.as_ptr().cast_mut().cast(), buffers.len());
    // SAFETY: `IoSlice` has the layout of `iovec`, the message names that many of them and nothing
    // else, and the kernel only reads what they cover.
    let count = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, SEND) };
    transferred(count)
}

/// Sends one datagram.
pub(crate) fn send_to(
    fd: BorrowedFd<'_>,
    buffer: &[u8],
    address: &SocketAddr,
) -> io::Result<usize> {
    send_to_any(fd, buffer, &SockAddr::from(*address))
}

/// Sends one datagram, to an address of whatever family.
pub(crate) fn send_to_any(
    fd: BorrowedFd<'_>,
    buffer: &[u8],
    address: &SockAddr,
) -> io::Result<usize> {
    SockRef::from(&fd).send_to_with_flags(buffer, address, SEND)
}

/// Says `WouldBlock` unless the descriptor is ready now, or has failed.
pub(crate) fn poll_ready(fd: BorrowedFd<'_>, direction: Direction) -> io::Result<()> {
    let mut entry = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: match direction {
            Direction::Read => libc::POLLIN,
            Direction::Write => libc::POLLOUT,
        },
        revents: 0,
    };
    loop {
        // SAFETY: one valid entry; a time-out of zero never blocks.
        match unsafe { libc::poll(&raw mut entry, 1, 0) } {
            -1 => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
            0 => return Err(io::ErrorKind::WouldBlock.into()),
            _ => return Ok(()),
        }
    }
}

/// Has the peer closed the connection both ways, or broken it off? What it has only shut for writing is not.
#[cfg(feature = "http")]
pub(super) fn poll_hang_up(fd: BorrowedFd<'_>) -> bool {
    let mut entry = libc::pollfd {
        fd: fd.as_raw_fd(),
        // These two are always asked for.
        events: 0,
        revents: 0,
    };
    // SAFETY: one valid entry; a time-out of zero never blocks.
    let polled = unsafe { libc::poll(&raw mut entry, 1, 0) };
    polled > 0 && entry.revents & (libc::POLLHUP | libc::POLLERR) != 0
}

fn message(buffers: *mut libc::iovec, count: usize) -> libc::msghdr {
    // SAFETY: all zeroes is a valid message: no address, no buffers, no control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = buffers;
    // The field's type differs between C libraries.
    message.msg_iovlen = count as _;
    message
}

#[inline]
fn transferred(count: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}
