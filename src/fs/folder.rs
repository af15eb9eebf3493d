//! Folders: [`ReadDir`], [`DirEntry`], [`DirBuilder`].

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::iter::FusedIterator;
use std::os::unix::fs::{DirBuilderExt, DirEntryExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::rt;

/// How many entries are fetched at a time.
const AT_ONCE: usize = 256;

/// The entries of a folder, in no order; made by [`read_dir`](super::read_dir).
///
/// # Differences from std
///
/// `next` suspends the green thread whenever it has to fetch more.
pub struct ReadDir {
    rest: Option<fs::ReadDir>,
    fetched: VecDeque<io::Result<DirEntry>>,
}

impl ReadDir {
    pub(super) fn new(rest: fs::ReadDir) -> ReadDir {
        ReadDir {
            rest: Some(rest),
            fetched: VecDeque::new(),
        }
    }
}

impl Iterator for ReadDir {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<io::Result<DirEntry>> {
        if self.fetched.is_empty() {
            let mut rest = self.rest.take()?;
            // Nobody leaves in between, or the rest would be gone. It is one call of the kernel, or few.
            let (rest, fetched) = rt::mask(|| {
                rt::offload(move || {
                    let entries = rest.by_ref().take(AT_ONCE);
                    let fetched: Vec<_> = entries.map(|entry| entry.map(DirEntry::new)).collect();
                    (rest, fetched)
                })
            });
            if !fetched.is_empty() {
                self.rest = Some(rest);
            }
            self.fetched.extend(fetched);
        }
        self.fetched.pop_front()
    }
}

impl FusedIterator for ReadDir {}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rest {
            Some(rest) => rest.fmt(f),
            None => f.write_str("ReadDir"),
        }
    }
}

/// An entry of a folder.
pub struct DirEntry {
    inner: Arc<fs::DirEntry>,
    /// Found where it could be waited for.
    kind: io::Result<FileType>,
}

impl DirEntry {
    fn new(inner: fs::DirEntry) -> DirEntry {
        DirEntry {
            kind: inner.file_type(),
            inner: Arc::new(inner),
        }
    }

    /// Its path: that of the folder, and its name.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.inner.path()
    }

    /// What is known of it; of a link itself, not of that to which it leads. Suspends.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn metadata(&self) -> io::Result<Metadata> {
        let inner = self.inner.clone();
        rt::offload(move || inner.metadata())
    }

    /// What it is; of a link, that it is one.
    ///
    /// # Errors
    ///
    /// What the system call gave.
    pub fn file_type(&self) -> io::Result<FileType> {
        match &self.kind {
            Ok(kind) => Ok(*kind),
            Err(error) => Err(match error.raw_os_error() {
                Some(number) => io::Error::from_raw_os_error(number),
                None => error.kind().into(),
            }),
        }
    }

    /// Its name.
    #[must_use]
    pub fn file_name(&self) -> OsString {
        self.inner.file_name()
    }

    /// The number of its inode.
    pub(crate) fn inode(&self) -> u64 {
        self.inner.ino()
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// How folders are made.
///
/// ```
/// use sylvan::fs::{self, DirBuilder};
///
/// # let folder = std::env::temp_dir().join(format!("sylvan-folders-{}", std::process::id()));
/// DirBuilder::new().recursive(true).create(folder.join("a/b"))?;
/// assert!(fs::metadata(folder.join("a/b"))?.is_dir());
/// # fs::remove_dir_all(folder)?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct DirBuilder {
    recursive: bool,
    mode: Option<u32>,
}

impl DirBuilder {
    /// One folder, in one that exists.
    #[allow(clippy::new_without_default)] // std has none.
    #[must_use]
    pub fn new() -> DirBuilder {
        DirBuilder {
            recursive: false,
            mode: None,
        }
    }

    /// Makes those in which it is to be as well; and that it exists is no error.
    pub fn recursive(&mut self, recursive: bool) -> &mut DirBuilder {
        self.recursive = recursive;
        self
    }

    /// Makes it. Suspends.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn create<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        let (recursive, mode) = (self.recursive, self.mode);
        let path = path.as_ref().to_owned();
        rt::offload(move || {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(recursive);
            if let Some(mode) = mode {
                builder.mode(mode);
            }
            builder.create(path)
        })
    }

    /// The mode of what is made.
    pub(crate) fn set_mode(&mut self, mode: u32) {
        self.mode = Some(mode);
    }
}
