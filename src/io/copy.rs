//! [`copy`].

use std::any::TypeId;
use std::fs;
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::ptr;

use crate::fd::{AnyFd, PipeReader, PipeWriter, Sink, Source};
use crate::fs::File;
use crate::net::TcpStream;
use crate::os::unix::net::UnixStream;
use crate::process::{ChildStderr, ChildStdin, ChildStdout};
use crate::rt;

/// Of a file that is shorter the bytes themselves are moved.
const WORTH_IT: u64 = 64 << 10;
/// The most that is copied from file to file in one go.
const MOST_OFFLOADED: u64 = 64 << 20;

/// Copies all that is read to the writer; returns how many bytes that were. Suspends.
///
/// ```
/// use sylvan::io;
///
/// let mut to = Vec::new();
/// assert_eq!(io::copy(&mut &b"bytes"[..], &mut to)?, 5);
/// # io::Result::Ok(())
/// ```
///
/// # Errors
///
/// Those of reading and writing, but for [`Interrupted`](ErrorKind::Interrupted). Some has been copied then.
///
/// # Differences from std
///
/// std leaves copying to the kernel where both ends are its own types, descriptors all; this one where both are sylvan's:
/// [`TcpStream`], [`UnixStream`], the ends of [pipes](super::pipe), also of those to a child, [`File`], or references to
/// one of these. The bytes go through a pipe of the kernel (`splice`), or from file to file (`copy_file_range`),
/// and never come to the process. Who is cancelled in the midst of it leaves behind what was in that pipe, as elsewhere what was
/// in a buffer.
///
/// A socket of which a part went that way is in non-blocking mode from then on, for those who use its descriptor behind its
/// back; it itself behaves as ever. Two readers, or writers, of one socket at once are no worse off than with `read`.
pub fn copy<R, W>(reader: &mut R, writer: &mut W) -> io::Result<u64>
where
    R: Read + ?Sized,
    W: Write + ?Sized,
{
    let mut copied = 0;
    if let (Some(source), Some(sink)) = (source(reader), sink(writer)) {
        let rest = match (source.as_stored(), sink.as_stored()) {
            (Some(from), Some(to)) => return copy_file(from, to),
            (Some(from), None) if is_short(from) => Vec::new(),
            _ => transfer(source, sink, &mut copied)?,
        };
        writer.write_all(&rest)?;
        copied += rest.len() as u64;
    }
    Ok(copied + io::copy(reader, writer)?)
}

/// Moves bytes until there are no more, or it cannot go on: then what has left the source, and not come to the sink, is
/// returned.
fn transfer(source: &dyn Source, sink: &dyn Sink, copied: &mut u64) -> io::Result<Vec<u8>> {
    loop {
        let mut transit = match source.fill() {
            Err(error) if is_no_use(&error) => return Ok(Vec::new()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            transit => transit?,
        };
        if transit.is_empty() {
            return Ok(Vec::new());
        }
        while !transit.is_empty() {
            let before = transit.filled();
            match sink.drain(&mut transit) {
                Err(error) if is_no_use(&error) => return transit.into_bytes(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => result?,
            }
            *copied += (before - transit.filled()) as u64;
        }
    }
}

/// Can it be done in the usual way all the same? Also without a descriptor for a pipe.
fn is_no_use(error: &io::Error) -> bool {
    error.kind() == ErrorKind::Unsupported
        || matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Is there so little left that the bytes themselves are as quick? That is also said where there is no telling.
fn is_short(file: &AnyFd) -> bool {
    let length = file.file().metadata().map_or(0, |metadata| metadata.len());
    let place = (&**file.file()).stream_position().unwrap_or(length);
    length.saturating_sub(place) < WORTH_IT
}

/// Lets std do it, in parts: whoever is cancelled leaves between two.
fn copy_file(from: &AnyFd, to: &AnyFd) -> io::Result<u64> {
    let mut copied = 0;
    loop {
        let (from, to) = (from.file().clone(), to.file().clone());
        let (part, is_end) = rt::offload(move || copy_part(&from, &to))?;
        copied += part;
        if is_end {
            return Ok(copied);
        }
    }
}

/// How many bytes that were, and whether there are no more.
fn copy_part(mut from: &fs::File, mut to: &fs::File) -> io::Result<(u64, bool)> {
    // There are files without a place in them.
    let start = from.stream_position();
    match io::copy(&mut from.take(MOST_OFFLOADED), &mut to) {
        // What std has copied before the signal it does not tell.
        Err(error) if error.kind() == ErrorKind::Interrupted => {
            Ok((from.stream_position()?.saturating_sub(start?), false))
        }
        part => part.map(|part| (part, part == 0)),
    }
}

fn source<R: ?Sized>(reader: &R) -> Option<&dyn Source> {
    macro_rules! first_of {
        ($($known:ty),+) => {
            $(if let Some(known) = as_known::<R, $known>(reader) {
                return Some(known);
            })+
        };
    }
    first_of!(TcpStream, UnixStream, PipeReader, ChildStdout, ChildStderr);
    as_known::<R, File>(reader).map(|file| file.any() as &dyn Source)
}

fn sink<W: ?Sized>(writer: &W) -> Option<&dyn Sink> {
    macro_rules! first_of {
        ($($known:ty),+) => {
            $(if let Some(known) = as_known::<W, $known>(writer) {
                return Some(known);
            })+
        };
    }
    first_of!(TcpStream, UnixStream, PipeWriter, ChildStdin);
    as_known::<W, File>(writer).map(|file| file.any() as &dyn Sink)
}

/// The value as what it is, if it is a `Known` or a reference to one.
fn as_known<T: ?Sized, Known: 'static>(value: &T) -> Option<&Known> {
    let own = typeid::of::<T>();
    if own == TypeId::of::<Known>() {
        // SAFETY: it is of this very type, which has no lifetime in it that could differ.
        return Some(unsafe { &*ptr::from_ref(value).cast::<Known>() });
    }
    if own == TypeId::of::<&'static Known>() {
        // SAFETY: it is a reference to this type, whatever its lifetime, which is longer than that of `value`: and the
        // result has no more than that.
        return Some(unsafe { &**ptr::from_ref(value).cast::<&Known>() });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_descriptor_is_known_as_one() {
        let (reader, writer) = crate::io::pipe().unwrap();
        assert!(source(&reader).is_some() && source(&&reader).is_some());
        assert!(sink(&writer).is_some() && sink(&&writer).is_some());
        let (one, other) = UnixStream::pair().unwrap();
        assert!(source(&one).is_some() && sink(&&other).is_some());
        let file = File::open("/dev/null").unwrap();
        assert!(source(&file).is_some() && sink(&&file).is_some());
    }

    #[test]
    fn what_is_none_is_not() {
        assert!(source(&&b"bytes"[..]).is_none());
        assert!(sink(&Vec::<u8>::new()).is_none());
        let (reader, _writer) = crate::io::pipe().unwrap();
        assert!(source(&io::BufReader::new(reader)).is_none());
        assert!(source::<dyn Read>(&io::empty()).is_none());
    }
}
