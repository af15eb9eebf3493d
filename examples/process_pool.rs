//! Functions in other processes: run one, have the result of one, and fetch many addresses with many green threads in
//! each of several processes. What the tutorial of aiomultiprocess does, here in plain blocking code.
//!
//! ```text
//! cargo run --release --example process_pool --features http,process-pool
//! ```

#![forbid(unsafe_code)]

#[path = "support/server.rs"]
mod server;

use clap::Parser;
use server::{Answer, Site};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};
use std::process::{self, ExitCode};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use sylvan::http::{Response, Session};
use sylvan::process_pool::{self, Pool, Process, Worker};
use sylvan::thread;

/// Runs functions in other processes, three ways.
///
/// Without URLs it serves itself a site on the loopback interface that takes its time.
#[derive(Parser)]
#[command(name = "process_pool", version)]
struct Options {
    /// What to fetch
    urls: Vec<String>,

    /// How many processes
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    processes: u16,

    /// How many requests each process makes at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
}

fn main() -> ExitCode {
    // The processes are this program, started again. They go no further.
    process_pool::init();

    let options = Options::parse();
    match sylvan::run(|| show(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "process_pool: {error}");
            ExitCode::FAILURE
        }
    }
}

fn show(options: &Options) -> Result<(), Box<dyn Error>> {
    // 1. A function in a process of its own.
    let process = Process::spawn(greet, "from another process".to_owned())?;
    let status = process.join()?;
    say(&format!("the process ended: {status}"))?;

    // 2. One whose result is wanted.
    let worker = Worker::spawn(
        |numbers: Vec<u64>| numbers.iter().sum::<u64>(),
        (1..=100).collect(),
    )?;
    say(&format!("the sum is {}", worker.join()?))?;

    // 3. A function for each of many items, many at once in each process.
    fetch_all(options)
}

fn greet(where_from: String) {
    println!("Hello {where_from}!");
}

fn fetch_all(options: &Options) -> Result<(), Box<dyn Error>> {
    let urls = match &options.urls[..] {
        [] => own_site()?,
        urls => urls.to_vec(),
    };
    let pool = Pool::builder()
        .processes(options.processes.into())
        .concurrency(options.concurrency.into())
        .build()?;
    let begun = Instant::now();
    let mut by_process: BTreeMap<u32, usize> = BTreeMap::new();
    let (mut bytes, mut failures) = (0, 0);
    for (url, page) in urls.iter().zip(pool.imap(fetch, urls.clone())) {
        match page? {
            Ok((process, length)) => {
                *by_process.entry(process).or_default() += 1;
                bytes += length;
            }
            Err(error) => {
                failures += 1;
                writeln!(io::stderr(), "{url}: {error}")?;
            }
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    pool.join();
    let shares: Vec<_> = by_process.values().map(ToString::to_string).collect();
    say(&format!(
        "{} pages, {bytes} bytes, {failures} failures in {seconds:.2} s; pages by process: {}",
        urls.len() - failures,
        shares.join(", ")
    ))
}

/// Runs in the pool's processes. Each has a session of its own, with its connections.
fn fetch(url: String) -> Result<(u32, usize), String> {
    static SESSION: OnceLock<Session> = OnceLock::new();
    let session = match SESSION.get() {
        Some(session) => session,
        None => {
            let new = Session::builder()
                .timeout(Duration::from_secs(60))
                .proxy_from_env()
                .build();
            let new = new.map_err(|error| error.to_string())?;
            SESSION.get_or_init(|| new)
        }
    };
    let page = session.get(&url).send().and_then(Response::bytes);
    let page = page.map_err(|error| error.to_string())?;
    Ok((process::id(), page.len()))
}

/// A closed pipe is an error here, and no panic.
fn say(line: &str) -> Result<(), Box<dyn Error>> {
    writeln!(io::stdout(), "{line}")?;
    Ok(())
}

fn own_site() -> io::Result<Vec<String>> {
    let address = server::start(SlowSite)?;
    Ok((0..100)
        .map(|page| format!("http://{address}/{page}"))
        .collect())
}

struct SlowSite;

impl Site for SlowSite {
    fn answer(&self, path: &str) -> Answer {
        thread::sleep(Duration::from_millis(100));
        Answer::html(200, format!("<!doctype html><title>{path}</title>"))
    }
}
