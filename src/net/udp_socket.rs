//! [`UdpSocket`].

use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::address::{ToSocketAddrs, each_address};
use crate::fd::{self as door, Description, Handle};
use crate::rt::Reason;

/// A UDP socket.
///
/// ```
/// use sylvan::net::UdpSocket;
/// use sylvan::thread;
///
/// # fn main() -> std::io::Result<()> {
/// # sylvan::run(|| {
/// let server = UdpSocket::bind("127.0.0.1:0")?;
/// let address = server.local_addr()?;
/// let echo = thread::spawn(move || {
///     let mut datagram = [0; 64];
///     let (count, peer) = server.recv_from(&mut datagram)?;
///     server.send_to(&datagram[..count], peer)
/// });
///
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.connect(address)?;
/// client.send(b"echo")?;
/// let mut answer = [0; 64];
/// let count = client.recv(&mut answer)?;
/// assert_eq!(&answer[..count], b"echo");
/// # echo.join().unwrap()?;
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Differences from std
///
/// * What sends, receives and peeks suspends the green thread. Several green threads may receive from
///   one socket: they take turns in the order in which they came.
/// * The descriptor is in the mode that was set by [`set_nonblocking`](Self::set_nonblocking), blocking at
///   first. Only on descriptors 0 to 2 is the non-blocking mode never set: there it holds for
///   sylvan's own calls alone.
/// * Time-outs and mode that are set behind sylvan's back, on the raw descriptor, go unnoticed. Those
///   set before the socket is made [`From`] a descriptor are honoured.
pub struct UdpSocket {
    io: Handle<net::UdpSocket>,
}

