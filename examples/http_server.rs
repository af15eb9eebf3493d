//! An HTTP server of plain blocking functions: each request has a green thread, which may sleep, read a body that is still on its way,
//! or write an answer that has no end.
//!
//! Run it: `cargo run --release --example http_server --features http [ADDRESS [SECONDS]]`, then
//!
//! ```text
//! curl 127.0.0.1:8080/                        curl -d 'how are you' 127.0.0.1:8080/shout
//! curl 127.0.0.1:8080/slow                    curl -N 127.0.0.1:8080/events
//! ```
//!
//! On SIGTERM or ^C it answers what it has been asked, for some SECONDS at most, and ends.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use sylvan::http;
use sylvan::http::server::{Body, Request, Respond, Response, StatusCode, header};
use sylvan::signal::{Signal, Signals};
use sylvan::thread;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:8080".to_owned());
    let Ok(grace) = arguments.next().map_or(Ok(10), |text| text.parse()) else {
        eprintln!("usage: http_server [ADDRESS [SECONDS]]");
        return ExitCode::from(2);
    };
    match sylvan::run(|| serve(&address, Duration::from_secs(grace))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http_server: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(address: &str, grace: Duration) -> io::Result<()> {
    let signals = Signals::new([Signal::TERMINATE, Signal::INTERRUPT])?;
    let serving = http::Server::bind(address)?.grace(grace).start(handle)?;
    println!("listening on {}", serving.local_addr());

    let signal = signals.wait()?;
    // A second signal has its usual effect: who is in a hurry need not wait.
    drop(signals);
    let cancelled = serving.stop();
    let served = serving.stats().accepted;
    println!("{signal}: {served} connections served, {cancelled} cancelled");
    Ok(())
}

fn handle(request: Request) -> io::Result<Response> {
    Ok(match request.uri().path() {
        "/" => format!("hello, {}\n", request.body().peer_addr().ip()).respond(),
        "/slow" => {
            // Nobody else waits for this one.
            thread::sleep(Duration::from_millis(500));
            "at last\n".respond()
        }
        "/shout" => shout(request),
        "/events" => events(),
        _ => (StatusCode::NOT_FOUND, "no such page\n").respond(),
    })
}

/// Answers while it reads: neither body is ever whole in memory.
fn shout(request: Request) -> Response {
    let mut body = request.into_body();
    Response::new(Body::from_writer(move |writer| {
        let mut buffer = [0; 4096];
        loop {
            let length = body.read(&mut buffer)?;
            if length == 0 {
                return Ok(());
            }
            writer.write_all(&buffer[..length].to_ascii_uppercase())?;
        }
    }))
}

/// Server-sent events, until the client leaves: then this green thread is cancelled, where it sleeps or writes.
fn events() -> Response {
    let mut response = Response::new(Body::from_writer(|writer| {
        for number in 1_u64.. {
            write!(writer, "data: tick {number}\n\n")?;
            writer.flush()?;
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }));
    let text = header::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}
