//! The links of a page: its charset, its base, and every URL it leads to.

use crate::html::{self, Tag};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};
use std::borrow::Cow;
use std::collections::HashSet;
use url::{Position, Url};

/// The distinct web addresses that the page at `address` links to, in their order, normalised and without fragments.
pub fn extract(body: &[u8], content_type: Option<&str>, address: &Url) -> Vec<Url> {
    let (text, encoding, _) = encoding_of(body, content_type).decode(body);
    let mut found = Found::default();
    html::scan(text.as_bytes(), |tag| found.visit(tag));
    found.resolve(address, encoding)
}

/// The same address in the one spelling that all its spellings share: no fragment, no needless percent-encoding.
pub fn normalise(mut url: Url) -> Url {
    url.set_fragment(None);
    let tail = &url[Position::BeforePath..];
    if tail.contains('%') {
        let plain = decode_unreserved(tail);
        if let Ok(normalised) = url.join(&plain) {
            return normalised;
        }
    }
    url
}

/// References as they stand on the page. They are resolved at the end, because a base counts for the whole page; once
/// each, because pages say the same thing often: the Rust documentation links to each of its targets six times a page.
#[derive(Default)]
struct Found {
    base: Option<String>,
    known: HashSet<String>,
    references: Vec<String>,
}

impl Found {
    fn visit(&mut self, tag: &Tag) {
        let reference = match tag.name() {
            b"a" | b"area" => tag.attribute("href"),
            b"frame" | b"iframe" => tag.attribute("src"),
            b"meta" => refresh_target(tag),
            b"base" => {
                self.base = self
                    .base
                    .take()
                    .or_else(|| tag.attribute("href").map(String::from));
                None
            }
            _ => None,
        };
        let reference = reference.map(|reference| reference.split('#').next().unwrap_or_default());
        if let Some(reference) = reference.filter(|reference| !reference.is_empty())
            && !self.known.contains(reference)
        {
            self.known.insert(reference.to_owned());
            self.references.push(reference.to_owned());
        }
    }

    fn resolve(self, address: &Url, encoding: &'static Encoding) -> Vec<Url> {
        let base = self.base.and_then(|base| address.join(&base).ok());
        // Queries are sent in the charset of the page, by the rules for HTML.
        let encode: &dyn Fn(&str) -> Cow<'_, [u8]> = &|query| encoding.encode(query).0;
        let parser = Url::options()
            .base_url(Some(base.as_ref().unwrap_or(address)))
            .encoding_override((encoding.output_encoding() != UTF_8).then_some(encode));
        let mut known = HashSet::new();
        let mut urls: Vec<Url> = self
            .references
            .iter()
            .filter_map(|reference| parser.parse(reference).ok())
            .collect();
        urls.retain(|url| matches!(url.scheme(), "http" | "https"));
        urls.into_iter()
            .map(normalise)
            .filter(|url| known.insert(url.clone()))
            .collect()
    }
}

/// The address in `<meta http-equiv=refresh content="0; url=address">`.
fn refresh_target(tag: &Tag) -> Option<&str> {
    let is_refresh = tag.attribute("http-equiv")?.eq_ignore_ascii_case("refresh");
    let (_delay, target) = tag.attribute("content")?.split_once([';', ','])?;
    let target = target.trim_start();
    let target = match target.get(..3) {
        Some(start) if start.eq_ignore_ascii_case("url") => {
            target[3..].trim_start().strip_prefix('=')?
        }
        _ => target,
    };
    is_refresh.then(|| target.trim().trim_matches(['"', '\'']))
}

/// What the server says, else what the page says near its top, else UTF-8 if it is that, else what browsers assume.
/// A byte order mark beats them all; the decoder sees to it.
fn encoding_of(body: &[u8], content_type: Option<&str>) -> &'static Encoding {
    content_type
        .and_then(charset)
        .or_else(|| declared_encoding(&body[..body.len().min(1024)]))
        .unwrap_or_else(|| match std::str::from_utf8(body) {
            Ok(_) => UTF_8,
            Err(_) => WINDOWS_1252,
        })
}

