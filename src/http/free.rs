//! Requests without a session of one's own.

use ureq_proto::http::Method;

use super::request::RequestBuilder;
use super::session::Session;
use crate::sync::LazyLock;

/// The session of those who have none. They know nothing of each other, so it keeps no cookies.
static SESSION: LazyLock<Session> = LazyLock::new(|| {
    let session = Session::builder().cookies(false).build();
    session.expect("the defaults are proper")
});

/// A request by `GET`, on a session that all share who have none of their own: it has the defaults, but keeps no
/// cookies. Nothing happens before [`send`](RequestBuilder::send).
///
/// ```no_run
/// # fn main() -> Result<(), sylvan::http::Error> {
/// let page = sylvan::http::get("http://example.org/").send()?.text()?;
/// # Ok(())
/// # }
/// ```
pub fn get(url: impl AsRef<str>) -> RequestBuilder {
    SESSION.get(url)
}

/// As [`get`], by `POST`.
pub fn post(url: impl AsRef<str>) -> RequestBuilder {
    SESSION.post(url)
}

/// As [`get`], by `PUT`.
pub fn put(url: impl AsRef<str>) -> RequestBuilder {
    SESSION.put(url)
}

/// As [`get`], by `PATCH`.
pub fn patch(url: impl AsRef<str>) -> RequestBuilder {
    SESSION.patch(url)
}

/// As [`get`], by `DELETE`.
pub fn delete(url: impl AsRef<str>) -> RequestBuilder {
    SESSION.delete(url)
}

/// As [`get`], by `HEAD`.
pub fn head(url: impl AsRef<str>) -> RequestBuilder {
    SESSION.head(url)
}

/// As [`get`], by `OPTIONS`.
pub fn options(url: impl AsRef<str>) -> RequestBuilder {
    SESSION.options(url)
}

/// As [`get`], by whatever method.
pub fn request(method: impl TryInto<Method>, url: impl AsRef<str>) -> RequestBuilder {
    SESSION.request(method, url)
}
