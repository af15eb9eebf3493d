//! Where a response leads, and what becomes of the request on its way there.

use ureq_proto::http::{HeaderMap, Method, StatusCode, header};
use url::Url;

/// The address that a response leads to, if it is a redirect to another page of the web.
pub(super) fn target(url: &Url, status: StatusCode, headers: &HeaderMap) -> Option<Url> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = headers.get(header::LOCATION)?;
    let location = String::from_utf8_lossy(location.as_bytes());
    let mut target = url.join(&location).ok()?;
    if !matches!(target.scheme(), "http" | "https") {
        return None;
    }
    if target.fragment().is_none() {
        target.set_fragment(url.fragment());
    }
    Some(target)
}

/// The method by which it goes on: 303 is always fetched, 301 and 302 are after a POST, as browsers do.
pub(super) fn method(status: StatusCode, method: &Method) -> Method {
    match status.as_u16() {
        301 | 302 if method == Method::POST => Method::GET,
        303 if method != Method::HEAD => Method::GET,
        _ => method.clone(),
    }
}

/// Headers that tell of a body, when there is no body any more.
pub(super) fn forget_body(headers: &mut HeaderMap) {
    for name in [
        header::CONTENT_ENCODING,
        header::CONTENT_LANGUAGE,
        header::CONTENT_LENGTH,
        header::CONTENT_LOCATION,
        header::CONTENT_TYPE,
        header::EXPECT,
        header::TRANSFER_ENCODING,
    ] {
        headers.remove(name);
    }
}

/// Headers that are nobody else's business, when it goes to another server.
pub(super) fn forget_secrets(headers: &mut HeaderMap, from: &Url, to: &Url) {
    if from.origin() == to.origin() {
        return;
    }
    for name in [
        header::AUTHORIZATION,
        header::COOKIE,
        header::PROXY_AUTHORIZATION,
        header::WWW_AUTHENTICATE,
        // The old server's name.
        header::HOST,
    ] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq_proto::http::HeaderValue;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn locations_are_resolved_as_browsers_do() {
        for (location, expected) in [
            ("/b?c", Some("http://host/b?c#f")),
            ("x", Some("http://host/a/x#f")),
            ("?q#g", Some("http://host/a/p?q#g")),
            ("//other/x", Some("http://other/x#f")),
            ("https://other:8443/", Some("https://other:8443/#f")),
            ("/ü b", Some("http://host/%C3%BC%20b#f")),
            ("ftp://host/", None),
            ("http://[", None),
        ] {
            let mut headers = HeaderMap::new();
            let location_bytes = HeaderValue::from_bytes(location.as_bytes()).unwrap();
            headers.insert(header::LOCATION, location_bytes);
            let base = url("http://host/a/p?q1#f");
            let target = target(&base, StatusCode::FOUND, &headers);
            assert_eq!(target.map(String::from).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn methods_change_by_the_standard() {
        for (status, from, to) in [
            (301, Method::POST, Method::GET),
            (302, Method::POST, Method::GET),
            (301, Method::PUT, Method::PUT),
            (302, Method::DELETE, Method::DELETE),
            (303, Method::PUT, Method::GET),
            (303, Method::HEAD, Method::HEAD),
            (307, Method::POST, Method::POST),
            (308, Method::PATCH, Method::PATCH),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(method(status, &from), to, "{status} after {from}");
        }
    }

    #[test]
    fn secrets_stay_with_their_origin() {
        for (to, stays) in [
            ("https://host/other", true),
            ("https://host:443/", true),
            ("http://host/", false),
            ("https://host:8443/", false),
            ("https://sub.host/", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, "secret".parse().unwrap());
            headers.insert(header::ACCEPT, "*/*".parse().unwrap());
            forget_secrets(&mut headers, &url("https://host/"), &url(to));
            assert_eq!(headers.contains_key(header::AUTHORIZATION), stays, "{to}");
            assert!(headers.contains_key(header::ACCEPT));
        }
    }
}
