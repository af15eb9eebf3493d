//! A small HTTP client and server for blocking-style code, over whatever reads and writes: the
//! hand-written peers share it, so that they differ in what waits and in nothing else.

use crate::{BUFFER, HELLO};
use httparse::Status;
use std::io::{self, Read, Write};

/// Answers requests until the client leaves.
///
/// # Errors
///
/// What the connection says.
pub fn serve_hello<S: Read + Write>(stream: &mut S) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    let mut filled = 0;
    loop {
        let count = stream.read(&mut buffer[filled..])?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        while let Some(length) = request_length(&buffer[..filled])? {
            stream.write_all(HELLO)?;
            buffer.copy_within(length..filled, 0);
            filled -= length;
        }
    }
}

/// The length of the request that `bytes` begins with, if it is there in whole.
///
/// # Errors
///
/// If it is no request.
pub fn request_length(bytes: &[u8]) -> io::Result<Option<usize>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut headers = [httparse::EMPTY_HEADER; 16];
    match httparse::Request::new(&mut headers).parse(bytes) {
        Ok(Status::Complete(length)) => Ok(Some(length)),
        Ok(Status::Partial) if bytes.len() < BUFFER => Ok(None),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The request for the page, on a connection that is to be kept or not.
#[must_use]
pub fn request(fresh: bool) -> &'static [u8] {
    if fresh {
        b"GET /page HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    } else {
        b"GET /page HTTP/1.1\r\nhost: localhost\r\n\r\n"
    }
}

/// The lengths of a response's head and of its body, if the head is there in whole.
///
/// # Errors
///
/// If it is no response, or one without a length.
pub fn response_lengths(bytes: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes) {
        Ok(Status::Complete(head)) => head,
        Ok(Status::Partial) => return Ok(None),
        Err(_) => return Err(io::ErrorKind::InvalidData.into()),
    };
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| str::from_utf8(header.value).ok()?.parse().ok());
    let length = length.ok_or(io::ErrorKind::InvalidData)?;
    Ok(Some((head, length)))
}

/// Fetches the page over a connection and returns the length of its body. `buffer` is to be kept for
/// the next fetch.
///
/// # Errors
///
/// What the connection says.
pub fn fetch<S: Read + Write>(
    stream: &mut S,
    fresh: bool,
    buffer: &mut Vec<u8>,
) -> io::Result<usize> {
    stream.write_all(request(fresh))?;
    buffer.resize(16 << 10, 0);
    let mut filled = 0;
    let mut wanted = None;
    while wanted.is_none_or(|wanted| filled < wanted) {
        if filled == buffer.len() {
            buffer.resize(2 * filled, 0);
        }
        let count = stream.read(&mut buffer[filled..])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += count;
        if wanted.is_none() {
            wanted = response_lengths(&buffer[..filled])?.map(|(head, body)| head + body);
        }
    }
    let (_, body) = response_lengths(&buffer[..filled])?.ok_or(io::ErrorKind::InvalidData)?;
    Ok(body)
}
