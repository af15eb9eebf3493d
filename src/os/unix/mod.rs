//! What Unix has, as [`std::os::unix`].

pub mod process;
