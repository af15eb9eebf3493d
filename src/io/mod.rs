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
    Split, Take, Write, WriterPanicked, empty, prelude, read_to_string, repeat, sink,
};

mod copy;
mod own;
mod stdio;

pub use crate::fd::{PipeReader, PipeWriter, pipe};
pub use copy::copy;
pub use own::Io;
#[doc(hidden)]
pub use stdio::{_eprint, _print};
pub use stdio::{Stderr, StderrLock, Stdin, StdinLock, Stdout, StdoutLock, stderr, stdin, stdout};
