//! A new connection to where a request goes: lookup, connect, proxy, TLS, each in its time.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use ureq_proto::http::{Request, header};
use url::{Host, Url};

use super::body::Body;
use super::connect;
use super::connection::Connection;
use super::deadlines::{Budget, Limit};
use super::error::{Error, Phase, shown};
use super::exchange::Exchange;
use super::proxy::Proxy;
use super::record::Record;
use super::session::Shared;
use super::trace::{What, count};
use crate::net::ToSocketAddrs;
use crate::time;

pub(super) fn dial(
    session: &Shared,
    url: &Url,
    budget: &Budget,
    record: &mut Record,
) -> Result<Connection, Error> {
    let proxy = session.proxy_for(url);
    record.lap();
    let addresses = addresses(session, url, proxy, budget.limit(Phase::Dns))?;
    record.timings.dns = record.lap();
    record.tell(What::Dns {
        addresses: &addresses,
    });

    let limit = budget.limit(Phase::Connect);
    limit.left()?;
    let stream = connect::connect(&addresses, limit.at()).map_err(|error| {
        // The kernel gives up, too, at last: that is no deadline of ours.
        match limit.left() {
            Err(passed) if error.kind() == std::io::ErrorKind::TimedOut => passed,
            _ => Error::Connect(error),
        }
    })?;
    stream.set_nodelay(true).map_err(Error::Connect)?;
    count(&session.counters.opened);
    record.timings.connect = record.lap();

    let mut connection = Connection::plain(stream);
    if url.scheme() == "https" {
        let limit = budget.limit(Phase::Tls);
        if let Some(proxy) = proxy {
            tunnel(&mut connection, url, proxy, limit)?;
        }
        let config = Arc::clone(session.tls());
        connection = connection.secure(config, server_name(url)?, limit)?;
        record.timings.tls = record.lap();
    }
    Ok(connection)
}

/// Those of the proxy, if there is one.
fn addresses(
    session: &Shared,
    url: &Url,
    proxy: Option<&Proxy>,
    limit: Limit,
) -> Result<Vec<SocketAddr>, Error> {
    let name = match (proxy, url.host()) {
        (Some(proxy), _) => (proxy.host().to_owned(), proxy.port()),
        (None, Some(Host::Ipv4(ip))) => return Ok(vec![(ip, port(url)).into()]),
        (None, Some(Host::Ipv6(ip))) => return Ok(vec![(ip, port(url)).into()]),
        (None, Some(Host::Domain(name))) => match session.addresses.get(name) {
            Some(known) => return Ok(with_port(known, port(url))),
            None => (name.to_owned(), port(url)),
        },
        (None, None) => return Err(Error::Request(format!("{} has no host", shown(url)))),
    };
    let found = match limit.left()? {
        None => name.to_socket_addrs(),
        Some(_) => time::timeout_at(limit.at(), || name.to_socket_addrs())
            .map_err(|_elapsed| limit.passed())?,
    };
    Ok(found.map_err(Error::Dns)?.collect())
}

fn with_port(addresses: &[SocketAddr], port: u16) -> Vec<SocketAddr> {
    let with_port = |address: &SocketAddr| match address.port() {
        0 => SocketAddr::new(address.ip(), port),
        _ => *address,
    };
    addresses.iter().map(with_port).collect()
}

pub(super) fn port(url: &Url) -> u16 {
    url.port_or_known_default().unwrap_or(80)
}

fn server_name(url: &Url) -> Result<ServerName<'static>, Error> {
    match url.host() {
        Some(Host::Ipv4(ip)) => Ok(ServerName::IpAddress(std::net::IpAddr::V4(ip).into())),
        Some(Host::Ipv6(ip)) => Ok(ServerName::IpAddress(std::net::IpAddr::V6(ip).into())),
        Some(Host::Domain(name)) => ServerName::try_from(name.to_owned())
            .map_err(|error| Error::Request(format!("{name}: {error}"))),
        None => Err(Error::Request(format!("{} has no host", shown(url)))),
    }
}

/// Has the proxy connect us with the server. From then on the connection is as one to the server.
fn tunnel(
    connection: &mut Connection,
    url: &Url,
    proxy: &Proxy,
    limit: Limit,
) -> Result<(), Error> {
    let server = format!("{}:{}", url.host_str().unwrap_or_default(), port(url));
    let mut request = Request::connect(server.as_str());
    if let Some(authorization) = proxy.authorization() {
        request = request.header(header::PROXY_AUTHORIZATION, authorization);
    }
    let request = request
        .body(())
        .map_err(|error| Error::Request(error.to_string()))?;
    let budget = Budget::until(limit);
    let mut exchange = Exchange {
        connection,
        body: &mut Body::default(),
        budget: &budget,
        origin: None,
        tell: &mut |_| {},
        has_sent: false,
        has_received: false,
        is_cut: false,
        unsent: 0,
    };
    let (response, _) = exchange.run(request)?;
    if !response.status().is_success() {
        return Err(Error::Proxy(response.status()));
    }
    Ok(())
}
