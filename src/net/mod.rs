//! TCP and UDP, as [`std::net`] has them; what would block suspends the green thread.
//!
//! ```
//! use std::io::{self, Read, Write};
//! use sylvan::net::{TcpListener, TcpStream};
//! use sylvan::thread;
//!
//! # fn main() -> io::Result<()> {
//! # sylvan::run(|| {
//! let listener = TcpListener::bind("localhost:0")?;
//! let address = listener.local_addr()?;
//!
//! let server = thread::spawn(move || -> io::Result<()> {
//!     let (mut stream, _) = listener.accept()?;
//!     io::copy(&mut stream.try_clone()?, &mut stream)?;
//!     Ok(())
//! });
//!
//! let mut client = TcpStream::connect(address)?;
//! client.write_all(b"echo")?;
//! let mut answer = [0; 4];
//! client.read_exact(&mut answer)?;
//! assert_eq!(&answer, b"echo");
//!
//! drop(client);
//! server.join().unwrap()
//! # })
//! # }
//! ```
//!
//! # What suspends
//!
//! `connect`, `accept`, `read`, `write`, `peek`, the `send` and `recv` families, and the lookup of a
//! host name, which a pool of OS threads of its own does. Names that are numeric addresses are not
//! looked up. Everything else is a single quick system call. On an OS thread that runs no green threads
//! the same calls block it, as std's would.
//!
//! # Cancellation
//!
//! Each call that suspends is a point where a cancelled green thread unwinds. The socket stays usable, and
//! no byte is lost: a transfer is one system call, which was either made or not.

pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
};

mod address;
mod lookup;
mod tcp_listener;
mod tcp_stream;
mod udp_socket;

pub use address::ToSocketAddrs;
pub use tcp_listener::{Incoming, TcpListener};
pub use tcp_stream::TcpStream;
pub use udp_socket::UdpSocket;
