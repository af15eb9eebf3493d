//! Servers: a green thread for each connection, or each datagram, at most so many at once.
//!
//! [`StreamServer`] accepts TCP connections, [`DatagramServer`] receives UDP datagrams. Both are gevent's of these names:
//! what runs for a peer is a plain blocking function. What started is a [`Serving`], which can be asked for
//! [numbers](Serving::stats) and [stopped](Serving::stop).
//!
//! ```
//! use std::io::{self, BufRead, BufReader, Read, Write};
//! use sylvan::net::{Shutdown, TcpStream};
//! use sylvan::server::StreamServer;
//!
//! # fn main() -> io::Result<()> {
//! sylvan::run(|| {
//!     let serving = StreamServer::bind("127.0.0.1:0")?
//!         .max_connections(1000)
//!         .start(|stream, _peer| {
//!             for line in BufReader::new(&stream).lines() {
//!                 writeln!(&stream, "{}", line?.to_uppercase())?;
//!             }
//!             io::Result::Ok(())
//!         })?;
//!
//!     let mut client = TcpStream::connect(serving.local_addr())?;
//!     client.write_all(b"hello\n")?;
//!     client.shutdown(Shutdown::Write)?;
//!     let mut answer = String::new();
//!     client.read_to_string(&mut answer)?;
//!     assert_eq!(answer, "HELLO\n");
//!
//!     assert_eq!(serving.stop(), 0); // nobody had to be cancelled
//!     assert_eq!(serving.stats().accepted, 1);
//!     Ok(())
//! })
//! # }
//! ```
//!
//! # What a server outlives
//!
//! * *Handlers.* One that returns an error, or panics, ends its own connection. Errors are counted, and logged as
//!   warnings of the target `sylvan`; panics are counted and reported as all of sylvan's reports are.
//! * *Peers.* A connection that was gone before it was accepted is counted as refused.
//! * *Lack of descriptors, or of memory.* The server waits a moment and tries again: 5 ms, then longer, up to a second. That is
//!   reported once, until a connection is accepted again. Who is connected goes on meanwhile.
//!
//! While there are as many connections as there may be, none is accepted: who connects then waits in the listener's line,
//! and beyond that the kernel lets him try again.

mod crew;
mod datagram;
mod patience;
mod serving;
mod stream;
#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "http")]
pub(crate) use crew::Crew;
pub use datagram::{Datagram, DatagramServer};
pub use serving::{Serving, Stats};
pub use stream::StreamServer;
#[cfg(feature = "tls")]
pub use tls::TlsStream;
