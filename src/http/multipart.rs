//! Forms with files: `multipart/form-data`, as RFC 7578 has it.

use std::collections::hash_map::RandomState;
use std::fmt::{self, Write as _};
use std::hash::{BuildHasher, Hasher};
use std::io::Read;

use super::body::Body;

/// A form whose fields may be files; for [`RequestBuilder::multipart`](super::RequestBuilder::multipart).
///
/// ```
/// use sylvan::http::multipart::{Form, Part};
///
/// let form = Form::new()
///     .text("title", "Stacks")
///     .part("file", Part::bytes("page 1").file_name("stacks.txt").mime("text/plain"));
/// # let _ = form;
/// ```
#[derive(Default)]
pub struct Form {
    fields: Vec<(String, Part)>,
}

/// The value of a field.
pub struct Part {
    content: Content,
    file_name: Option<String>,
    mime: Option<String>,
}

enum Content {
    Bytes(Vec<u8>),
    Stream(Box<dyn Read + Send>, Option<u64>),
}

impl Form {
    /// A form without fields.
    #[must_use]
    pub fn new() -> Form {
        Form::default()
    }

    /// One more field, with a text.
    #[must_use]
    pub fn text(self, name: impl Into<String>, text: impl Into<String>) -> Form {
        self.part(name, Part::bytes(text.into()))
    }

    /// One more field.
    #[must_use]
    pub fn part(mut self, name: impl Into<String>, part: Part) -> Form {
        self.fields.push((name.into(), part));
        self
    }

    /// The body, and the content type that tells its boundary.
    pub(super) fn into_body(self) -> (Body, String) {
        let boundary = boundary();
        let mut body = Body::default();
        for (name, part) in self.fields {
            body.push_bytes(part.head(&boundary, &name).into_bytes());
            match part.content {
                Content::Bytes(bytes) => body.push_bytes(bytes),
                Content::Stream(stream, length) => body.push_stream(stream, length),
            }
            body.push_bytes(b"\r\n".to_vec());
        }
        body.push_bytes(format!("--{boundary}--\r\n").into_bytes());
        (body, format!("multipart/form-data; boundary={boundary}"))
    }
}

impl Part {
    /// What is in memory.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Part {
        Part::of(Content::Bytes(bytes.into()))
    }

    /// What is read while it is sent. Without a length the request is sent in chunks.
    pub fn reader(reader: impl Read + Send + 'static, length: Option<u64>) -> Part {
        Part::of(Content::Stream(Box::new(reader), length))
    }

    fn of(content: Content) -> Part {
        Part {
            content,
            file_name: None,
            mime: None,
        }
    }

    /// The name of the file that it is.
    #[must_use]
    pub fn file_name(mut self, name: impl Into<String>) -> Part {
        self.file_name = Some(name.into());
        self
    }

    /// What it is, as `image/png`.
    #[must_use]
    pub fn mime(mut self, mime: impl Into<String>) -> Part {
        self.mime = Some(mime.into());
        self
    }

    fn head(&self, boundary: &str, name: &str) -> String {
        let mut head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"");
        escape(&mut head, name);
        if let Some(file_name) = &self.file_name {
            head.push_str("\"; filename=\"");
            escape(&mut head, file_name);
        }
        head.push_str("\"\r\n");
        if let Some(mime) = &self.mime {
            // A line break in it would begin a header, or the content.
            let mime = mime.replace(['\r', '\n'], " ");
            let _ = write!(head, "Content-Type: {mime}\r\n");
        }
        head.push_str("\r\n");
        head
    }
}

/// As browsers do.
fn escape(head: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '"' => head.push_str("%22"),
            '\r' => head.push_str("%0D"),
            '\n' => head.push_str("%0A"),
            other => head.push(other),
        }
    }
}

/// 128 bits that no content is likely to have in it: the keys of a hash map are random.
fn boundary() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("sylvan-{:016x}{:016x}", random(), random())
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.fields.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("file_name", &self.file_name)
            .field("mime", &self.mime)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_written_as_browsers_do() {
        let file = Part::bytes("2").file_name("a \"b\"\r\n.txt").mime("x/y");
        let (mut body, content_type) = Form::new().text("one", "1").part("two", file).into_body();
        let boundary = content_type.split_once("boundary=").unwrap().1;
        let mut text = String::new();
        body.read_to_string(&mut text).unwrap();
        assert_eq!(
            text.replace(boundary, "B"),
            "--B\r\nContent-Disposition: form-data; name=\"one\"\r\n\r\n1\r\n\
             --B\r\nContent-Disposition: form-data; name=\"two\"; filename=\"a %22b%22%0D%0A.txt\"\r\n\
             Content-Type: x/y\r\n\r\n2\r\n--B--\r\n"
        );
        assert_ne!(content_type, Form::new().into_body().1);
    }
}
