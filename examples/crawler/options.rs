//! The command line.

use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Crawls web sites breadth-first with many green threads.
///
/// Without arguments it serves itself a small site on which everything goes wrong that can, and crawls that.
/// ^C ends the crawl early, with its summary; a second ^C ends the program at once.
#[derive(Clone, Debug, Parser)]
#[command(name = "crawler", version)]
pub struct Options {
    /// Where to begin; the crawl stays on the hosts of these addresses
    #[arg(value_name = "URL", value_parser = web_address)]
    pub urls: Vec<Url>,

    /// Serve this folder of HTML on the loopback interface and crawl it
    #[arg(long, value_name = "DIR", conflicts_with = "urls")]
    pub site: Option<PathBuf>,

    /// How many pages to fetch at once
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub concurrency: u32,

    /// Stop after this many fetches
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_pages: Option<u64>,

    /// Follow at most this many links from the first page
    #[arg(long, value_name = "N")]
    pub max_depth: Option<u32>,

    /// Skip pages larger than this many MiB
    #[arg(long, value_name = "MIB", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub max_body: u64,

    /// Give up on a request after this many seconds [default: 20, on the built-in site 2]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,

    /// How many OS threads to run on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: u16,

    /// Write a line of JSON for each URL to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Follow links to other hosts too
    #[arg(long)]
    pub all_hosts: bool,

    /// Fetch what robots.txt forbids
    #[arg(long)]
    pub ignore_robots: bool,

    /// The name to go by, also in robots.txt
    #[arg(long, value_name = "NAME", default_value = concat!("sylvan-crawler/", env!("CARGO_PKG_VERSION")))]
    pub user_agent: String,
}

impl Options {
    /// Whether the built-in site is to be crawled.
    pub fn is_demonstration(&self) -> bool {
        self.urls.is_empty() && self.site.is_none()
    }

    /// The time limit of one request.
    pub fn timeout(&self) -> Duration {
        let default = if self.is_demonstration() { 2 } else { 20 };
        self.timeout.unwrap_or(Duration::from_secs(default))
    }
}

fn web_address(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if url.has_host() && matches!(url.scheme(), "http" | "https") => {
            Ok(crate::links::normalise(url))
        }
        Ok(_) => Err("only http:// and https:// addresses can be crawled".into()),
        Err(url::ParseError::RelativeUrlWithoutBase) => Err(format!("did you mean http://{text}?")),
        Err(error) => Err(error.to_string()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number")?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("not a length of time above zero".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        let all = ["crawler"].iter().chain(arguments);
        Options::try_parse_from(all).map_err(|error| error.to_string())
    }

    #[test]
    fn is_well_formed() {
        Options::command().debug_assert();
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        for arguments in [
            &["example.org"][..],
            &["ftp://example.org/"],
            &["--timeout", "0"],
            &["--timeout", "-1"],
            &["--timeout", "NaN"],
            &["--concurrency", "0"],
            &["--workers", "0"],
            &["--max-pages", "0"],
            &["--site", ".", "http://example.org/"],
        ] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
        assert!(
            parse(&["example.org"])
                .unwrap_err()
                .contains("did you mean http://example.org?")
        );
    }

    #[test]
    fn waits_less_long_for_the_built_in_site() {
        assert_eq!(parse(&[]).unwrap().timeout(), Duration::from_secs(2));
        assert_eq!(
            parse(&["http://a/"]).unwrap().timeout(),
            Duration::from_secs(20)
        );
        assert_eq!(
            parse(&["--timeout", "0.5"]).unwrap().timeout(),
            Duration::from_millis(500)
        );
    }
}
