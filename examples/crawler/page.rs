//! Fetches one page: the request, its answer, and the body up to a limit.

use crate::links;
use crate::outcome::{Failure, Outcome, Skip, Visit};
use std::io::Read;
use std::time::Instant;
use sylvan::http::{Response, Session};
use url::Url;

/// One worker's client. Its body buffer serves page after page.
pub struct Fetcher {
    session: Session,
    largest_body: u64,
    body: Vec<u8>,
}

impl Fetcher {
    pub fn new(session: Session, largest_body: u64) -> Self {
        let body = Vec::new();
        Self {
            session,
            largest_body,
            body,
        }
    }

    /// Fetches `url` and, if it is an HTML page, finds its links.
    pub fn visit(&mut self, url: &Url) -> Visit {
        let begun = Instant::now();
        let mut visit = Visit::cancelled();
        let content_type = self.fetch(url, &mut visit);
        visit.elapsed = Some(begun.elapsed());
        visit.outcome = match content_type {
            Ok(content_type) => {
                let links = links::extract(&self.body, content_type.as_deref(), url);
                visit.links = links.len();
                Outcome::Page(links)
            }
            Err(outcome) => outcome,
        };
        self.forget_large_body();
        visit
    }

    /// Reads an HTML page into `self.body` and returns its content type, or else what there is instead of a page.
    fn fetch(&mut self, url: &Url, visit: &mut Visit) -> Result<Option<String>, Outcome> {
        self.body.clear();
        let mut response = self
            .session
            .get(url)
            .send()
            .map_err(|error| Outcome::Failed(error.into()))?;
        let status = response.status();
        visit.status = Some(status.as_u16());
        if !status.is_success() {
            read_small_body(&mut response);
            return Err(match status.is_redirection() {
                true => redirect(url, &response),
                false => Outcome::Failed(Failure::Status(status.as_u16())),
            });
        }
        let content_type = response.header("content-type").map(String::from);
        if let Some(content_type) = content_type
            .as_deref()
            .filter(|content_type| !is_html(content_type))
        {
            return Err(Outcome::Skipped(Skip::NotHtml(content_type.to_owned())));
        }
        let result = self.read_body(&mut response);
        visit.bytes = self.body.len() as u64;
        result.map(|()| content_type)
    }

    fn read_body(&mut self, body: &mut Response) -> Result<(), Outcome> {
        let too_large = || Err(Outcome::Skipped(Skip::TooLarge(self.largest_body)));
        let announced = body.content_length().unwrap_or(0);
        if announced > self.largest_body {
            return too_large();
        }
        self.body.reserve(usize::try_from(announced).unwrap_or(0));
        // One byte past the limit tells a body that is too large from one that just fits.
        let mut reader = body.take(self.largest_body + 1);
        match reader.read_to_end(&mut self.body) {
            Ok(length) if length as u64 > self.largest_body => too_large(),
            Ok(_) => Ok(()),
            Err(error) => Err(Outcome::Failed(error.into())),
        }
    }

    /// A hundred workers must not each hold on to the largest page they ever saw.
    fn forget_large_body(&mut self) {
        const WORTH_KEEPING: usize = 256 * 1024;
        if self.body.capacity() > WORTH_KEEPING {
            self.body = Vec::new();
        }
    }
}

/// A body read to its end leaves a connection that can be used again; beyond a size a new one is cheaper.
fn read_small_body(response: &mut Response) {
    const SMALL: u64 = 64 * 1024;
    let _ = std::io::copy(&mut response.take(SMALL), &mut std::io::sink());
}

fn redirect(url: &Url, response: &Response) -> Outcome {
    response
        .header("location")
        .and_then(|location| url.join(location).ok())
        .filter(|target| matches!(target.scheme(), "http" | "https"))
        .map_or(Outcome::Failed(Failure::BadRedirect), |target| {
            Outcome::Redirect(links::normalise(target))
        })
}

fn is_html(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    ["text/html", "application/xhtml+xml"]
        .iter()
        .any(|html| essence.eq_ignore_ascii_case(html))
}
