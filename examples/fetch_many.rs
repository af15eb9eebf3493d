//! A hundred slow requests at once, on one OS thread, in blocking code.
//!
//! ```text
//! cargo run --release --example fetch_many --features http
//! ```

#![forbid(unsafe_code)]

#[path = "support/server.rs"]
mod server;

use clap::Parser;
use server::{Answer, Site};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use sylvan::http::{Error, Response, Session};
use sylvan::thread;

/// Fetches one address many times at once and tells how much faster that is than one after the other.
///
/// Without --url it serves itself a site on the loopback interface that takes its time.
#[derive(Parser)]
#[command(name = "fetch_many", version)]
struct Options {
    /// How many requests
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    requests: u32,

    /// How long the built-in site takes to answer
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 200)]
    delay_ms: u64,

    /// Fetch this address instead of the built-in site's
    #[arg(long, conflicts_with = "delay_ms")]
    url: Option<String>,
}

/// Enough to know how long one takes, without making everybody wait for all of them.
const SAMPLE: u32 = 5;

fn main() -> ExitCode {
    let options = Options::parse();
    let result = sylvan::run(|| measure(&options));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(io::stderr(), "fetch_many: {message}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<(), String> {
    let url = match &options.url {
        Some(url) => url.clone(),
        None => start_slow_site(Duration::from_millis(options.delay_ms))?,
    };
    let mut session = Session::builder()
        .timeout(Duration::from_secs(60))
        .connections(options.requests as usize);
    if options.url.is_some() {
        // A proxy cannot reach our own loopback interface, but it may have to be asked for others.
        session = session.proxy_from_env();
    }
    let session = session.build().map_err(|error| error.to_string())?;

    let sample = SAMPLE.min(options.requests);
    let begun = Instant::now();
    for _ in 0..sample {
        fetch(&session, &url)?;
    }
    let one_by_one = begun.elapsed() * options.requests / sample;

    let begun = Instant::now();
    let bytes = fetch_at_once(&session, &url, options.requests)?;
    let at_once = begun.elapsed();

    let speed_up = one_by_one.as_secs_f64() / at_once.as_secs_f64();
    let requests = options.requests;
    let text = format!(
        "{requests} requests at once:   {:>7.3} s, {bytes} bytes\n\
         {requests} one after another: {:>7.3} s, extrapolated from {sample}\n\
         speed-up: {speed_up:.0} times\n",
        at_once.as_secs_f64(),
        one_by_one.as_secs_f64(),
    );
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| format!("cannot print the result: {error}"))
}

/// This is the whole point: a thread for each request, as if threads cost nothing.
fn fetch_at_once(session: &Session, url: &str, requests: u32) -> Result<usize, String> {
    thread::scope(|scope| {
        let fetches: Vec<_> = (0..requests)
            .map(|_| scope.spawn(|| fetch(session, url)))
            .collect();
        fetches
            .into_iter()
            .map(|fetch| fetch.join().map_err(|_| "a request panicked")?)
            .sum()
    })
}

fn fetch(session: &Session, url: &str) -> Result<usize, String> {
    let page = session.get(url).send().and_then(Response::bytes);
    page.map(|page| page.len())
        .map_err(|error: Error| format!("{url}: {error}"))
}

fn start_slow_site(delay: Duration) -> Result<String, String> {
    let address = server::start(SlowSite(delay))
        .map_err(|error| format!("cannot start the site: {error}"))?;
    Ok(format!("http://{address}/"))
}

struct SlowSite(Duration);

impl Site for SlowSite {
    fn answer(&self, _path: &str) -> Answer {
        thread::sleep(self.0);
        Answer::html(
            200,
            "<!doctype html><title>At last</title><p>Good things come to those who wait.",
        )
    }
}
