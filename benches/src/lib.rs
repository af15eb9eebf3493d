//! What the programs of the benchmarks share: arguments, clocks, memory, and the line of JSON that each
//! prints.
//!
//! `README.md` beside this crate tells how to run them and what each workload is.

pub mod arguments;
pub mod epoll;
pub mod fetch;
pub mod files;
pub mod histogram;
pub mod machine;
pub mod outcome;
pub mod pages;
pub mod program;
pub mod random;
pub mod server;
pub mod slots;

/// How much a connection handler reads at once, in every peer.
pub const BUFFER: usize = 1024;

/// What the hello servers answer, in every peer that writes its bytes itself.
pub const HELLO: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n\r\nHello, World!";

/// The body of that.
pub const HELLO_BODY: &[u8] = b"Hello, World!";
