//! What Unix adds to [`fs`](crate::fs), as [`std::os::unix::fs`]. What std has for its own types is a trait of ours for
//! ours.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

pub use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use crate::fd::Position::At;
use crate::fs::{DirBuilder, DirEntry, File, OpenOptions};
use crate::rt;

/// Reading and writing at a place that is told, without moving the file's own.
///
/// ```
/// use sylvan::fs::File;
/// use sylvan::io::Write;
/// use sylvan::os::unix::fs::FileExt;
///
/// # let path = std::env::temp_dir().join(format!("sylvan-at-{}", std::process::id()));
/// let mut file = File::create_new(&path)?;
/// file.write_all_at(b"lmno", 11)?;
/// let mut letters = [0; 2];
/// file.read_exact_at(&mut letters, 12)?;
/// assert_eq!(&letters, b"mn");
/// # sylvan::fs::remove_file(path)?;
/// # std::io::Result::Ok(())
/// ```
pub trait FileExt {
    /// Reads from this place on. Suspends unless that is in the kernel's caches.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes from this place on. Suspends.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize>;

    /// Fills the buffer from this place on.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if there is not so much.
    fn read_exact_at(&self, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read_at(buf, offset) {
                Ok(0) => {
                    let why = "failed to fill whole buffer";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
                }
                Ok(count) => {
                    buf = &mut buf[count..];
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes all of the buffer from this place on.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    fn write_all_at(&self, mut buf: &[u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.write_at(buf, offset) {
                Ok(0) => {
                    let why = "failed to write whole buffer";
                    return Err(io::Error::new(io::ErrorKind::WriteZero, why));
                }
                Ok(count) => {
                    buf = &buf[count..];
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl FileExt for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_from(buf, At(offset))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.write_to(buf, At(offset))
    }
}

/// What Unix adds to [`OpenOptions`].
pub trait OpenOptionsExt {
    /// The mode of a file that is made, less what the process's mask takes away.
    fn mode(&mut self, mode: u32) -> &mut Self;

    /// More flags for the system call, but none that say whether to read or write.
    fn custom_flags(&mut self, flags: i32) -> &mut Self;
}

impl OpenOptionsExt for OpenOptions {
    fn mode(&mut self, mode: u32) -> &mut OpenOptions {
        self.set_mode(mode);
        self
    }

    fn custom_flags(&mut self, flags: i32) -> &mut OpenOptions {
        self.set_flags(flags);
        self
    }
}

/// What Unix adds to [`DirBuilder`].
pub trait DirBuilderExt {
    /// The mode of a folder that is made, less what the process's mask takes away.
    fn mode(&mut self, mode: u32) -> &mut Self;
}

impl DirBuilderExt for DirBuilder {
    fn mode(&mut self, mode: u32) -> &mut DirBuilder {
        self.set_mode(mode);
        self
    }
}

/// What Unix adds to [`DirEntry`].
pub trait DirEntryExt {
    /// The number of its inode.
    fn ino(&self) -> u64;
}

impl DirEntryExt for DirEntry {
    fn ino(&self) -> u64 {
        self.inode()
    }
}

/// Makes a link to a path, whether something is there or not. Suspends.
///
/// # Errors
///
/// As [std's](std::os::unix::fs::symlink).
pub fn symlink<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    let (original, link) = (original.as_ref().to_owned(), link.as_ref().to_owned());
    rt::offload(move || std::os::unix::fs::symlink(original, link))
}

/// Gives a file to another user, or group. Suspends.
///
/// # Errors
///
/// As [std's](std::os::unix::fs::chown).
pub fn chown<P: AsRef<Path>>(dir: P, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    let path = dir.as_ref().to_owned();
    rt::offload(move || std::os::unix::fs::chown(path, uid, gid))
}

/// As [`chown`], of a link itself. Suspends.
///
/// # Errors
///
/// As [std's](std::os::unix::fs::lchown).
pub fn lchown<P: AsRef<Path>>(dir: P, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    let path = dir.as_ref().to_owned();
    rt::offload(move || std::os::unix::fs::lchown(path, uid, gid))
}

/// As [`chown`], of an open file. Suspends.
///
/// # Errors
///
/// As [std's](std::os::unix::fs::fchown); and if the process has no descriptors left.
pub fn fchown<F: AsFd>(fd: F, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    let fd = BorrowedFd::try_clone_to_owned(&fd.as_fd())?;
    rt::offload(move || std::os::unix::fs::fchown(fd, uid, gid))
}

/// Makes this folder the root of the process. Suspends.
///
/// # Errors
///
/// As [std's](std::os::unix::fs::chroot).
pub fn chroot<P: AsRef<Path>>(dir: P) -> io::Result<()> {
    let path = dir.as_ref().to_owned();
    rt::offload(move || std::os::unix::fs::chroot(path))
}
