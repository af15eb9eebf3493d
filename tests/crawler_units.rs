//! The unit tests that stand inside the crawler's modules. (Cargo builds an example either as a program or as a test, and
//! `tests/examples.rs` needs the program.)

#![forbid(unsafe_code)]
#![allow(
    dead_code,
    unused_imports,
    reason = "the modules are all here, what uses them is not"
)]

#[path = "../examples/crawler/frontier.rs"]
mod frontier;
#[path = "../examples/crawler/html.rs"]
mod html;
#[path = "../examples/crawler/links.rs"]
mod links;
#[path = "../examples/crawler/options.rs"]
mod options;
#[path = "../examples/crawler/outcome.rs"]
mod outcome;
#[path = "../examples/support/server.rs"]
mod server;
#[path = "../examples/crawler/site/mod.rs"]
mod site;
#[path = "../examples/crawler/summary.rs"]
mod summary;
