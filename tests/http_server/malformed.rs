//! Requests that break the rules, and what they are answered.

use crate::support::Numbers;

/// Its name, what is sent before the client shuts down its sending half, and the status; `None`: the connection is closed without
/// a whole answer.
pub const TABLE: &[(&str, &[u8], Option<u16>)] = &[
    ("nothing", b"", None),
    ("an empty line", b"\r\n", None),
    (
        "empty lines, then a request",
        b"\r\n\r\nPOST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
        Some(200),
    ),
    ("noise", b"\x00\x01\x02\x03\xff\xfe\r\n\r\n", Some(400)),
    (
        "a TLS hello",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        Some(400),
    ),
    (
        "HTTP/2's preface",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        None,
    ),
    ("no version", b"GET /\r\n\r\n", Some(400)),
    ("version 0.9", b"GET / HTTP/0.9\r\n\r\n", Some(400)),
    ("version 1.2", b"GET / HTTP/1.2\r\n\r\n", Some(400)),
    ("version 3", b"GET / HTTP/3.0\r\n\r\n", Some(400)),
    (
        "a version in small letters",
        b"GET / http/1.1\r\nhost: a\r\n\r\n",
        Some(400),
    ),
    (
        "a version and more",
        b"GET / HTTP/1.1 x\r\nhost: a\r\n\r\n",
        Some(400),
    ),
    ("no target", b"GET HTTP/1.1\r\nhost: a\r\n\r\n", Some(400)),
    (
        "an empty target",
        b"GET  HTTP/1.1\r\nhost: a\r\n\r\n",
        Some(400),
    ),
    (
        "a space in the target",
        b"GET /a b HTTP/1.1\r\nhost: a\r\n\r\n",
        Some(400),
    ),
    (
        "a tab in the target",
        b"GET /a\tb HTTP/1.1\r\nhost: a\r\n\r\n",
        Some(400),
    ),
    (
        "a null byte in the target",
        b"GET /a\0b HTTP/1.1\r\nhost: a\r\n\r\n",
        Some(400),
    ),
    (
        "a control byte in the target",
        b"GET /\x1b HTTP/1.1\r\nhost: a\r\n\r\n",
        Some(400),
    ),
    (
        "a target without a slash",
        b"GET a/b HTTP/1.1\r\nhost: a\r\n\r\n",
        Some(400),
    ),
    ("no method", b" / HTTP/1.1\r\nhost: a\r\n\r\n", Some(400)),
    (
        "a method with brackets",
        b"G(T / HTTP/1.1\r\nhost: a\r\n\r\n",
        Some(400),
    ),
    (
        "a method with a null byte",
        b"G\0T / HTTP/1.1\r\nhost: a\r\n\r\n",
        Some(400),
    ),
    ("only a method", b"GET", None),
    ("half a request line", b"GET / HTT", None),
    (
        "a head without its end",
        b"GET / HTTP/1.1\r\nhost: a\r\n",
        None,
    ),
    (
        "a carriage return alone",
        b"GET / HTTP/1.1\rhost: a\r\n\r\n",
        Some(400),
    ),
    (
        "a header without a colon",
        b"GET / HTTP/1.1\r\nhost a\r\n\r\n",
        Some(400),
    ),
    (
        "a header without a name",
        b"GET / HTTP/1.1\r\n: a\r\n\r\n",
        Some(400),
    ),
    (
        "a space before the colon",
        b"GET / HTTP/1.1\r\nhost : a\r\n\r\n",
        Some(400),
    ),
    (
        "a space in a header's name",
        b"GET / HTTP/1.1\r\nho st: a\r\n\r\n",
        Some(400),
    ),
    (
        "a control byte in a header's name",
        b"GET / HTTP/1.1\r\nho\x07st: a\r\n\r\n",
        Some(400),
    ),
    (
        "letters beyond ASCII in a header's name",
        "GET / HTTP/1.1\r\nh\u{f6}st: a\r\n\r\n".as_bytes(),
        Some(400),
    ),
    (
        "a null byte in a header's value",
        b"GET / HTTP/1.1\r\nhost: a\0b\r\n\r\n",
        Some(400),
    ),
    (
        "a carriage return in a header's value",
        b"GET / HTTP/1.1\r\nhost: a\rb\r\n\r\n",
        Some(400),
    ),
    (
        "a header that is folded",
        b"GET / HTTP/1.1\r\nx: a\r\n b\r\n\r\n",
        Some(400),
    ),
    (
        "a first header that begins with a space",
        b"GET / HTTP/1.1\r\n host: a\r\n\r\n",
        Some(400),
    ),
    (
        "a length that is no number",
        b"POST / HTTP/1.1\r\ncontent-length: five\r\n\r\nhello",
        Some(400),
    ),
    (
        "a length with a sign",
        b"POST / HTTP/1.1\r\ncontent-length: +5\r\n\r\nhello",
        Some(400),
    ),
    (
        "a length below zero",
        b"POST / HTTP/1.1\r\ncontent-length: -5\r\n\r\nhello",
        Some(400),
    ),
    (
        "a length that overflows",
        b"POST / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\nhello",
        Some(400),
    ),
    (
        "an empty length",
        b"POST / HTTP/1.1\r\ncontent-length: \r\n\r\nhello",
        Some(400),
    ),
    (
        "two lengths in one header",
        b"POST / HTTP/1.1\r\ncontent-length: 5, 6\r\n\r\nhello",
        Some(400),
    ),
    (
        "two lengths",
        b"POST / HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        Some(400),
    ),
    (
        "a length and chunks, of HTTP/1.0",
        b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        Some(400),
    ),
    (
        "a coding that is unknown",
        b"POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\nhello",
        Some(400),
    ),
    (
        "chunks that are not the last coding",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        Some(400),
    ),
    (
        "a chunk's length that is no number",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n",
        Some(400),
    ),
    (
        "a chunk's length that overflows",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        Some(400),
    ),
    (
        "a chunk that is longer than it says",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
        Some(400),
    ),
    (
        "chunks without their end",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
        Some(400),
    ),
    (
        "a body without its end",
        b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nhel",
        Some(400),
    ),
    (
        "a body that is too long",
        b"POST / HTTP/1.1\r\ncontent-length: 5000000\r\n\r\nhel",
        Some(413),
    ),
];

