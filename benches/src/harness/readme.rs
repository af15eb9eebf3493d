//! The summary in README.md, between its two marks.

use crate::peers::sources;
use crate::report;
use crate::results::{CaseResult, Report};
use crate::statistics::short;
use std::fmt::Write;
use std::fs;

const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

/// The columns, and the peers that may fill each; the first that took part does.
const COLUMNS: [(&str, &[&str]); 8] = [
    ("sylvan", &["sylvan"]),
    ("tokio", &["tokio-ct", "tokio-ct + reqwest", "tokio-mt"]),
    ("may", &["may"]),
    ("Go", &["go"]),
    ("OS threads", &["std threads", "ureq, 100 threads"]),
    ("asyncio", &["asyncio", "aiohttp"]),
    ("gevent", &["gevent"]),
    ("limit", &["bare corosensei", "bare epoll", "bare std lock"]),
];

/// Writes it, from report.json.
pub fn write() -> Result<(), String> {
    let path = sources().join("../README.md");
    let fail = |error: std::io::Error| format!("README.md: {error}");
    let text = fs::read_to_string(&path).map_err(fail)?;
    let missing = || format!("README.md has no {BEGIN} … {END}");
    let (before, rest) = text.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    let summary = summary(&report::read()?);
    let text = format!("{before}{BEGIN}\n{summary}{END}{after}");
    fs::write(&path, text).map_err(fail)
}

fn summary(report: &Report) -> String {
    let fact = |name: &str| report.machine.get(name).map_or("unknown", String::as_str);
    let mut text = format!(
        "Beside its peers, by `cargo run -p sylvan-benches -- run`: medians of {} rounds in turns, {}, {} cores, \
         Linux {}, {}. One worker each, but where it says two; `benches/README.md` says what each line is, and \
         what is fair.\n\n| |",
        report.rounds,
        fact("processor"),
        fact("cores"),
        fact("kernel"),
        fact("rustc"),
    );
    for (title, _) in COLUMNS {
        let _ = write!(text, " {title} |");
    }
    text += "\n|---|";
    text += &"---:|".repeat(COLUMNS.len());
    text.push('\n');
    for case in &report.cases {
        text += &row(case);
    }
    text
}

fn row(case: &CaseResult) -> String {
    let Some(metric) = case.metrics.first() else {
        return String::new();
    };
    let mut text = format!("| {}, {} |", case.title, metric.title);
    for (_, peers) in COLUMNS {
        let figures = peers
            .iter()
            .find_map(|peer| case.peer(peer)?.spread(&metric.key));
        let figure = figures.map_or_else(|| "–".to_owned(), |figures| short(figures.median));
        let _ = write!(text, " {figure} |");
    }
    text.push('\n');
    text
}
