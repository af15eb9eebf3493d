//! Files and folders, as [`std::fs`] has them; what would wait for a disk suspends the green thread.
//!
//! ```
//! use sylvan::fs;
//!
//! # fn main() -> std::io::Result<()> {
//! # let folder = std::env::temp_dir().join(format!("sylvan-fs-{}", std::process::id()));
//! sylvan::run(|| {
//!     fs::create_dir_all(&folder)?;
//!     fs::write(folder.join("note"), "remember the milk")?;
//!     assert_eq!(fs::read_to_string(folder.join("note"))?, "remember the milk");
//!     fs::remove_dir_all(&folder)
//! })
//! # }
//! ```
//!
//! # What suspends
//!
//! Everything that may touch a disk. What the kernel's caches hold is read in place, at the cost of a system call
//! (`openat2` with `RESOLVE_CACHED`, `preadv2` with `RWF_NOWAIT`; Linux 5.12); the rest is done on the OS threads of
//! [`offload`](crate::offload()). Writing always is, for no common file system promises not to wait. What only concerns an
//! open descriptor is done in place: `metadata`, `seek`, `try_clone`. Opening, reading and writing a named pipe, a
//! terminal or a device waits for these as std's would, and suspends the green thread alone.
//!
//! On an OS thread that runs no green threads the same calls block it, as std's would.
//!
//! # Order
//!
//! Calls on one file are made in the order in which they are made here, and each is over when it returns: nothing is
//! buffered. Of several green threads that use one descriptor at once, each gets its turn as the kernel gives it.
//!
//! # Cancellation
//!
//! Whoever is cancelled while a call is offloaded leaves at once. The call is made all the same: a file may have been
//! created, bytes may have been written, and a reader's place in the file may have moved on.

pub use std::fs::{FileTimes, FileType, Metadata, Permissions, TryLockError};

mod file;
mod folder;
mod free;
mod options;

pub use file::File;
pub use folder::{DirBuilder, DirEntry, ReadDir};
#[allow(deprecated)] // std has it, so we have it.
pub use free::soft_link;
pub use free::{
    canonicalize, copy, create_dir, create_dir_all, exists, hard_link, metadata, read, read_dir,
    read_link, read_to_string, remove_dir, remove_dir_all, remove_file, rename, set_permissions,
    symlink_metadata, write,
};
pub use options::OpenOptions;
