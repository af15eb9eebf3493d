//! A reverse proxy: it hands on each request to another server, and its answer back, both as they come.
//!
//! Run it: `cargo run --release --example reverse_proxy --features http ADDRESS UPSTREAM`, as in
//! `reverse_proxy 127.0.0.1:8081 127.0.0.1:8080`.

use std::process::ExitCode;
use std::time::Duration;

use sylvan::http::server::{Body, Request, Respond, Response, StatusCode, Uri, header};
use sylvan::http::{self, ureq};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [address, upstream] = &arguments[..] else {
        eprintln!("usage: reverse_proxy ADDRESS UPSTREAM");
        return ExitCode::from(2);
    };
    let upstream = upstream.clone();
    let served = sylvan::run(|| {
        let agent = http::agent_with(config());
        let server = http::Server::bind(address.as_str())?.max_body(1 << 30);
        println!("listening on {}", server.local_addr()?);
        server.serve_forever(move |request| hand_on(&agent, &upstream, request))
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reverse_proxy: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the server beyond says goes to the client as it is.
fn config() -> ureq::config::Config {
    ureq::Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .allow_non_standard_methods(true)
        .timeout_connect(Some(Duration::from_secs(5)))
        .accept_encoding("identity")
        .user_agent("")
        .accept("")
        .build()
}

fn hand_on(agent: &ureq::Agent, upstream: &str, request: Request) -> Response {
    match try_to_hand_on(agent, upstream, request) {
        Ok(response) => response,
        Err(ureq::Error::Timeout(_)) => StatusCode::GATEWAY_TIMEOUT.respond(),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error}\n")).respond(),
    }
}

fn try_to_hand_on(
    agent: &ureq::Agent,
    upstream: &str,
    request: Request,
) -> Result<Response, ureq::Error> {
    let (mut head, body) = request.into_parts();
    let target = head
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    head.uri = format!("http://{upstream}{target}")
        .parse::<Uri>()
        .map_err(|_| ureq::Error::BadUri(target.to_owned()))?;
    keep_between_the_two(&mut head.headers);
    // What is in another coding cannot be handed on as it comes: ureq would decode it.
    head.headers.remove(header::ACCEPT_ENCODING);
    head.headers.remove(header::EXPECT);
    if let Ok(client) = body.peer_addr().ip().to_string().parse() {
        head.headers.append("x-forwarded-for", client);
    }
    let body = match body.length() {
        Some(0) => ureq::SendBody::none(),
        _ => ureq::SendBody::from_owned_reader(body),
    };
    let request = ureq::http::Request::from_parts(head, body);

    let (mut head, body) = agent.run(request)?.into_parts();
    keep_between_the_two(&mut head.headers);
    let length = head.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let reader = body.into_reader();
    let body = match length {
        Some(length) => Body::from_sized_reader(reader, length),
        None => Body::from_reader(reader),
    };
    Ok(Response::from_parts(head, body))
}

/// Removes what concerns one connection only.
fn keep_between_the_two(headers: &mut header::HeaderMap) {
    let named: Vec<_> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_owned())
        .collect();
    for name in named {
        headers.remove(&name);
    }
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ] {
        headers.remove(name);
    }
}