fn declared_encoding(top: &[u8]) -> Option<&'static Encoding> {
    let mut declared = None;
    html::scan(top, |tag| {
        if tag.name() == b"meta" && declared.is_none() {
            let label = tag
                .attribute("charset")
                .map(str::as_bytes)
                .and_then(Encoding::for_label);
            let is_type = || {
                tag.attribute("http-equiv")
                    .is_some_and(|what| what.eq_ignore_ascii_case("content-type"))
            };
            declared = label.or_else(|| {
                tag.attribute("content")
                    .filter(|_| is_type())
                    .and_then(charset)
            });
        }
    });
    // What could be read as ASCII is not UTF-16, whatever it says.
    declared.map(|encoding| match encoding {
        _ if encoding == UTF_16LE || encoding == UTF_16BE => UTF_8,
        _ if encoding == X_USER_DEFINED => WINDOWS_1252,
        _ => encoding,
    })
}

/// The charset of a content type such as `text/html; charset="utf-8"`.
fn charset(content_type: &str) -> Option<&'static Encoding> {
    let mut parameters = content_type.split(';').skip(1);
    parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        Encoding::for_label(value.trim().trim_matches(['"', '\'']).as_bytes())
            .filter(|_| is_charset)
    })
}

/// `%7Euser` and `~user` are one address, says RFC 3986; `%2F` and `/` are two.
fn decode_unreserved(tail: &str) -> String {
    let mut parts = tail.split('%');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                plain.push(char::from(byte));
                plain.push_str(&part[2..]);
            }
            Some(_) => {
                plain.push('%');
                plain.push_str(&part[..2].to_ascii_uppercase());
                plain.push_str(&part[2..]);
            }
            None => {
                plain.push('%');
                plain.push_str(part);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links_of(body: &[u8], content_type: &str) -> Vec<String> {
        let address = Url::parse("http://site/dir/page.html").unwrap();
        let links = extract(body, Some(content_type), &address);
        links.into_iter().map(String::from).collect()
    }

    fn links(body: &str) -> Vec<String> {
        links_of(body.as_bytes(), "text/html")
    }

    #[test]
    fn resolves_against_the_page_or_its_base() {
        assert_eq!(
            links("<a href=x><a href=../y#z><a href=//other/>"),
            ["http://site/dir/x", "http://site/y", "http://other/"]
        );
        assert_eq!(
            links("<a href=x><base href=/base/><base href=/second/>"),
            ["http://site/base/x"]
        );
    }

    #[test]
    fn names_each_target_once() {
        assert_eq!(
            links("<a href=x><a href=x#y><a href=./x><a href=%78><a href=#z><a href='\tx\n'>"),
            ["http://site/dir/x"]
        );
        assert_eq!(
            links("<a href='/a%2fb?%7e'><a href=/a/b%><a href=/%zz>"),
            ["http://site/a%2Fb?~", "http://site/a/b%", "http://site/%zz"]
        );
    }

    #[test]
    fn follows_frames_and_refreshes_but_only_on_the_web() {
        assert_eq!(
            links(
                "<iframe src=a></iframe><frame src=b><area href=c><meta http-equiv=REFRESH content='0;URL=\"d\"'>\
                 <meta name=x content='0;url=no'><a href=mailto:me@x><a href=javascript:x()><a href='http://[bad'>"
            ),
            ["a", "b", "c", "d"].map(|name| format!("http://site/dir/{name}"))
        );
    }

    #[test]
    fn knows_charsets() {
        let expected = ["http://site/dir/%C3%A9?%E9"];
        assert_eq!(
            links_of(b"<a href=\xe9?\xe9>", "text/html; charset=\"latin1\""),
            expected
        );
        assert_eq!(
            links_of(b"<meta charset=iso-8859-1><a href=\xe9?\xe9>", "text/html"),
            expected
        );
        assert_eq!(links_of(b"<a href=\xe9?\xe9>", "text/html"), expected);
        let utf_8 = ["http://site/dir/%C3%A9?%C3%A9"];
        assert_eq!(links("<a href=é?é>"), utf_8);
        assert_eq!(links("\u{feff}<meta charset=latin1><a href=é?é>"), utf_8);
        assert_eq!(links("<meta charset=utf-16><a href=é?é>"), utf_8);
    }
}
