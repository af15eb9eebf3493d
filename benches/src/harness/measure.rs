//! Runs a case once for one peer and gathers its figures.

use crate::build::Programs;
use crate::cases::{Case, Kind, Size, Work};
use crate::peers::Peer;
use crate::process::Running;
use crate::results::Figures;
use serde_json::{Map, Value};
use std::net::TcpStream;
use std::process::Command;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};
use sylvan_benches::fetch::fetch;
use sylvan_benches::{HELLO_BODY, machine};

/// Where servers run, and programs that are measured by themselves.
const SERVER_CORE: usize = 0;

/// Where what is not measured runs, beside a server.
const CLIENT_CORE: usize = 1;

/// One who measures.
pub struct Measure<'a> {
    pub programs: &'a Programs,
    pub size: Size,
    /// The words of a profiler's command line, under which the peer runs; none, to measure it.
    pub tool: &'a [&'a str],
}

impl Measure<'_> {
    /// The figures of one round.
    pub fn once(&self, case: &Case, peer: &Peer) -> Result<Figures, String> {
        match &case.kind {
            Kind::Alone {
                workload,
                work,
                pinned,
            } => {
                let core = pinned.then_some(CLIENT_CORE);
                let program = self.start_alone(peer, workload, work, 1, core)?;
                Ok(figures(&program.figures()?))
            }
            Kind::SpeedUp { workload, work } => self.speed_up(peer, workload, work),
            Kind::Echo {
                connections,
                workers,
                hot,
            } => self.echo(peer, *connections, *workers, *hot),
            Kind::Hello => self.hello(peer),
            Kind::Crawl { fresh, delay_ms } => self.crawl(peer, *fresh, *delay_ms),
        }
    }

    /// Starts a peer that does so much and then ends.
    fn start_alone(
        &self,
        peer: &Peer,
        workload: &str,
        work: &[Work],
        workers: u64,
        core: Option<usize>,
    ) -> Result<Running, String> {
        let mut command = peer.command(self.programs, workload);
        command.args(self.size.arguments(work, peer.divisor));
        self.start(command, workers, core)
    }

    fn start(
        &self,
        mut command: Command,
        workers: u64,
        core: Option<usize>,
    ) -> Result<Running, String> {
        command.args(["--workers", &workers.to_string()]);
        match self.tool {
            [] => Running::start(command, kept_to(core)),
            tool => Running::start_under(tool, &command, kept_to(core)),
        }
    }

    fn speed_up(&self, peer: &Peer, workload: &str, work: &[Work]) -> Result<Figures, String> {
        let mut ns = [0.0; 2];
        for (workers, ns) in (1..).zip(&mut ns) {
            let program = self.start_alone(peer, workload, work, workers, None)?;
            *ns = figure(&program.figures()?, "ns")?;
        }
        let [one, two] = ns;
        let all = [("ns_1", one), ("ns_2", two), ("speed_up", one / two)];
        Ok(all.map(|(name, value)| (name.to_owned(), value)).into())
    }

    fn echo(
        &self,
        peer: &Peer,
        connections: u64,
        workers: u64,
        hot: bool,
    ) -> Result<Figures, String> {
        let (server, port) = self.start_server(peer, "echo", workers)?;
        let mut load = self.echo_load(&server, port, connections);
        let (warm_up, span) = match self.size {
            Size::Full => ("500", "3000"),
            Size::Quick => ("300", "1000"),
            Size::Smoke => ("50", "100"),
        };
        load.args(["--warm-up-ms", warm_up, "--ms", span]);
        if hot {
            load.args(["--hot", "1", "--think-us", "10000"]);
        }
        Ok(figures(
            &Running::start(load, client_core(workers))?.figures()?,
        ))
    }

    /// Clients for that server.
    pub fn echo_load(&self, server: &Running, port: u16, connections: u64) -> Command {
        let connections = match self.size {
            Size::Smoke => connections.min(20),
            _ => connections,
        };
        let mut load = Command::new(self.programs.path("bench-load"));
        load.args(["echo", "--port", &port.to_string()])
            .args(["--pid", &server.pid().to_string()])
            .args(["--connections", &connections.to_string()]);
        load
    }

    /// Starts a peer as a server, on a core of its own if it has one worker, and returns its port.
    pub fn start_server(
        &self,
        peer: &Peer,
        workload: &str,
        workers: u64,
    ) -> Result<(Running, u16), String> {
        let command = peer.command(self.programs, workload);
        let core = (workers == 1).then_some(SERVER_CORE);
        let server = self.start(command, workers, core)?;
        let port = port_of(&server)?;
        Ok((server, port))
    }

    fn hello(&self, peer: &Peer) -> Result<Figures, String> {
        let (server, port) = self.start_server(peer, "hello", 1)?;
        let span = match self.size {
            Size::Full => "-d3s",
            Size::Quick => "-d1s",
            // wrk may not be there.
            Size::Smoke => return say_hello(port),
        };
        let mut wrk = Command::new("wrk");
        wrk.args(["-t1", "-c100", span, "--latency"])
            .arg(format!("http://127.0.0.1:{port}/"));
        let pid = server.pid() as i32;
        let cpu = || machine::cpu_time_of(pid).map_err(|error| error.to_string());
        let (before, begun) = (cpu()?, Instant::now());
        let text = Running::start(wrk, kept_to(Some(CLIENT_CORE)))?.text()?;
        let (used, wall) = (cpu()? - before, begun.elapsed());
        wrk_figures(&text, used, wall).ok_or_else(|| format!("wrk said: {text}"))
    }

    fn crawl(&self, peer: &Peer, fresh: bool, delay_ms: u64) -> Result<Figures, String> {
        let mut site = Command::new(self.programs.path("bench-load"));
        site.args(["pages", "--delay-ms", &delay_ms.to_string()]);
        let site = Running::start(site, kept_to(Some(SERVER_CORE)))?;
        let port = port_of(&site)?;
        let work = [
            Work::Count("pages", 10_000, 1000),
            Work::AtOnce("at-once", 100, 10),
            Work::Fixed("fresh", fresh.into()),
            Work::Fixed("port", port.into()),
        ];
        let client = self.start_alone(peer, "crawl", &work, 1, Some(CLIENT_CORE))?;
        Ok(figures(&client.figures()?))
    }
}

