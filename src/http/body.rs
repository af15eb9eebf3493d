//! The body of a request: pieces in memory, and what is read while it is sent.

use std::io::{self, Read};

/// Pieces that are sent one after the other.
#[derive(Default)]
pub(super) struct Body {
    pieces: Vec<Piece>,
    /// The piece that is being read.
    at: usize,
    /// So much of it has been read, if it is in memory.
    offset: usize,
}

enum Piece {
    Bytes(Vec<u8>),
    Stream {
        stream: Box<dyn Read + Send>,
        /// What is left; `None` if only its end will tell.
        left: Option<u64>,
        is_taken: bool,
    },
}

impl Body {
    pub(super) fn bytes(bytes: Vec<u8>) -> Body {
        let mut body = Body::default();
        body.push_bytes(bytes);
        body
    }

    pub(super) fn push_bytes(&mut self, bytes: Vec<u8>) {
        self.pieces.push(Piece::Bytes(bytes));
    }

    pub(super) fn push_stream(&mut self, stream: Box<dyn Read + Send>, length: Option<u64>) {
        self.pieces.push(Piece::Stream {
            stream,
            left: length,
            is_taken: false,
        });
    }

    /// Nothing at all, not even nothing to be sent.
    pub(super) fn is_none(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Its length if that is known, when nothing of it was read yet.
    pub(super) fn length(&self) -> Option<u64> {
        self.pieces
            .iter()
            .try_fold(0_u64, |sum, piece| match piece {
                Piece::Bytes(bytes) => Some(sum + bytes.len() as u64),
                Piece::Stream { left, .. } => left.and_then(|left| sum.checked_add(left)),
            })
    }

    /// Reading it runs no code of others, and waits for nobody.
    pub(super) fn is_in_memory(&self) -> bool {
        let is_in_memory = |piece: &Piece| matches!(piece, Piece::Bytes(_));
        self.pieces.iter().all(is_in_memory)
    }

    /// Back to its beginning; false if something was taken that cannot be had again.
    pub(super) fn rewind(&mut self) -> bool {
        (self.at, self.offset) = (0, 0);
        let is_whole = |piece: &Piece| match piece {
            Piece::Bytes(_) => true,
            Piece::Stream { is_taken, .. } => !is_taken,
        };
        self.pieces.iter().all(is_whole)
    }
}

/// Fails if a stream is shorter than was said; a longer one is cut there.
impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(piece) = self.pieces.get_mut(self.at) {
            let amount = match piece {
                Piece::Bytes(bytes) => (&bytes[self.offset..]).read(buffer)?,
                Piece::Stream {
                    stream,
                    left,
                    is_taken,
                } => {
                    *is_taken = true;
                    read_stream(&mut **stream, left, buffer)?
                }
            };
            self.offset += amount;
            if amount > 0 || buffer.is_empty() {
                return Ok(amount);
            }
            (self.at, self.offset) = (self.at + 1, 0);
        }
        Ok(0)
    }
}

fn read_stream(
    stream: &mut dyn Read,
    left: &mut Option<u64>,
    buffer: &mut [u8],
) -> io::Result<usize> {
    let most = left.map_or(buffer.len(), |left| {
        usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()))
    });
    if most == 0 {
        return Ok(0);
    }
    let amount = loop {
        match stream.read(&mut buffer[..most]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result?,
        }
    };
    if let Some(left) = left {
        if amount == 0 {
            let message = "the stream is shorter than was said";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        *left -= amount as u64;
    }
    Ok(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(body: &mut Body) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        body.read_to_end(&mut all).map(|_| all)
    }

    fn stream(text: &'static str, length: Option<u64>) -> Body {
        let mut body = Body::bytes(b"<".to_vec());
        body.push_stream(Box::new(text.as_bytes()), length);
        body.push_bytes(b">".to_vec());
        body
    }

    #[test]
    fn pieces_are_read_in_their_order() {
        let mut body = stream("middle", Some(6));
        assert_eq!(body.length(), Some(8));
        assert_eq!(all(&mut body).unwrap(), b"<middle>");
        assert_eq!(stream("middle", None).length(), None);
        assert_eq!(all(&mut stream("middle", None)).unwrap(), b"<middle>");
    }

    #[test]
    fn what_is_in_memory_can_be_read_again() {
        let mut body = Body::bytes(b"again".to_vec());
        for _ in 0..2 {
            assert_eq!(all(&mut body).unwrap(), b"again");
            assert!(body.rewind());
        }
        let mut body = stream("once", None);
        assert!(body.rewind(), "nothing was taken");
        assert_eq!(all(&mut body).unwrap(), b"<once>");
        assert!(!body.rewind());
    }

    #[test]
    fn a_stream_is_as_long_as_was_said() {
        assert_eq!(all(&mut stream("longer", Some(4))).unwrap(), b"<long>");
        let error = all(&mut stream("short", Some(9))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
