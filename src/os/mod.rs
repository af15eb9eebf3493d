//! What only some operating systems have, as [`std::os`].

pub mod linux;
pub mod unix;
