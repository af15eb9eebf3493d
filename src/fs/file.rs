//! [`File`].

use std::fmt;
use std::fs::{self, FileTimes, Metadata, Permissions, TryLockError};
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use super::options::OpenOptions;
use crate::fd::{
    AnyFd,
    Position::{self, Current},
};
use crate::{rt, thread};

/// How long to wait before a lock is tried for again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// An open file.
///
/// ```
/// use sylvan::fs::File;
/// use sylvan::io::{Read, Seek, Write};
///
/// # let path = std::env::temp_dir().join(format!("sylvan-file-{}", std::process::id()));
/// let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
/// file.write_all(b"Good day")?;
/// file.rewind()?;
/// let mut text = String::new();
/// file.read_to_string(&mut text)?;
/// assert_eq!(text, "Good day");
/// # sylvan::fs::remove_file(path)?;
/// # std::io::Result::Ok(())
/// ```
///
/// # Differences from std
///
/// * What may wait for a disk suspends the green thread; [the module](super) says what does, and in what order.
/// * A write, or a read of what is not in the kernel's caches, transfers a mebibyte at most; `write_all` and
///   `read_to_end` transfer all.
/// * [`lock`](Self::lock) and [`lock_shared`](Self::lock_shared) try again and again, up to 50 milliseconds apart: so
///   whoever is cancelled while it waits can leave no lock behind.
/// * An `Arc<File>` cannot be read as such: only std may say so of its own type. `&*file` can.
pub struct File {
    fd: AnyFd,
}

impl File {
    /// Opens a file for reading. Suspends unless it is in the kernel's caches.
    ///
    /// # Errors
    ///
    /// As [std's](std::fs::OpenOptions::open).
    pub fn open<P: AsRef<Path>>(path: P) -> io::Result<File> {
        OpenOptions::new().read(true).open(path)
    }

    /// Opens a file for writing, empty, whether there is one or not. Suspends.
    ///
    /// # Errors
    ///
    /// As [std's](std::fs::OpenOptions::open).
    pub fn create<P: AsRef<Path>>(path: P) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
    }

    /// Makes a file, which must not exist, for reading and writing. Suspends.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists); and as [std's](std::fs::OpenOptions::open).
    pub fn create_new<P: AsRef<Path>>(path: P) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
    }

    /// How to open it otherwise.
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Waits until all that was written is on the disk, and what is known of the file. Suspends.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn sync_all(&self) -> io::Result<()> {
        self.offload(fs::File::sync_all)
    }

    /// As [`sync_all`](Self::sync_all), for what is needed to read it again. Suspends.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn sync_data(&self) -> io::Result<()> {
        self.offload(fs::File::sync_data)
    }

    /// Locks the file for oneself alone. Suspends until nobody else has a lock on it.
    ///
    /// ```
    /// use sylvan::fs::File;
    ///
    /// # let path = std::env::temp_dir().join(format!("sylvan-lock-{}", std::process::id()));
    /// let file = File::create(&path)?;
    /// file.lock()?;
    /// assert!(File::open(&path)?.try_lock_shared().is_err());
    /// file.unlock()?;
    /// # sylvan::fs::remove_file(path)?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn lock(&self) -> io::Result<()> {
        until_locked(|| self.try_lock())
    }

    /// Locks the file together with others that do. Suspends until nobody has it alone.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn lock_shared(&self) -> io::Result<()> {
        until_locked(|| self.try_lock_shared())
    }

    /// As [`lock`](Self::lock), if that is possible now. Never suspends.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](TryLockError::WouldBlock) if it is not.
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        self.fd.file().try_lock()
    }

    /// As [`lock_shared`](Self::lock_shared), if that is possible now. Never suspends.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](TryLockError::WouldBlock) if it is not.
    pub fn try_lock_shared(&self) -> Result<(), TryLockError> {
        self.fd.file().try_lock_shared()
    }

    /// Gives up the lock. Never suspends.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn unlock(&self) -> io::Result<()> {
        self.fd.file().unlock()
    }

    /// Cuts it off at this length, or fills it up with zeroes. Suspends.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn set_len(&self, size: u64) -> io::Result<()> {
        self.offload(move |file| file.set_len(size))
    }

    /// What is known of the file.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.fd.file().metadata()
    }

    /// Another descriptor of the same open file; the place in it is common to both.
    ///
    /// # Errors
    ///
    /// If the process has no descriptors left.
    pub fn try_clone(&self) -> io::Result<File> {
        let fd = self.fd.try_clone()?;
        Ok(File { fd })
    }

    /// Says who may do what with it. Suspends.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn set_permissions(&self, perm: Permissions) -> io::Result<()> {
        self.offload(move |file| file.set_permissions(perm))
    }

    /// Sets when it was read and changed. Suspends.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn set_times(&self, times: FileTimes) -> io::Result<()> {
        self.offload(move |file| file.set_times(times))
    }

    /// Sets when it was changed. Suspends.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time))
    }

    /// One that was found to be a file or a folder.
    pub(super) fn stored(file: fs::File) -> File {
        File {
            fd: AnyFd::stored(file),
        }
    }

    pub(crate) fn read_from(&self, buf: &mut [u8], position: Position) -> io::Result<usize> {
        self.fd.read(buf, position)
    }

    pub(crate) fn write_to(&self, buf: &[u8], position: Position) -> io::Result<usize> {
        self.fd.write(buf, position)
    }

    /// What it is to whoever asks for no more than a descriptor.
    pub(crate) fn any(&self) -> &AnyFd {
        &self.fd
    }

    fn offload<R: Send + 'static>(
        &self,
        job: impl FnOnce(&fs::File) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        let file = self.fd.file().clone();
        rt::offload(move || job(&file))
    }

    /// How many bytes are left to read, as far as that can be said.
    fn rest(&self) -> usize {
        let length = self.metadata().map_or(0, |metadata| metadata.len());
        let place = (&**self.fd.file()).stream_position().unwrap_or(0);
        usize::try_from(length.saturating_sub(place)).unwrap_or(0)
    }
}

