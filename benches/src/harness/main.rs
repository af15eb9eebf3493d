//! Runs the workloads of all peers in turns and writes a report.

mod build;
mod cases;
mod chart;
mod idle;
mod measure;
mod peers;
mod process;
mod profile;
mod readme;
mod report;
mod results;
mod rounds;
mod smoke;
mod statistics;
mod syscalls;

use std::process::ExitCode;
use sylvan_benches::machine;

const USAGE: &str = "\
Measures sylvan beside its peers.

  run [FILTER ...]                          all cases, or those whose names contain a FILTER; the report
                                            goes to target/bench-report/
      --rounds N                            default 5
      --quick                               a tenth of the work
      --only PEER,PEER                      sylvan beside these only
      --keep-peers                          builds sylvan's program and no other: theirs are as they were
  report                                    writes the report anew from its report.json
  readme                                    writes its summary into README.md
  profile CASE [--peer PEER] [-- TOOL ...]  one case of one peer, alone, under TOOL if one is given
  smoke [FILTER ...]                        every case of every peer in Rust once, as small as can be
  list                                      the cases and their peers";

fn main() -> ExitCode {
    machine::raise_descriptor_limit();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.split_first() {
        Some((&"run", rest)) => rounds::run(rest),
        Some((&"report", [])) => report::rewrite(),
        Some((&"readme", [])) => readme::write(),
        Some((&"profile", rest)) => profile::run(rest),
        Some((&"smoke", filters)) => smoke::run(filters),
        Some((&"list", [])) => {
            list();
            Ok(())
        }
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn list() {
    for case in cases::all() {
        let peers: Vec<_> = case.peers.iter().map(|peer| peer.name).collect();
        println!(
            "{:<20} {}\n{:<20} {}",
            case.name,
            case.title,
            "",
            peers.join(", ")
        );
    }
}
