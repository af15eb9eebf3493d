//! What a body was before it was compressed, and the text that its bytes stand for.

use std::io::{self, Read};

use brotli_decompressor::Decompressor;
use encoding_rs::{Encoding, UTF_8};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use ureq_proto::http::{HeaderMap, header};

use super::error::Error;
use super::incoming::Incoming;

/// A body, and what turns it back into what it was.
#[allow(clippy::large_enum_variant, reason = "the usual one is in no box")]
pub(super) enum Decoder {
    Plain(Incoming),
    Gzip(Box<MultiGzDecoder<Held>>),
    Deflate(Box<ZlibDecoder<Incoming>>),
    Brotli(Box<Decompressor<Incoming>>),
}

/// A body of which nothing is read before somebody reads: a new decoder for gzip looks at the beginning at once, and asks
/// again later if that is not there yet.
pub(super) struct Held {
    incoming: Incoming,
    is_wanted: bool,
}

/// What can be decoded; told to servers.
pub(super) const ACCEPTED: &str = "gzip, deflate, br";

impl Decoder {
    /// Takes the headers away that tell of a compression which nobody sees any more.
    pub(super) fn new(incoming: Incoming, headers: &mut HeaderMap) -> Decoder {
        let coding = headers.get(header::CONTENT_ENCODING);
        let coding = coding.map(|coding| coding.as_bytes().to_ascii_lowercase());
        // One compression within another is left to the caller.
        let is_one = headers.get_all(header::CONTENT_ENCODING).iter().count() == 1;
        if incoming.has_ended() || !is_one {
            return Decoder::Plain(incoming);
        }
        let decoder = match coding.as_deref() {
            Some(b"gzip" | b"x-gzip") => {
                Decoder::Gzip(Box::new(MultiGzDecoder::new(Held::new(incoming))))
            }
            Some(b"deflate") => Decoder::Deflate(Box::new(ZlibDecoder::new(incoming))),
            Some(b"br") => Decoder::Brotli(Box::new(Decompressor::new(incoming, 4096))),
            _ => return Decoder::Plain(incoming),
        };
        headers.remove(header::CONTENT_ENCODING);
        headers.remove(header::CONTENT_LENGTH);
        decoder
    }

    pub(super) fn incoming(&self) -> &Incoming {
        match self {
            Decoder::Plain(incoming) => incoming,
            Decoder::Gzip(decoder) => &decoder.get_ref().incoming,
            Decoder::Deflate(decoder) => decoder.get_ref(),
            Decoder::Brotli(decoder) => decoder.get_ref(),
        }
    }

    pub(super) fn incoming_mut(&mut self) -> &mut Incoming {
        match self {
            Decoder::Plain(incoming) => incoming,
            Decoder::Gzip(decoder) => &mut decoder.get_mut().incoming,
            Decoder::Deflate(decoder) => decoder.get_mut(),
            Decoder::Brotli(decoder) => decoder.get_mut(),
        }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let result = match self {
            Decoder::Plain(incoming) => return Ok(incoming.read(buffer)?),
            Decoder::Gzip(decoder) => {
                decoder.get_mut().is_wanted = true;
                decoder.read(buffer)
            }
            Decoder::Deflate(decoder) => decoder.read(buffer),
            Decoder::Brotli(decoder) => decoder.read(buffer),
        };
        match result {
            Ok(0) if !buffer.is_empty() => {
                // What is compressed may end before the body does.
                self.incoming_mut().drain();
                Ok(0)
            }
            Ok(amount) => Ok(amount),
            Err(error) => self.explain(error),
        }
    }

    fn explain(&mut self, error: io::Error) -> Result<usize, Error> {
        // Nothing at all is said to be compressed by servers that compress whatever there is.
        let incoming = self.incoming();
        if incoming.has_ended() && !incoming.is_broken() && incoming.bytes() == 0 {
            return Ok(0);
        }
        let error = match error.downcast::<Error>() {
            Ok(ours) => ours,
            Err(error) => Error::Decode(error),
        };
        self.incoming_mut().fail(&error);
        Err(error)
    }
}

impl Held {
    fn new(incoming: Incoming) -> Held {
        Held {
            incoming,
            is_wanted: false,
        }
    }
}

impl Read for Held {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.is_wanted {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.incoming.read(buffer)
    }
}

/// The text of a body: as the content type says, else as a byte order mark does, else UTF-8. What is not proper is
/// replaced.
pub(super) fn text(bytes: Vec<u8>, content_type: Option<&str>) -> String {
    let declared = content_type.and_then(charset).and_then(Encoding::for_label);
    let marked = || Encoding::for_bom(&bytes).map(|(encoding, _)| encoding);
    let encoding = declared.or_else(marked).unwrap_or(UTF_8);
    decode(bytes, encoding)
}

/// The text of a body in the charset of that name.
pub(super) fn text_with(bytes: Vec<u8>, label: &str) -> Result<String, Error> {
    let encoding = Encoding::for_label(label.as_bytes())
        .ok_or_else(|| Error::Request(format!("there is no charset {label:?}")))?;
    Ok(decode(bytes, encoding))
}

fn decode(bytes: Vec<u8>, encoding: &'static Encoding) -> String {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    // The usual case, without a copy.
    if encoding == UTF_8 && !bytes.starts_with(MARK) {
        return String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    }
    let (text, _) = encoding.decode_with_bom_removal(&bytes);
    text.into_owned()
}

/// The charset that a content type names.
fn charset(content_type: &str) -> Option<&[u8]> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        is_charset.then(|| value.trim().trim_matches('"').as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_then_the_mark_then_utf_8() {
        let text = |bytes: &[u8], content_type| text(bytes.to_vec(), content_type);
        let latin = Some("text/html; Charset=\"iso-8859-1\"");
        assert_eq!(text(b"caf\xe9", latin), "café");
        assert_eq!(text(b"\xef\xbb\xbfcaf\xc3\xa9", None), "café");
        assert_eq!(text(b"\xff\xfec\x00a\x00f\x00\xe9\x00", None), "café");
        assert_eq!(text(b"caf\xc3\xa9", Some("text/plain")), "café");
        let utf_8 = Some("text/plain; charset=utf-8");
        assert_eq!(text(b"\xef\xbb\xbfcaf\xc3\xa9", utf_8), "café");
        let unknown = Some("text/plain; charset=klingon");
        assert_eq!(text(b"caf\xc3\xa9", unknown), "café");
        assert_eq!(text(b"caf\xe9!", None), "caf\u{fffd}!");
    }

    #[test]
    fn a_charset_of_ones_own() {
        let bytes = || b"\x8f\xbc".to_vec();
        assert_eq!(text_with(bytes(), "shift_jis").unwrap(), "松");
        assert!(matches!(
            text_with(bytes(), "klingon"),
            Err(Error::Request(_))
        ));
    }
}
