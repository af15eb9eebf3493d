//! The sites that the crawler can serve to itself.

mod embedded;
mod folder;

pub use embedded::{DEAD_HOST, Embedded};
pub use folder::Folder;