/// What is mutated.
const CORPUS: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET /a/b?c=d&e=%20 HTTP/1.1\r\nhost: example.org\r\naccept: */*\r\nconnection: close\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nhi",
    b"HEAD / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: a\r\nx: y, z\r\n\r\n",
    b"CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n",
    b"GET http://a/b HTTP/1.1\r\nhost: a\r\n\r\nGET /second HTTP/1.1\r\nhost: a\r\n\r\n",
];

/// Bytes that mean something.
const SIGNS: &[u8] = b"\r\n \t:;,/?%#\0\x7f\xff019afgzHTP.-+\"";

/// One of the corpus, changed in a few places.
pub fn mutated(numbers: &mut Numbers) -> Vec<u8> {
    let mut below = |limit: usize| numbers.below(limit as u64) as usize;
    let mut request = CORPUS[below(CORPUS.len())].to_vec();
    for _ in 0..=below(4) {
        let at = below(request.len().max(1)).min(request.len().saturating_sub(1));
        if request.is_empty() {
            break;
        }
        match below(7) {
            0 => request[at] = SIGNS[below(SIGNS.len())],
            1 => request.insert(at, SIGNS[below(SIGNS.len())]),
            2 => drop(request.remove(at)),
            3 => request.truncate(at),
            4 => {
                let other = CORPUS[below(CORPUS.len())];
                let from = below(other.len());
                request.splice(at.., other[from..].iter().copied());
            }
            5 => {
                let end = (at + 1 + below(20)).min(request.len());
                let piece = request[at..end].to_vec();
                request.splice(at..at, piece);
            }
            _ => request[at] ^= 1 << below(8),
        }
    }
    request
}
