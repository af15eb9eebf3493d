//! Input and output: [`std::io`]'s traits, adaptors and types, which work with every sylvan type.
//!
//! What std defines for any reader or writer needs no second definition: it blocks only in the
//! [`Read`] and [`Write`] it is given, and sylvan's suspend the green thread there.
//!
//! ```
//! use sylvan::io::{self, BufRead, BufReader, Write};
//! use sylvan::net::{TcpListener, TcpStream};
//!
//! # fn main() -> io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let mut client = TcpStream::connect(listener.local_addr()?)?;
//! client.write_all(b"one\ntwo\n")?;
//! drop(client);
//!
//! let (server, _) = listener.accept()?;
//! let lines: Vec<String> = BufReader::new(server).lines().collect::<io::Result<_>>()?;
//! assert_eq!(lines, ["one", "two"]);
//! # Ok(())
//! # }
//! ```

pub use std::io::{
    BufRead, BufReader, BufWriter, Bytes, Chain, Cursor, Empty, Error, ErrorKind, IntoInnerError,
    IoSlice, IoSliceMut, IsTerminal, LineWriter, Lines, Read, Repeat, Result, Seek, SeekFrom, Sink,
    Split, Take, Write, WriterPanicked, copy, empty, prelude, read_to_string, repeat, sink,
};

mod adopt;
mod any;
mod description;
mod handle;
mod message;
mod open;
mod own;
mod pipe;
mod stdio;
mod stream;

pub use own::Io;
pub use pipe::{PipeReader, PipeWriter, pipe};
#[doc(hidden)]
pub use stdio::{_eprint, _print};
pub use stdio::{Stderr, StderrLock, Stdin, StdinLock, Stdout, StdoutLock, stderr, stdin, stdout};

pub(crate) use adopt::adopted_traits;
pub(crate) use any::{AnyFd, Position};
pub(crate) use description::Description;
pub(crate) use handle::Handle;
pub(crate) use message::{
    MOST_BUFFERS, peek, peek_from, receive, receive_from, receive_from_any, receive_vectored, send,
    send_to, send_to_any, send_vectored,
};
pub(crate) use open::{access, open_cached, open_path};
pub(crate) use stream::{stream_traits, total};