fn until_locked(mut attempt: impl FnMut() -> Result<(), TryLockError>) -> io::Result<()> {
    let mut pause = FIRST_PAUSE;
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => thread::sleep(pause),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl Read for &File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.fd.read(buf, Current)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.fd.read_vectored(bufs, Current)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        let start = buf.len();
        // One more than there is, to see the end.
        buf.try_reserve(self.rest().saturating_add(1))?;
        let mut filling = Filling { end: start, buf };
        loop {
            match self.read(filling.room()?) {
                Ok(0) => return Ok(filling.end - start),
                Ok(count) => filling.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        let text = into_text(bytes)?;
        buf.push_str(&text);
        Ok(text.len())
    }
}

/// A vector that is being filled. What lies behind the end is zeroes, written once, and goes when this is dropped, however
/// that comes.
struct Filling<'a> {
    buf: &'a mut Vec<u8>,
    end: usize,
}

impl Filling<'_> {
    /// Where there is room for more; never empty.
    fn room(&mut self) -> io::Result<&mut [u8]> {
        if self.end == self.buf.capacity() {
            self.buf.try_reserve(self.end.clamp(32, 1 << 20))?;
        }
        if self.buf.len() < self.buf.capacity() {
            self.buf.resize(self.buf.capacity(), 0);
        }
        Ok(&mut self.buf[self.end..])
    }
}

impl Drop for Filling<'_> {
    fn drop(&mut self) {
        self.buf.truncate(self.end);
    }
}

/// Text, or std's error.
pub(super) fn into_text(bytes: Vec<u8>) -> io::Result<String> {
    let why = "stream did not contain valid UTF-8";
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, why))
}

impl Write for &File {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.fd.write(buf, Current)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.fd.write_vectored(bufs, Current)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for &File {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        (&**self.fd.file()).seek(pos)
    }
}

impl Read for File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        (&*self).read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        (&*self).read_to_string(buf)
    }
}

impl Write for File {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        (&*self).seek(pos)
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> File {
        File { fd: AnyFd::new(fd) }
    }
}

impl From<fs::File> for File {
    /// Takes over std's file.
    fn from(file: fs::File) -> File {
        OwnedFd::from(file).into()
    }
}

impl From<File> for OwnedFd {
    /// # Panics
    ///
    /// If an offloaded call, whose caller was cancelled, still uses the file, and the process has no descriptors left.
    fn from(file: File) -> OwnedFd {
        file.fd.into_fd()
    }
}

impl From<File> for fs::File {
    /// Gives the file to std.
    fn from(file: File) -> fs::File {
        OwnedFd::from(file).into()
    }
}

impl From<File> for Stdio {
    fn from(file: File) -> Stdio {
        OwnedFd::from(file).into()
    }
}

impl FromRawFd for File {
    unsafe fn from_raw_fd(fd: RawFd) -> File {
        // SAFETY: the caller hands over an open descriptor that nobody else owns.
        unsafe { OwnedFd::from_raw_fd(fd) }.into()
    }
}

impl IntoRawFd for File {
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.file().as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.file().as_raw_fd()
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fd.fmt(f)
    }
}
