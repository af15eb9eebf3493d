//! Counts a server's system calls for each message, from outside: by perf where the kernel lets it, or
//! else by strace, which slows the server down and so changes how many messages it finds at once.
//!
//! Two loads of different lengths are counted; the difference leaves out what connections cost.

use crate::build::output_of;
use crate::measure::{self, Measure};
use crate::peers::Peer;
use crate::process::Running;
use std::env;
use std::fs;
use std::path::Path;
use std::process::{self, Command};
use std::thread;
use std::time::Duration;

/// Who counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    Perf,
    Strace,
}

/// How long strace may take to attach to a server.
const ATTACH: Duration = Duration::from_secs(1);
/// How long a server may take to close what the load has left. Else a thousand connections' ends are in one
/// count and not in the other.
const CLOSE: Duration = Duration::from_secs(1);

impl Counter {
    /// The better one that is there.
    pub fn find() -> Option<Counter> {
        let perf = ["stat", "-x,", "-e", "raw_syscalls:sys_enter", "true"];
        if output_of("perf", &perf) != "unknown" {
            return Some(Counter::Perf);
        }
        (output_of("strace", &["--version"]) != "unknown").then_some(Counter::Strace)
    }

    pub fn name(self) -> &'static str {
        match self {
            Counter::Perf => "perf",
            Counter::Strace => "strace",
        }
    }

    /// System calls for each message of an echo server: the middle one of three counts, because how many
    /// messages a server finds at once hangs on how its client was scheduled.
    pub fn count(
        self,
        measuring: &Measure<'_>,
        peer: &Peer,
        connections: u64,
        workers: u64,
    ) -> Result<f64, String> {
        let (server, port) = measuring.start_server(peer, "echo", workers)?;
        let core = measure::client_core(workers);
        let calls_during = |messages: u64| {
            let mut load = measuring.echo_load(&server, port, connections);
            // However slow a tracer makes the server: the number ends it, not the clock.
            load.args(["--messages", &messages.to_string(), "--ms", "120000"]);
            self.during(load, server.pid(), core)
        };
        let short = (3 * connections).max(20_000);
        let long = 3 * short;
        let mut counts = [0.0; 3];
        for count in &mut counts {
            let fewer = calls_during(short)?;
            *count = (calls_during(long)? - fewer) / (long - short) as f64;
        }
        counts.sort_by(f64::total_cmp);
        Ok(counts[1])
    }

    /// The system calls that the process `pid` makes while `load` runs.
    fn during(self, load: Command, pid: u32, core: Option<usize>) -> Result<f64, String> {
        let output = env::temp_dir().join(format!("sylvan-benches-{}.count", process::id()));
        let file = output.to_string_lossy();
        let pid = pid.to_string();
        match self {
            // It attaches first, and ends with the command that it is given.
            Counter::Perf => {
                let event = "raw_syscalls:sys_enter";
                let perf = [
                    "perf", "stat", "-x,", "-e", event, "-o", &file, "-p", &pid, "--",
                ];
                Running::start_under(&perf, &load, core)?.text()?;
            }
            Counter::Strace => {
                let mut strace = Command::new("strace");
                strace.args(["-f", "-c", "-o", &file, "-p", &pid]);
                let strace = Running::start(strace, None)?;
                thread::sleep(ATTACH);
                Running::start(load, core)?.text()?;
                thread::sleep(CLOSE);
                strace.interrupt();
            }
        }
        self.read(&output)
    }

    fn read(self, output: &Path) -> Result<f64, String> {
        let fail = |error: std::io::Error| format!("{}: {error}", output.display());
        let text = fs::read_to_string(output).map_err(fail)?;
        fs::remove_file(output).map_err(fail)?;
        let count = match self {
            Counter::Perf => perf_count(&text),
            Counter::Strace => strace_count(&text),
        };
        count.ok_or_else(|| format!("{} said: {text}", self.name()))
    }
}

/// "1234,,raw_syscalls:sys_enter,…"
fn perf_count(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.contains("sys_enter"))?;
    line.split(',').next()?.parse().ok()
}

/// The last line: "100.00    0.012    3    4000    12 total", with no errors at times.
fn strace_count(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_found() {
        let perf = "# started on\n\n120034,,raw_syscalls:sys_enter,3012345,100.00,,\n";
        assert_eq!(perf_count(perf), Some(120_034.0));
        let strace = "% time ...\n100.00    0.054321           1     54321        12 total\n";
        assert_eq!(strace_count(strace), Some(54_321.0));
    }
}
