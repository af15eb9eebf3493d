//! What is told of the crawl: counts for the summary, a line of JSON for each URL, and a progress bar meanwhile.

use crate::outcome::{Outcome, Visit};
use crate::summary::Summary;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use sylvan::sync::{Mutex, MutexGuard};
use url::Url;

/// Takes down every visit.
pub struct Report {
    state: Mutex<State>,
}

struct State {
    summary: Summary,
    lines: Option<JsonLines>,
    bar: ProgressBar,
}

impl Report {
    /// A report that also writes lines to the file `json`, if given.
    pub fn new(json: Option<&Path>) -> Result<Self, String> {
        let state = State {
            summary: Summary::default(),
            lines: json.map(JsonLines::create).transpose()?,
            bar: progress_bar(),
        };
        let state = Mutex::new(state);
        Ok(Self { state })
    }

    /// Takes down what became of `url`; `known` is how many URLs are known by now. `false` means that the report cannot
    /// be written, and [`finish`](Self::finish) tells why.
    pub fn add(&self, url: &Url, visit: &Visit, known: u64) -> bool {
        let mut state = self.lock();
        state.summary.add(visit);
        state.bar.set_length(known);
        state.bar.inc(1);
        match &mut state.lines {
            Some(lines) => lines.write(&Line::new(url, visit)),
            None => true,
        }
    }

    /// The summary of it all, and why the lines of JSON are not complete, if they are not.
    pub fn finish(&self, elapsed: Duration) -> (Summary, Option<String>) {
        let mut state = self.lock();
        state.bar.finish_and_clear();
        let trouble = state.lines.take().and_then(JsonLines::finish);
        let mut summary = std::mem::take(&mut state.summary);
        summary.elapsed = elapsed;
        (summary, trouble)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The bar is drawn on stderr; who sends either stream elsewhere does not want it.
fn progress_bar() -> ProgressBar {
    if !io::stdout().is_terminal() || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{wide_bar} {pos} of {len} known, {per_sec}, {elapsed}");
    let bar = ProgressBar::new(1);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// What --json says of a URL.
#[derive(Serialize)]
struct Line<'a> {
    url: &'a str,
    status: Option<u16>,
    bytes: u64,
    milliseconds: Option<f64>,
    links: usize,
    error: Option<String>,
}

impl<'a> Line<'a> {
    fn new(url: &'a Url, visit: &Visit) -> Self {
        Self {
            url: url.as_str(),
            status: visit.status,
            bytes: visit.bytes,
            milliseconds: visit
                .elapsed
                .map(|elapsed| elapsed.as_micros() as f64 / 1000.0),
            links: visit.links,
            error: match &visit.outcome {
                Outcome::Page(_) | Outcome::Redirect(_) => None,
                Outcome::Skipped(skip) => Some(skip.to_string()),
                Outcome::Failed(failure) => Some(failure.to_string()),
            },
        }
    }
}

struct JsonLines {
    path: PathBuf,
    file: BufWriter<File>,
    failure: Option<io::Error>,
}

impl JsonLines {
    fn create(path: &Path) -> Result<Self, String> {
        let file = File::create(path)
            .map_err(|error| format!("cannot create {}: {error}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            failure: None,
        })
    }

    /// Writes a line, unless one before it could not be written.
    fn write(&mut self, line: &Line) -> bool {
        if self.failure.is_none() {
            let written = serde_json::to_writer(&mut self.file, line).map_err(io::Error::from);
            self.failure = written.and_then(|()| self.file.write_all(b"\n")).err();
        }
        self.failure.is_none()
    }

    fn finish(mut self) -> Option<String> {
        let failure = self.failure.take().or_else(|| self.file.flush().err())?;
        Some(format!("cannot write {}: {failure}", self.path.display()))
    }
}
