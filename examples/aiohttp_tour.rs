//! The programs that a beginner's tutorial of aiohttp goes through: a page, a hundred pages of one session, a PUT with
//! parameters, JSON, an error, a time-out. The session fetches from a server of this program's own.
//!
//! Run it: `cargo run --example aiohttp_tour --features http`.

#![forbid(unsafe_code)]

#[path = "support/server.rs"]
mod server;

use std::time::{Duration, Instant};

use clap::Parser;
use server::{Answer, Body, Request, Site};
use sylvan::http::{self, Deadlines, Error, Session};
use sylvan::thread;

/// Goes through the programs of a tutorial of aiohttp.
#[derive(Parser)]
#[command(name = "aiohttp_tour", version)]
struct Options {
    /// How long the server takes to answer
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 200)]
    delay_ms: u64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let delay = Duration::from_millis(options.delay_ms);
    // `asyncio.run(main())`
    sylvan::run(|| {
        let site = format!("http://{}/", server::start(Tutorial(delay))?);
        // `async with aiohttp.ClientSession(base_url) as session:`
        let session = Session::builder().base_url(site).build()?;
        println!("1. one page");
        one_page(&session)?;
        println!("2. a hundred pages of one session");
        a_hundred_pages(&session)?;
        println!("3. a request by any method, with parameters");
        any_method(&session)?;
        println!("4. JSON, there and back");
        json(&session)?;
        println!("5. a status that is an error");
        error_status(&session)?;
        println!("6. a time-out that says which");
        time_out(&session)?;
        Ok(())
    })
}

/// `async with session.get(url) as response: await response.text("utf-8")`
fn one_page(session: &Session) -> Result<(), Error> {
    let response = session.get("page").send()?;
    println!("   status: {}", response.status().as_u16());
    println!(
        "   content type: {}",
        response.header("content-type").unwrap_or("none")
    );
    println!("   text: {}", response.text_with("utf-8")?);
    Ok(())
}

/// `await asyncio.gather(*(fetch(session) for _ in range(100)))`
fn a_hundred_pages(session: &Session) -> Result<(), Error> {
    let start = Instant::now();
    let fetches: Vec<_> = (0..100)
        .map(|_| {
            let request = session.get("slow");
            thread::spawn(move || request.send()?.text())
        })
        .collect();
    let mut bytes = 0;
    for fetch in fetches {
        // That a green thread panics is no business of the error's.
        bytes += fetch.join().expect("no fetch panics")?.len();
    }
    let opened = session.stats().opened;
    assert!(opened <= 100, "{opened} connections");
    println!("   {bytes} bytes over no more than 100 connections");
    println!("   took {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// `async with session.request("PUT", url, params=params) as response:`
fn any_method(session: &Session) -> Result<(), Error> {
    let params = [("key", "value"), ("word", "déjà vu")];
    let response = session.request("PUT", "echo").query(params).send()?;
    println!("   {}", response.text()?);
    Ok(())
}

/// `async with session.post(url, json={…}) as response: await response.json()`
fn json(session: &Session) -> Result<(), Error> {
    let order = serde_json::json!({ "tea": "green", "pots": 2 });
    let receipt: serde_json::Value = session.post("echo").json(&order).send()?.json()?;
    println!("   {} pots of {} tea", receipt["pots"], receipt["tea"]);
    Ok(())
}

/// `response.raise_for_status()`
fn error_status(session: &Session) -> Result<(), Error> {
    match session.get("nowhere").send()?.raise_for_status() {
        Err(Error::Status(error)) => {
            let why = String::from_utf8_lossy(&error.body);
            println!("   {}, because: {why}", error.status.as_u16());
            Ok(())
        }
        other => other.map(drop),
    }
}

/// `session.get(url, timeout=aiohttp.ClientTimeout(sock_read=…))`
fn time_out(session: &Session) -> Result<(), Error> {
    let request = session.get("endless").deadlines(Deadlines {
        first_byte: Some(Duration::from_millis(50)),
        ..Deadlines::default()
    });
    match request.send() {
        Err(error) if error.phase() == Some(http::Phase::FirstByte) => {
            println!("   {error}");
            Ok(())
        }
        other => other.map(drop),
    }
}

struct Tutorial(Duration);

impl Site for Tutorial {
    fn answer(&self, path: &str) -> Answer {
        match path {
            "/page" => Answer::html(200, "grüne Fäden"),
            "/slow" => {
                thread::sleep(self.0);
                Answer::html(200, "at last")
            }
            "/endless" => {
                thread::sleep(Duration::from_secs(3600));
                Answer::html(200, "")
            }
            _ => Answer::html(404, "there is no such page"),
        }
    }

    /// What was sent: the body, or the line of the request if there is none.
    fn answer_to(&self, request: &Request) -> Answer {
        match (request.path.starts_with("/echo"), &request.body[..]) {
            (false, _) => self.answer(&request.path),
            (true, []) => Answer::html(200, format!("{} {}", request.method, request.path)),
            (true, body) => Answer::new(200, Body::Bytes(body.to_vec()))
                .with("Content-Type", "application/json"),
        }
    }
}
