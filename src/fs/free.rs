//! The functions that take paths.

use std::fs::{self, Metadata, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::file::{File, into_text};
use super::folder::ReadDir;
use crate::fd::{access, open_path};
use crate::rt;

/// The most bytes that are copied to be written by one job.
const MOST_COPIED: usize = 1 << 20;

/// Does something with a path where it can be waited for.
fn offload<R: Send + 'static>(path: &Path, job: impl FnOnce(&Path) -> R + Send + 'static) -> R {
    let path = path.to_owned();
    rt::offload(move || job(&path))
}

/// As [`offload`], with two paths.
fn offload_two<R: Send + 'static>(
    one: &Path,
    other: &Path,
    job: impl FnOnce(&Path, &Path) -> R + Send + 'static,
) -> R {
    let (one, other) = (one.to_owned(), other.to_owned());
    rt::offload(move || job(&one, &other))
}

/// All bytes of a file. Suspends unless they are in the kernel's caches.
///
/// ```
/// let bytes = sylvan::fs::read("/proc/self/comm")?;
/// assert!(!bytes.is_empty());
/// # std::io::Result::Ok(())
/// ```
///
/// # Errors
///
/// As [std's](std::fs::read).
pub fn read<P: AsRef<Path>>(path: P) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All of a file, as text. Suspends unless it is in the kernel's caches.
///
/// # Errors
///
/// As [std's](std::fs::read_to_string); [`InvalidData`](ErrorKind::InvalidData) if it is no UTF-8.
pub fn read_to_string<P: AsRef<Path>>(path: P) -> io::Result<String> {
    into_text(read(path)?)
}

/// Makes a file of these bytes, or puts them in the place of what it had. Suspends.
///
/// # Errors
///
/// As [std's](std::fs::write).
pub fn write<P: AsRef<Path>, C: AsRef<[u8]>>(path: P, contents: C) -> io::Result<()> {
    let contents = contents.as_ref();
    if contents.len() <= MOST_COPIED {
        let contents = contents.to_vec();
        return offload(path.as_ref(), |path| fs::write(path, contents));
    }
    File::create(path)?.write_all(contents)
}

/// Copies a file, with its permissions; returns how many bytes it has. Suspends.
///
/// # Errors
///
/// As [std's](std::fs::copy).
pub fn copy<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<u64> {
    offload_two(from.as_ref(), to.as_ref(), |from, to| {
        loop {
            match fs::copy(from, to) {
                // A signal: what can be read from the beginning is. (std leaves that to its caller.)
                Err(error)
                    if error.kind() == ErrorKind::Interrupted
                        && fs::metadata(from).is_ok_and(|metadata| metadata.is_file()) => {}
                result => return result,
            }
        }
    })
}

/// What is known of a file; of a link, of that to which it leads. Suspends unless the kernel knows it.
///
/// # Errors
///
/// As [std's](std::fs::metadata).
pub fn metadata<P: AsRef<Path>>(path: P) -> io::Result<Metadata> {
    let path = path.as_ref();
    match known(path, 0) {
        Some(metadata) => metadata,
        None => offload(path, |path| fs::metadata(path)),
    }
}

/// What is known of a file; of a link, of itself. Suspends unless the kernel knows it.
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("sylvan-link-{}", std::process::id()));
/// # sylvan::fs::create_dir_all(&folder)?;
/// use sylvan::fs;
/// use sylvan::os::unix::fs::symlink;
///
/// symlink("nowhere", folder.join("link"))?;
/// assert!(fs::symlink_metadata(folder.join("link"))?.is_symlink());
/// assert!(fs::metadata(folder.join("link")).is_err());
/// # fs::remove_dir_all(folder)?;
/// # std::io::Result::Ok(())
/// ```
///
/// # Errors
///
/// As [std's](std::fs::symlink_metadata).
pub fn symlink_metadata<P: AsRef<Path>>(path: P) -> io::Result<Metadata> {
    let path = path.as_ref();
    match known(path, access::NO_FOLLOW) {
        Some(metadata) => metadata,
        None => offload(path, |path| fs::symlink_metadata(path)),
    }
}

