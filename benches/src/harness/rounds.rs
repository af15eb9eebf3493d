//! The whole: all cases, all peers in turns, round after round.

use crate::build::{Programs, output_of};
use crate::cases::{self, Case, Kind, Size};
use crate::idle::Idle;
use crate::measure::Measure;
use crate::peers::{OURS, Peer};
use crate::report;
use crate::results::{CaseResult, Figures, PeerResult, Report};
use crate::statistics::short;
use crate::syscalls::Counter;
use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

/// The profile of what is measured; see the root's Cargo.toml.
pub const PROFILE: &str = "bench-peers";

struct Plan<'a> {
    filters: Vec<&'a str>,
    rounds: usize,
    size: Size,
    /// The peers that take part; all if there are none here.
    only: Vec<&'a str>,
    /// Their programs are taken as they lie there: they hold no code of sylvan's.
    keep_peers: bool,
}

pub fn run(words: &[&str]) -> Result<(), String> {
    let plan = Plan::of(words)?;
    let mut cases = chosen(&plan.filters)?;
    for case in &mut cases {
        case.peers.retain(|peer| plan.wants(peer));
    }
    let wanted = if plan.keep_peers {
        &["bench-sylvan"][..]
    } else {
        &[]
    };
    let mut programs = Programs::build(PROFILE, wanted)?;
    programs.add_other_languages();
    let mut warnings = programs.skipped.clone();
    let counter = Counter::find();
    match counter {
        Some(Counter::Perf) => {}
        Some(Counter::Strace) => warnings.push("system calls were counted by strace".to_owned()),
        None => warnings.push("neither perf nor strace: system calls are not counted".to_owned()),
    }
    let mut report = Report {
        machine: machine(),
        rounds: plan.rounds,
        quick: plan.size == Size::Quick,
        warnings,
        cases: Vec::new(),
    };
    let measure = Measure {
        programs: &programs,
        size: plan.size,
        tool: &[],
    };
    let mut idle = Idle::new();
    for case in &cases {
        let result = run_case(
            case,
            &plan,
            &measure,
            counter,
            &mut idle,
            &mut report.warnings,
        );
        report.cases.push(result);
        // After each case: a run that is cut off leaves what it has.
        report::write(&report)?;
    }
    Ok(())
}

impl Plan<'_> {
    fn of<'a>(words: &[&'a str]) -> Result<Plan<'a>, String> {
        let mut plan = Plan {
            filters: Vec::new(),
            rounds: 5,
            size: Size::Full,
            only: Vec::new(),
            keep_peers: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--quick" => plan.size = Size::Quick,
                "--rounds" => {
                    let rounds = words.next().and_then(|word| word.parse().ok());
                    plan.rounds = rounds.ok_or("--rounds: expected a number")?;
                }
                "--only" => {
                    let peers = words.next().ok_or("--only: expected PEER,PEER")?;
                    plan.only = peers.split(',').collect();
                }
                "--keep-peers" => plan.keep_peers = true,
                option if option.starts_with('-') => return Err(format!("{option}: unknown")),
                filter => plan.filters.push(filter),
            }
        }
        Ok(plan)
    }

    /// Sylvan always: the others are compared with it.
    fn wants(&self, peer: &Peer) -> bool {
        self.only.is_empty() || peer.name == OURS || self.only.contains(&peer.name)
    }
}

/// The cases that `filters` name, in whole or in part; all without a filter.
pub fn chosen(filters: &[&str]) -> Result<Vec<Case>, String> {
    let mut cases = cases::all();
    let names: Vec<_> = cases.iter().map(|case| case.name).collect();
    // "echo-100" is that case, and not those that begin so as well.
    let is_meant = |name: &str, filter: &str| {
        name == filter || (!names.contains(&filter) && name.contains(filter))
    };
    let wanted = |case: &Case| filters.iter().any(|filter| is_meant(case.name, filter));
    cases.retain(|case| filters.is_empty() || wanted(case));
    if cases.is_empty() {
        return Err(format!("no case is called like {}", filters.join(" or ")));
    }
    Ok(cases)
}

fn run_case(
    case: &Case,
    plan: &Plan<'_>,
    measure: &Measure<'_>,
    counter: Option<Counter>,
    idle: &mut Idle,
    warnings: &mut Vec<String>,
) -> CaseResult {
    eprintln!("{}: {}", case.name, case.title);
    let begun = Instant::now();
    let peers = case.peers.iter().filter(|peer| measure.programs.have(peer));
    let mut peers: Vec<(Peer, PeerResult)> = peers.map(|peer| (*peer, nothing_yet(peer))).collect();
    for round in 1..=plan.rounds {
        if let Err(busy) = idle.wait() {
            let percent = short(busy * 100.0);
            warnings.push(format!(
                "{}, round {round}: the machine was {percent} % busy",
                case.name
            ));
        }
        for (peer, result) in &mut peers {
            let figures = measure.once(case, peer);
            result.rounds.push(kept(figures, &mut result.failure));
        }
    }
    if let (
        Some(counter),
        Kind::Echo {
            connections,
            workers,
            hot: false,
        },
    ) = (counter, &case.kind)
    {
        for (peer, result) in &mut peers {
            let calls = counter.count(measure, peer, *connections, *workers);
            let calls = calls.map(|calls| Figures::from([("syscalls".to_owned(), calls)]));
            let calls = kept(calls, &mut result.failure);
            // Counted once, and true of each round.
            for round in &mut result.rounds {
                round.extend(calls.clone());
            }
        }
    }
    let result = CaseResult {
        name: case.name.to_owned(),
        title: case.title.to_owned(),
        metrics: case.metrics.clone(),
        marks: case.marks.clone(),
        peers: peers.into_iter().map(|(_, result)| result).collect(),
    };
    tell(&result, begun);
    result
}

fn nothing_yet(peer: &Peer) -> PeerResult {
    PeerResult {
        name: peer.name.to_owned(),
        rounds: Vec::new(),
        failure: None,
    }
}

/// What was measured; nothing, and a note of it, if that failed.
fn kept(figures: Result<Figures, String>, failure: &mut Option<String>) -> Figures {
    figures.unwrap_or_else(|message| {
        eprintln!("  {message}");
        *failure = Some(message);
        Figures::new()
    })
}

/// One line for who waits.
fn tell(case: &CaseResult, begun: Instant) {
    let Some(metric) = case.metrics.first() else {
        return;
    };
    let figure = |peer: &PeerResult| {
        let median = peer.spread(&metric.key).map(|spread| short(spread.median));
        format!("{} {}", peer.name, median.unwrap_or_else(|| "–".to_owned()))
    };
    let figures: Vec<_> = case.peers.iter().map(figure).collect();
    let seconds = begun.elapsed().as_secs();
    eprintln!("  {}: {}  ({seconds} s)", metric.title, figures.join(", "));
}

fn machine() -> BTreeMap<String, String> {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let facts = [
        ("processor", model.to_owned()),
        ("cores", cores.to_string()),
        ("kernel", output_of("uname", &["-r"])),
        ("rustc", output_of("rustc", &["--version"])),
        (OURS, output_of("git", &["describe", "--always", "--dirty"])),
        ("go", output_of("go", &["version"])),
        ("python", output_of("python3", &["--version"])),
        ("date", output_of("date", &["-u", "+%Y-%m-%d"])),
    ];
    facts.map(|(name, fact)| (name.to_owned(), fact)).into()
}
