//! The report for people: a table for each case and a chart beside it.

use crate::build::report_folder;
use crate::chart;
use crate::results::{CaseResult, Mark, Metric, PeerResult, Report};
use crate::statistics::{Spread, short};
use std::fmt::Write;
use std::fs;

/// Writes report.json, report.md and the charts.
pub fn write(report: &Report) -> Result<(), String> {
    let folder = report_folder()?;
    let save = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    let json = serde_json::to_string_pretty(report).map_err(|error| error.to_string())?;
    save("report.json", &json)?;
    save("report.md", &markdown(report))?;
    for case in &report.cases {
        save(&format!("{}.svg", case.name), &chart::draw(case))?;
    }
    Ok(())
}

/// Reads report.json.
pub fn read() -> Result<Report, String> {
    let path = report_folder()?.join("report.json");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes the tables and charts anew from report.json.
pub fn rewrite() -> Result<(), String> {
    write(&read()?)
}

fn markdown(report: &Report) -> String {
    let mut text = String::from("# Benchmarks\n\n");
    for (name, fact) in &report.machine {
        let _ = writeln!(text, "- {name}: {fact}");
    }
    let part = if report.quick {
        ", a tenth of the work"
    } else {
        ""
    };
    let _ = writeln!(
        text,
        "- {} rounds{part}; each figure is a median, with the least and the most; a ratio is sylvan's figure \
         divided by the peer's of the same round, again the median of all rounds\n",
        report.rounds
    );
    for warning in &report.warnings {
        let _ = writeln!(text, "**Mind:** {warning}\n");
    }
    text += &marks(report);
    for case in &report.cases {
        text += &table(case);
    }
    text
}

fn marks(report: &Report) -> String {
    let mut text = String::from("## Marks\n\n| case | mark | sylvan | |\n|---|---|---|---|\n");
    for case in &report.cases {
        for mark in &case.marks {
            let Some((met, value)) = case.judge(mark) else {
                continue;
            };
            let verdict = if met { "met" } else { "**missed**" };
            let wanted = describe(case, mark);
            let _ = writeln!(
                text,
                "| {} | {wanted} | {} | {verdict} |",
                case.title,
                short(value)
            );
        }
    }
    text.push('\n');
    text
}

fn describe(case: &CaseResult, mark: &Mark) -> String {
    let metric = case.metric(&mark.metric);
    let title = metric.map_or(mark.metric.as_str(), |metric| metric.title.as_str());
    let sign = if metric.is_some_and(|metric| metric.higher_is_better) {
        "≥"
    } else {
        "≤"
    };
    let bound = short(mark.bound);
    match &mark.peer {
        Some(peer) => format!("{title} {sign} {bound} × {peer}"),
        None => format!("{title} {sign} {bound}"),
    }
}

fn table(case: &CaseResult) -> String {
    let mut text = format!(
        "## {}\n\n![{}]({}.svg)\n\n| |",
        case.title, case.title, case.name
    );
    let compared: Vec<&Metric> = case
        .metrics
        .iter()
        .filter(|metric| metric.compared)
        .collect();
    for metric in &case.metrics {
        let _ = write!(text, " {} |", metric.title);
    }
    for metric in &compared {
        let _ = write!(text, " sylvan ÷ it, {} |", metric.title);
    }
    let columns = 1 + case.metrics.len() + compared.len();
    text += "\n|";
    text += &"---|".repeat(columns);
    text.push('\n');
    for peer in &case.peers {
        let _ = write!(text, "| {} |", peer.name);
        for metric in &case.metrics {
            let _ = write!(text, " {} |", cell(peer, metric));
        }
        for metric in &compared {
            let ratio = case
                .ratio(peer, &metric.key)
                .filter(|_| peer.name != "sylvan");
            let _ = write!(text, " {} |", ratio.map_or_else(String::new, spread));
        }
        text.push('\n');
    }
    text.push('\n');
    for peer in &case.peers {
        if let Some(failure) = &peer.failure {
            let _ = writeln!(text, "{} failed: {failure}\n", peer.name);
        }
    }
    text
}

/// The spread only of what is compared: the table is wide enough.
fn cell(peer: &PeerResult, metric: &Metric) -> String {
    match peer.spread(&metric.key) {
        None => "–".to_owned(),
        Some(figures) if metric.compared => spread(figures),
        Some(figures) => short(figures.median),
    }
}

fn spread(figures: Spread) -> String {
    let [median, least, most] = [figures.median, figures.least, figures.most].map(short);
    format!("{median} ({least}–{most})")
}