impl UdpSocket {
    /// Binds to the first of the addresses that is free; port 0 is any. Suspends for a lookup.
    ///
    /// ```
    /// use sylvan::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// assert_ne!(socket.local_addr()?.port(), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The error of the last address tried, or of the lookup.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
        // Binding a datagram socket never waits: std's own does all that is needed.
        let socket = each_address(addr, net::UdpSocket::bind)?;
        let io = Handle::new(socket, Description::new_datagram());
        Ok(UdpSocket { io })
    }

    /// Receives one datagram and where it came from; what does not fit is lost. Suspends.
    ///
    /// ```
    /// use sylvan::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// socket.send_to(b"to myself", socket.local_addr()?)?;
    /// let mut datagram = [0; 64];
    /// let (count, from) = socket.recv_from(&mut datagram)?;
    /// assert_eq!(&datagram[..count], b"to myself");
    /// assert_eq!(from, socket.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the read time-out is over, else what the system call gives.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io
            .read_with(Reason::UdpReceive, |fd| door::receive_from(fd, buf))
    }

    /// As [`recv_from`](Self::recv_from), but the datagram stays. Suspends.
    ///
    /// ```
    /// use sylvan::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// socket.send_to(b"again", socket.local_addr()?)?;
    /// let mut datagram = [0; 64];
    /// assert_eq!(socket.peek_from(&mut datagram)?, socket.recv_from(&mut datagram)?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io
            .read_with(Reason::UdpReceive, |fd| door::peek_from(fd, buf))
    }

    /// Sends one datagram to the first of the addresses. Suspends for a lookup, and while the send
    /// buffer is full.
    ///
    /// ```
    /// use sylvan::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// assert_eq!(socket.send_to(b"five!", socket.local_addr()?)?, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there is no address, `WouldBlock` when the write time-out is over, else what
    /// the lookup or the system call gives.
    pub fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        let Some(address) = addr.to_socket_addrs()?.next() else {
            let message = "no addresses to send data to";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        };
        self.io
            .write_with(Reason::UdpSend, |fd| door::send_to(fd, buf, &address))
    }

    /// The address that [`connect`](Self::connect) chose.
    ///
    /// ```
    /// use sylvan::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// socket.connect(socket.local_addr()?)?;
    /// assert_eq!(socket.peer_addr()?, socket.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `NotConnected` if there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().peer_addr()
    }

    /// The address the socket is bound to.
    ///
    /// ```
    /// use sylvan::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// assert!(socket.local_addr()?.ip().is_loopback());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr()
    }

    /// Another handle on the same socket, with a descriptor of its own. Time-outs and non-blocking
    /// mode are the socket's, and so common to both.
    ///
    /// ```
    /// use sylvan::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// let clone = socket.try_clone()?;
    /// assert_eq!(socket.local_addr()?, clone.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the process has no descriptor left.
    pub fn try_clone(&self) -> io::Result<UdpSocket> {
        let duplicate = self.io.get().try_clone()?;
        let io = self.io.share(duplicate);
        Ok(UdpSocket { io })
    }

    /// Limits how long what receives or peeks waits; `None` is no limit. When the time is over it
    /// returns `WouldBlock`, as std does on Unix.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use std::time::Duration;
    /// use sylvan::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// socket.set_read_timeout(Some(Duration::from_millis(10)))?;
    /// assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the limit is zero.
    pub fn set_read_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.io.get().set_read_timeout(dur)?;
        self.io.set_read_timeout(dur);
        Ok(())
    }

    /// Limits how long what sends waits, as [`set_read_timeout`](Self::set_read_timeout) does for
    /// what receives.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the limit is zero.
    pub fn set_write_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.io.get().set_write_timeout(dur)?;
        self.io.set_write_timeout(dur);
        Ok(())
    }

    /// The limit set by [`set_read_timeout`](Self::set_read_timeout), rounded by the kernel to its ticks.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.io.get().read_timeout()
    }

    /// The limit set by [`set_write_timeout`](Self::set_write_timeout), rounded by the kernel to its ticks.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.io.get().write_timeout()
    }

    /// Sets `SO_BROADCAST`: datagrams may be sent to a broadcast address.
    ///
    /// ```
    /// use sylvan::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// socket.set_broadcast(true)?;
    /// assert!(socket.broadcast()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.io.get().set_broadcast(broadcast)
    }

    /// The value of `SO_BROADCAST`. See [`set_broadcast`](Self::set_broadcast).
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.io.get().broadcast()
    }

    /// Sets `IP_MULTICAST_LOOP`: multicast datagrams are also received by their own host.
    ///
    /// ```
    /// use sylvan::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// socket.set_multicast_loop_v4(false)?;
    /// assert!(!socket.multicast_loop_v4()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn set_multicast_loop_v4(&self, multicast_loop_v4: bool) -> io::Result<()> {
        self.io.get().set_multicast_loop_v4(multicast_loop_v4)
    }

    /// The value of `IP_MULTICAST_LOOP`. See [`set_multicast_loop_v4`](Self::set_multicast_loop_v4).
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.io.get().multicast_loop_v4()
    }

    /// Sets `IP_MULTICAST_TTL`: how many hops a multicast datagram may take.
    ///
    /// ```
    /// use sylvan::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// socket.set_multicast_ttl_v4(42)?;
    /// assert_eq!(socket.multicast_ttl_v4()?, 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn set_multicast_ttl_v4(&self, multicast_ttl_v4: u32) -> io::Result<()> {
        self.io.get().set_multicast_ttl_v4(multicast_ttl_v4)
    }

    /// The value of `IP_MULTICAST_TTL`. See [`set_multicast_ttl_v4`](Self::set_multicast_ttl_v4).
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.io.get().multicast_ttl_v4()
    }

    /// Sets `IPV6_MULTICAST_LOOP`: multicast datagrams are also received by their own host.
    ///
    /// ```no_run
    /// use sylvan::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("[::1]:0")?;
    /// socket.set_multicast_loop_v6(false)?;
    /// assert!(!socket.multicast_loop_v6()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn set_multicast_loop_v6(&self, multicast_loop_v6: bool) -> io::Result<()> {
        self.io.get().set_multicast_loop_v6(multicast_loop_v6)
    }

    /// The value of `IPV6_MULTICAST_LOOP`. See [`set_multicast_loop_v6`](Self::set_multicast_loop_v6).
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.io.get().multicast_loop_v6()
    }

    /// Sets `IP_TTL`: how many hops a packet may take.
    ///
    /// ```
    /// use sylvan::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// socket.set_ttl(100)?;
    /// assert_eq!(socket.ttl()?, 100);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.get().set_ttl(ttl)
    }

    /// The value of `IP_TTL`. See [`set_ttl`](Self::set_ttl).
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.get().ttl()
    }

    /// Joins an IPv4 multicast group on the interface with this address.
    ///
    /// ```no_run
    /// use sylvan::net::{Ipv4Addr, UdpSocket};
    ///
    /// let socket = UdpSocket::bind("0.0.0.0:0")?;
    /// let group = Ipv4Addr::new(224, 0, 0, 123);
    /// socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED)?;
    /// socket.leave_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn join_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.io.get().join_multicast_v4(multiaddr, interface)
    }

    /// Joins an IPv6 multicast group on the interface with this index.
    ///
    /// ```no_run
    /// use sylvan::net::{Ipv6Addr, UdpSocket};
    ///
    /// let socket = UdpSocket::bind("[::]:0")?;
    /// let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x123);
    /// socket.join_multicast_v6(&group, 0)?;
    /// socket.leave_multicast_v6(&group, 0)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io.get().join_multicast_v6(multiaddr, interface)
    }

    /// Leaves a group. See [`join_multicast_v4`](Self::join_multicast_v4).
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn leave_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.io.get().leave_multicast_v4(multiaddr, interface)
    }

    /// Leaves a group. See [`join_multicast_v6`](Self::join_multicast_v6).
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io.get().leave_multicast_v6(multiaddr, interface)
    }

    /// Takes the error that is pending on the socket, if there is one.
    ///
    /// ```
    /// use sylvan::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// assert!(socket.take_error()?.is_none());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.get().take_error()
    }

    /// Chooses the one address to send to and receive from. Suspends for a lookup.
    ///
    /// ```
    /// use sylvan::net::UdpSocket;
    ///
    /// let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// one.connect(other.local_addr()?)?;
    /// one.send(b"no address needed")?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The error of the last address tried, or of the lookup.
    pub fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        // It only notes the address: no packet is sent and nothing waits.
        each_address(addr, |address| self.io.get().connect(address))
    }

    /// Sends one datagram to the address that [`connect`](Self::connect) chose. Suspends while the send
    /// buffer is full.
    ///
    /// ```
    /// use sylvan::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// socket.connect(socket.local_addr()?)?;
    /// assert_eq!(socket.send(b"five!")?, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the write time-out is over, else what the system call gives; a connected
    /// socket is told here that nobody listened to an earlier datagram.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.io
            .write_with(Reason::UdpSend, |fd| door::send(fd, buf))
    }

    /// Receives one datagram from the address that [`connect`](Self::connect) chose. Suspends.
    ///
    /// ```
    /// use sylvan::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// socket.connect(socket.local_addr()?)?;
    /// socket.send(b"five!")?;
    /// assert_eq!(socket.recv(&mut [0; 64])?, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from) and [`send`](Self::send).
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io
            .read_with(Reason::UdpReceive, |fd| door::receive(fd, buf))
    }

    /// As [`recv`](Self::recv), but the datagram stays. Suspends.
    ///
    /// ```
    /// use sylvan::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// socket.connect(socket.local_addr()?)?;
    /// socket.send(b"five!")?;
    /// assert_eq!(socket.peek(&mut [0; 64])?, 5);
    /// assert_eq!(socket.recv(&mut [0; 64])?, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io
            .read_with(Reason::UdpReceive, |fd| door::peek(fd, buf))
    }

    /// Makes the calls that would wait return `WouldBlock` instead, or wait again. What waits already
    /// goes on waiting. In this mode no call suspends.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use sylvan::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// socket.set_nonblocking(true)?;
    /// assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.io.set_nonblocking(nonblocking)
    }

    fn adopt(socket: net::UdpSocket) -> UdpSocket {
        let io = Handle::adopt(socket);
        UdpSocket { io }
    }

    fn release(self) -> net::UdpSocket {
        self.io.into_inner()
    }
}

crate::fd::adopted_traits!(UdpSocket, net::UdpSocket);