/// Where the clients of a server with so many workers run.
pub fn client_core(workers: u64) -> Option<usize> {
    kept_to((workers == 1).then_some(CLIENT_CORE))
}

/// The core, if there is more than one to choose from.
fn kept_to(core: Option<usize>) -> Option<usize> {
    let cores = available_parallelism().map_or(1, usize::from);
    core.filter(|core| *core < cores)
}

/// A server tells where it listens. It asked for any free port, so it cannot be another's.
fn port_of(server: &Running) -> Result<u16, String> {
    Ok(figure(&server.figures()?, "port")? as u16)
}

fn figure(figures: &Map<String, Value>, name: &str) -> Result<f64, String> {
    let figure = figures.get(name).and_then(Value::as_f64);
    figure.ok_or_else(|| format!("{name} is missing in {figures:?}"))
}

fn figures(figures: &Map<String, Value>) -> Figures {
    let number = |(name, value): (&String, &Value)| Some((name.clone(), value.as_f64()?));
    figures.iter().filter_map(number).collect()
}

/// A few requests by hand, each of which must be answered as it should.
fn say_hello(port: u16) -> Result<Figures, String> {
    let fail = |error: std::io::Error| format!("hello: {error}");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(fail)?;
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .map_err(fail)?;
    let mut buffer = Vec::new();
    let begun = Instant::now();
    const REQUESTS: u32 = 20;
    for _ in 0..REQUESTS {
        let length = fetch(&mut stream, false, &mut buffer).map_err(fail)?;
        if length != HELLO_BODY.len() {
            return Err(format!("hello: a body of {length} bytes"));
        }
    }
    let rate = f64::from(REQUESTS) / begun.elapsed().as_secs_f64();
    Ok([("rate".to_owned(), rate)].into())
}

fn wrk_figures(text: &str, cpu: Duration, wall: Duration) -> Option<Figures> {
    let after = |name: &str| {
        let mut lines = text.lines().map(str::trim);
        lines
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    let requests: f64 = text.lines().find_map(|line| {
        let (count, _) = line.split_once(" requests in ")?;
        count.trim().parse().ok()
    })?;
    let all = [
        ("rate", after("Requests/sec:")?.parse().ok()?),
        ("p50_us", micros(after("50%")?)?),
        ("p99_us", micros(after("99%")?)?),
        ("cpu_us", cpu.as_secs_f64() * 1e6 / requests),
        ("cpu_share", cpu.as_secs_f64() / wall.as_secs_f64()),
    ];
    Some(all.map(|(name, value)| (name.to_owned(), value)).into())
}

/// wrk's durations: "419.00us", "0.97ms", "1.20s".
fn micros(text: &str) -> Option<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    units.into_iter().find_map(|(unit, factor)| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(number * factor)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_wrk_are_understood() {
        let text = "\
Running 3s test @ http://127.0.0.1:1/
    Latency   428.11us  100us
  Latency Distribution
     50%  419.00us
     75%  500.00us
     90%    0.60ms
     99%    0.97ms
  300000 requests in 3.00s, 20MB read
Requests/sec: 100000.50";
        let figures = wrk_figures(text, Duration::from_secs(3), Duration::from_secs(3)).unwrap();
        let wanted = [
            ("cpu_share", 1.0),
            ("cpu_us", 10.0),
            ("p50_us", 419.0),
            ("p99_us", 970.0),
            ("rate", 100_000.5),
        ];
        assert_eq!(
            figures,
            wanted.map(|(name, value)| (name.to_owned(), value)).into()
        );
    }
}
