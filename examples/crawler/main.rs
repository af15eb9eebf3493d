//! A web crawler: breadth-first, keep-alive, a hundred pages at once on one OS thread.
//!
//! ```text
//! cargo run --release --example crawler --features http
//! cargo run --release --example crawler --features http -- --site "$(rustc --print sysroot)/share/doc/rust/html"
//! cargo run --release --example crawler --features http -- --max-pages 100 https://www.rust-lang.org/
//! ```
//!
//! The way of a page: the frontier hands its URL to a worker (`crawl`), which asks `robots`, fetches it (`page`), finds
//! its links (`links`, `html`), gives them back to the frontier, and takes it down in the `report`.

#![forbid(unsafe_code)]

mod crawl;
mod frontier;
mod html;
mod interrupt;
mod links;
mod options;
mod outcome;
mod page;
mod report;
mod robots;
mod site;
mod summary;

#[path = "../support/server.rs"]
mod server;

use clap::Parser;
use crawl::{Crawl, Ending};
use frontier::{Frontier, Limits};
use options::Options;
use report::Report;
use robots::RobotsRules;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use sylvan::http::Session;
use sylvan::runtime::Runtime;
use url::Url;

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = Runtime::builder().workers(options.workers.into()).build();
    let ending = match &runtime {
        Ok(runtime) => runtime.run(|| crawl(&options)).map(|mut ending| {
            ending.summary.peak_green_threads = runtime.handle().metrics().peak_tasks;
            ending
        }),
        Err(error) => Err(format!("cannot start the runtime: {error}")),
    };
    match ending.and_then(|ending| conclude(&ending)) {
        Ok(status) => status,
        Err(message) => {
            // Without a stderr the status has to do.
            let _ = writeln!(io::stderr(), "crawler: {message}");
            ExitCode::FAILURE
        }
    }
}

fn crawl(options: &Options) -> Result<Ending, String> {
    let report = Report::new(options.json.as_deref())?;
    let (seeds, more_hosts) = starting_points(options)?;
    let session = session(options)?;
    let robots = || RobotsRules::new(session.clone(), &options.user_agent);
    let limits = Limits {
        pages: options.max_pages,
        depth: options.max_depth,
        all_hosts: options.all_hosts,
    };
    let crawl = Crawl {
        robots: (!options.ignore_robots).then(robots),
        session,
        largest_body: options.max_body << 20,
        frontier: Frontier::new(limits, &seeds, &more_hosts),
        report,
        interrupted: AtomicBool::new(false),
    };
    crawl.run(options.concurrency)
}

/// Where the crawl begins and to which hosts it may go beside theirs. Starts the server, if there is to be one.
fn starting_points(options: &Options) -> Result<(Vec<Url>, Vec<Url>), String> {
    if !options.urls.is_empty() {
        return Ok((options.urls.clone(), Vec::new()));
    }
    let address = match &options.site {
        Some(folder) => {
            let site = site::Folder::open(folder);
            let site =
                site.map_err(|error| format!("cannot serve {}: {error}", folder.display()))?;
            server::start(site)
        }
        None => server::start(site::Embedded),
    };
    let address = address.map_err(|error| format!("cannot start the server: {error}"))?;
    let more_hosts = if options.is_demonstration() {
        vec![site::DEAD_HOST]
    } else {
        vec![]
    };
    let more_hosts: Result<_, _> = more_hosts.into_iter().map(Url::parse).collect();
    Ok((
        vec![home(address)?],
        more_hosts.map_err(|error| error.to_string())?,
    ))
}

fn home(address: SocketAddr) -> Result<Url, String> {
    Url::parse(&format!("http://{address}/")).map_err(|error| error.to_string())
}

/// Each worker may leave a connection open, also if all of them are to one host. Redirects are the frontier's business.
fn session(options: &Options) -> Result<Session, String> {
    let mut session = Session::builder()
        .user_agent(&options.user_agent)
        .header("accept", "text/html,application/xhtml+xml")
        .timeout(options.timeout())
        .connections(options.concurrency as usize)
        .cookies(false)
        .redirects(0);
    if !options.urls.is_empty() {
        // A proxy cannot reach our own loopback interface, but it may have to be asked for others.
        session = session.proxy_from_env();
    }
    session.build().map_err(|error| error.to_string())
}

/// Prints the summary and decides how the program ends.
fn conclude(ending: &Ending) -> Result<ExitCode, String> {
    let mut output = io::stdout().lock();
    let printed = write!(output, "{}", ending.summary).and_then(|()| output.flush());
    printed.map_err(|error| format!("cannot print the summary: {error}"))?;
    match &ending.trouble {
        Some(trouble) => Err(trouble.clone()),
        None if ending.was_interrupted => Ok(ExitCode::from(interrupt::STATUS)),
        None if ending.summary.pages == 0 => Err("not one page could be fetched".into()),
        None => Ok(ExitCode::SUCCESS),
    }
}
