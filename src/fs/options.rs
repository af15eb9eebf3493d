//! [`OpenOptions`].

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::LazyLock;

use super::file::File;
use crate::fd::{access, open_cached};
use crate::rt::{self, OffloadPool, Reason};

/// The OS threads on which files are opened that have to be waited for: a named pipe may have nobody at its other end for
/// ever, and is not to keep others waiting.
static OPENERS: LazyLock<OffloadPool> = LazyLock::new(|| OffloadPool::new("sylvan-open", 256));

/// How a file is to be opened.
///
/// ```
/// use sylvan::fs::OpenOptions;
/// use sylvan::io::Write;
///
/// # let path = std::env::temp_dir().join(format!("sylvan-options-{}", std::process::id()));
/// let mut log = OpenOptions::new().create(true).append(true).open(&path)?;
/// log.write_all(b"one more line\n")?;
/// # sylvan::fs::remove_file(path)?;
/// # std::io::Result::Ok(())
/// ```
///
/// # Differences from std
///
/// [`open`](Self::open) suspends the green thread. A file that it found in the kernel's caches has `O_NONBLOCK` set, which
/// means nothing to files, but for a few that are none on a disk, as `/proc/kmsg`.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    inner: fs::OpenOptions,
    read: bool,
    write: bool,
    append: bool,
    /// It may have to be made, or emptied.
    changes: bool,
    flags: i32,
}

impl OpenOptions {
    /// None yet.
    #[allow(clippy::new_without_default)] // std has none.
    #[must_use]
    pub fn new() -> OpenOptions {
        OpenOptions {
            inner: fs::OpenOptions::new(),
            read: false,
            write: false,
            append: false,
            changes: false,
            flags: 0,
        }
    }

    /// For reading.
    pub fn read(&mut self, read: bool) -> &mut OpenOptions {
        self.inner.read(read);
        self.read = read;
        self
    }

    /// For writing.
    pub fn write(&mut self, write: bool) -> &mut OpenOptions {
        self.inner.write(write);
        self.write = write;
        self
    }

    /// For writing at the end, wherever that is at the time.
    pub fn append(&mut self, append: bool) -> &mut OpenOptions {
        self.inner.append(append);
        self.append = append;
        self
    }

    /// Empties it.
    pub fn truncate(&mut self, truncate: bool) -> &mut OpenOptions {
        self.inner.truncate(truncate);
        self.changes |= truncate;
        self
    }

    /// Makes it, if there is none.
    pub fn create(&mut self, create: bool) -> &mut OpenOptions {
        self.inner.create(create);
        self.changes |= create;
        self
    }

    /// Makes it; there must be none.
    pub fn create_new(&mut self, create_new: bool) -> &mut OpenOptions {
        self.inner.create_new(create_new);
        self.changes |= create_new;
        self
    }

    /// Opens the file. Suspends unless the kernel has all of it that is needed in its caches.
    ///
    /// # Errors
    ///
    /// As [std's](std::fs::OpenOptions::open).
    pub fn open<P: AsRef<Path>>(&self, path: P) -> io::Result<File> {
        let path = path.as_ref();
        if rt::on_green_thread()
            && !self.changes
            && let Some(flags) = self.access()
            && let Some(opened) = open_cached(path, flags | self.flags)
        {
            rt::spend();
            return opened.map(File::stored);
        }
        let (options, path) = (self.inner.clone(), path.to_owned());
        let opened = rt::offload_to(&OPENERS, Reason::Offload, move || options.open(path))?;
        Ok(opened.into())
    }

    /// The mode of a file that is made.
    pub(crate) fn set_mode(&mut self, mode: u32) {
        self.inner.mode(mode);
    }

    /// More flags for the system call.
    pub(crate) fn set_flags(&mut self, flags: i32) {
        self.inner.custom_flags(flags);
        self.flags = flags & !access::MASK;
    }

    /// What the system call is told of reading and writing; `None` is for std to refuse.
    fn access(&self) -> Option<i32> {
        use access::{APPEND, READ, READ_WRITE, WRITE};
        match (self.read, self.write, self.append) {
            (true, false, false) => Some(READ),
            (false, true, false) => Some(WRITE),
            (true, true, false) => Some(READ_WRITE),
            (false, _, true) => Some(WRITE | APPEND),
            (true, _, true) => Some(READ_WRITE | APPEND),
            (false, false, false) => None,
        }
    }
}