/// What the kernel has in its caches of this path.
fn known(path: &Path, flags: i32) -> Option<io::Result<Metadata>> {
    if !rt::on_green_thread() {
        return None;
    }
    rt::spend();
    let opened = open_path(path, access::PATH | flags)?;
    match opened {
        Ok(file) => Some(file.metadata()),
        // Without a descriptor the usual way goes on.
        Err(error) if error.kind() != ErrorKind::NotFound => None,
        Err(error) => Some(Err(error)),
    }
}

/// Is there something at this path? Suspends unless the kernel knows it.
///
/// # Errors
///
/// As [std's](std::fs::exists).
pub fn exists<P: AsRef<Path>>(path: P) -> io::Result<bool> {
    match metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The entries of a folder. Suspends.
///
/// ```
/// use sylvan::fs;
///
/// # let folder = std::env::temp_dir().join(format!("sylvan-list-{}", std::process::id()));
/// # fs::create_dir_all(&folder)?;
/// fs::write(folder.join("a"), "")?;
/// let names = fs::read_dir(&folder)?.map(|entry| Ok(entry?.file_name()));
/// assert_eq!(names.collect::<std::io::Result<Vec<_>>>()?, ["a"]);
/// # fs::remove_dir_all(folder)?;
/// # std::io::Result::Ok(())
/// ```
///
/// # Errors
///
/// As [std's](std::fs::read_dir).
pub fn read_dir<P: AsRef<Path>>(path: P) -> io::Result<ReadDir> {
    offload(path.as_ref(), |path| fs::read_dir(path)).map(ReadDir::new)
}

/// The path without links and dots, from the root. Suspends.
///
/// # Errors
///
/// As [std's](std::fs::canonicalize).
pub fn canonicalize<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    offload(path.as_ref(), |path| fs::canonicalize(path))
}

/// Where a link leads. Suspends.
///
/// # Errors
///
/// As [std's](std::fs::read_link).
pub fn read_link<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    offload(path.as_ref(), |path| fs::read_link(path))
}

/// Makes a folder. Suspends.
///
/// # Errors
///
/// As [std's](std::fs::create_dir).
pub fn create_dir<P: AsRef<Path>>(path: P) -> io::Result<()> {
    offload(path.as_ref(), |path| fs::create_dir(path))
}

/// Makes a folder, and those in which it is to be. Suspends.
///
/// # Errors
///
/// As [std's](std::fs::create_dir_all).
pub fn create_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    offload(path.as_ref(), |path| fs::create_dir_all(path))
}

/// Removes an empty folder. Suspends.
///
/// # Errors
///
/// As [std's](std::fs::remove_dir).
pub fn remove_dir<P: AsRef<Path>>(path: P) -> io::Result<()> {
    offload(path.as_ref(), |path| fs::remove_dir(path))
}

/// Removes a folder and all that is in it. Suspends.
///
/// # Errors
///
/// As [std's](std::fs::remove_dir_all).
pub fn remove_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    offload(path.as_ref(), |path| fs::remove_dir_all(path))
}

/// Removes a file. Suspends.
///
/// # Errors
///
/// As [std's](std::fs::remove_file).
pub fn remove_file<P: AsRef<Path>>(path: P) -> io::Result<()> {
    offload(path.as_ref(), |path| fs::remove_file(path))
}

/// Gives something another path, in the place of what is there. Suspends.
///
/// # Errors
///
/// As [std's](std::fs::rename).
pub fn rename<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<()> {
    offload_two(from.as_ref(), to.as_ref(), |from, to| fs::rename(from, to))
}

/// Gives a file a second path. Suspends.
///
/// # Errors
///
/// As [std's](std::fs::hard_link).
pub fn hard_link<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    offload_two(original.as_ref(), link.as_ref(), |original, link| {
        fs::hard_link(original, link)
    })
}

/// Makes a link. Suspends.
///
/// # Errors
///
/// As [std's](std::os::unix::fs::symlink).
#[deprecated(note = "replaced with os::unix::fs::symlink")]
pub fn soft_link<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    offload_two(original.as_ref(), link.as_ref(), |original, link| {
        std::os::unix::fs::symlink(original, link)
    })
}

/// Says who may do what with a file. Suspends.
///
/// # Errors
///
/// As [std's](std::fs::set_permissions).
pub fn set_permissions<P: AsRef<Path>>(path: P, perm: Permissions) -> io::Result<()> {
    offload(path.as_ref(), |path| fs::set_permissions(path, perm))
}
