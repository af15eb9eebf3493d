//! Descriptors: what the types of `net`, `fs`, `process` and `os` are made of.
//!
//! [`Handle`] is a descriptor whose operations suspend, with its [`Description`], the part that is common to its
//! duplicates; [`AnyFd`] may be a file, a pipe, a terminal or a device.

mod adopt;
mod any;
mod description;
mod handle;
mod message;
mod open;
mod pipe;
mod splice;
mod stream;

pub use pipe::{PipeReader, PipeWriter, pipe};

pub(crate) use adopt::adopted_traits;
pub(crate) use any::{AnyFd, Position, is_impossible, read_now, write_now};
pub(crate) use description::{Description, is_nonblocking, is_standard_stream, set_mode};
pub(crate) use handle::Handle;
pub(crate) use message::{
    MOST_BUFFERS, peek, peek_from, poll_ready, receive, receive_from, receive_from_any,
    receive_vectored, send, send_to, send_to_any, send_vectored,
};
pub(crate) use open::{access, open_cached, open_path};
pub(crate) use splice::{Sink, Source, Transit};
pub(crate) use stream::{stream_traits, total};
