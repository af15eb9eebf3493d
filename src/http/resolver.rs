//! Name lookups for ureq, through the pool that all of sylvan's lookups go to.
//!
//! ureq's own resolver starts an OS thread for a lookup that has a time-out.

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::net::ToSocketAddrs;
use crate::time;

#[derive(Debug)]
pub(super) struct GreenResolver;

/// ureq keeps no more addresses of a name.
const MOST: usize = 16;

impl Resolver for GreenResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host_and_port = uri
            .scheme()
            .zip(uri.authority())
            .and_then(|(scheme, authority)| DefaultResolver::host_and_port(scheme, authority))
            .ok_or_else(|| Error::BadUri(uri.to_string()))?;
        let found = match timeout.not_zero() {
            None => host_and_port.to_socket_addrs(),
            Some(limit) => time::timeout(*limit, || host_and_port.to_socket_addrs())
                .map_err(|_elapsed| Error::Timeout(timeout.reason))?,
        };
        let mut addresses = self.empty();
        for address in config.ip_family().keep_wanted(found?).take(MOST) {
            addresses.push(address);
        }
        if addresses.is_empty() {
            return Err(Error::HostNotFound);
        }
        Ok(addresses)
    }
}
