//! Sockets between processes of one machine, as [`std::os::unix::net`] has them; what would block suspends the green
//! thread.
//!
//! ```
//! use sylvan::io::{self, Read, Write};
//! use sylvan::os::unix::net::{UnixListener, UnixStream};
//! use sylvan::thread;
//!
//! # let folder = std::env::temp_dir().join(format!("sylvan-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! let path = folder.join("greeter");
//! sylvan::run(|| {
//!     let listener = UnixListener::bind(&path)?;
//!     let server = thread::spawn(move || listener.accept()?.0.write_all(b"hello"));
//!
//!     let greeting = io::read_to_string(UnixStream::connect(&path)?)?;
//!     assert_eq!(greeting, "hello");
//!     server.join().unwrap()
//! })?;
//! # std::fs::remove_dir_all(folder)?;
//! # io::Result::Ok(())
//! ```
//!
//! # What suspends
//!
//! `connect`, `accept`, `read`, `write`, and what sends and receives. On an OS thread that runs no green threads the same
//! calls block it, as std's would.
//!
//! Two things have no readiness that could be waited for: to connect to a listener whose line is full, and to send a
//! datagram to an address whose queue is. They are offloaded. Whoever is cancelled meanwhile leaves at once; the OS thread
//! goes on until the other side has made room, and then closes the connection; the datagram is sent all the same.
//!
//! # Cancellation
//!
//! Each call that suspends is a point where a cancelled green thread unwinds. The socket stays usable, and no byte is lost:
//! a transfer is one system call, which was either made or not.

pub use std::os::unix::net::SocketAddr;

mod address;
mod datagram;
mod listener;
mod methods;
mod stream;

pub use datagram::UnixDatagram;
pub use listener::{Incoming, UnixListener};
pub use stream::UnixStream;
