//! What the measured programs talk to: the clients of the echo servers, and the site of the crawl
//! clients. The same for every peer, and bare, so that it is not what is measured.

mod echo;

use std::time::Duration;
use sylvan_benches::arguments::{Arguments, refuse};
use sylvan_benches::outcome::Outcome;
use sylvan_benches::pages::PAGE;
use sylvan_benches::program;
use sylvan_benches::server::{self, Site};

fn main() {
    program::run(&[("echo", echo::run), ("pages", pages)]);
}

fn pages(arguments: &Arguments) -> Outcome {
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {PAGE}\r\n\r\n");
    let mut answer = head.into_bytes();
    answer.resize(answer.len() + PAGE, b'x');
    let site = Site {
        answer,
        delay: Duration::from_millis(arguments.number("delay-ms", 0)),
    };
    let end = server::serve(site, program::listen_address(arguments), program::announce);
    refuse(&format!("the server ended: {end:?}"))
}
