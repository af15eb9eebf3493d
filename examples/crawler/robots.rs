//! robots.txt, fetched once for each host, obeyed by RFC 9309.

use crate::outcome::{Failure, Outcome, Skip};
use robotxt::{Robots, robots_url};
use std::collections::HashMap;
use sylvan::http::{Error, Session};
use sylvan::sync::{Arc, Mutex};
use url::{Origin, Url};

/// The rules of all hosts met so far.
pub struct RobotsRules {
    session: Session,
    product: String,
    hosts: Mutex<HashMap<Origin, Arc<Host>>>,
}

/// The rules of a host, once they are known. Workers that need them wait for the one that fetches them.
type Host = Mutex<Option<Arc<Rules>>>;
type Rules = Result<Robots, Failure>;

impl RobotsRules {
    /// Rules for the crawler that calls itself `user_agent`: its product name counts, without the version.
    pub fn new(session: Session, user_agent: &str) -> Self {
        let product = user_agent
            .split(['/', ' '])
            .next()
            .unwrap_or_default()
            .to_owned();
        let hosts = Mutex::default();
        Self {
            session,
            product,
            hosts,
        }
    }

    /// Tells why `url` must not be fetched, if so.
    pub fn objection(&self, url: &Url) -> Option<Outcome> {
        match &*self.rules_for(url) {
            Ok(rules) if rules.is_url_allowed(url) => None,
            Ok(_) => Some(Outcome::Skipped(Skip::Robots)),
            // A host that cannot be asked allows nothing, says the RFC: its pages fail as robots.txt did.
            Err(failure) => Some(Outcome::Failed(failure.clone())),
        }
    }

    fn rules_for(&self, url: &Url) -> Arc<Rules> {
        let host = Arc::clone(lock(&self.hosts).entry(url.origin()).or_default());
        let mut rules = lock(&host);
        Arc::clone(rules.get_or_insert_with(|| Arc::new(self.fetch(url))))
    }

    fn fetch(&self, url: &Url) -> Rules {
        let Ok(address) = robots_url(url) else {
            return Ok(Robots::allow_all());
        };
        let response = match self.session.get(address).redirects(5).send() {
            Err(Error::TooManyRedirects(_)) => return Ok(Robots::allow_all()),
            response => response?,
        };
        match response.status().as_u16() {
            200..300 => Ok(Robots::from_reader(response, &*self.product)?),
            status @ 500.. => Err(Failure::Status(status)),
            // There are no rules.
            _ => Ok(Robots::allow_all()),
        }
    }
}

/// A worker that died has left rules behind that are still right.
fn lock<T>(mutex: &Mutex<T>) -> sylvan::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
