//! The table of what is measured: workloads with their arguments, who takes part, what is told of each,
//! and the marks that sylvan is to reach. It is long because it is a table, and better read in one place.

use crate::peers::{
    AIOHTTP, AIOMULTIPROCESS, ASYNCIO, COROSENSEI, EPOLL, GEVENT, GO, HYPER, MAY, MIO,
    MULTIPROCESSING, Peer, REQWEST, STD, SYLVAN, SYLVAN_1M, SYLVAN_64K, SYLVAN_BY_HAND,
    SYLVAN_HTTP, THREADS, TOKIO, TOKIO_MT, UVLOOP,
};
use crate::results::{Mark, Metric};

pub struct Case {
    pub name: &'static str,
    pub title: &'static str,
    pub kind: Kind,
    pub peers: Vec<Peer>,
    pub metrics: Vec<Metric>,
    pub marks: Vec<Mark>,
}

/// How a case is run.
pub enum Kind {
    /// The program by itself, with its one worker kept to a core or not.
    Alone {
        workload: &'static str,
        work: Vec<Work>,
        pinned: bool,
    },
    /// The program with one worker and with two.
    SpeedUp {
        workload: &'static str,
        work: Vec<Work>,
    },
    /// The program as an echo server, with our clients beside it.
    Echo {
        connections: u64,
        workers: u64,
        hot: bool,
    },
    /// The program as an HTTP server under wrk.
    Hello,
    /// The program as an HTTP client of our site.
    Crawl { fresh: bool, delay_ms: u64 },
}

/// An argument that says how much there is to do.
#[derive(Clone, Copy)]
pub enum Work {
    /// So often, less in a smaller run and for a slow peer, but not less than the second.
    Count(&'static str, u64, u64),
    /// So many at once; as many as the second in a smoke run.
    AtOnce(&'static str, u64, u64),
    Fixed(&'static str, u64),
}

use Work::{AtOnce, Count, Fixed};

/// How much of the work is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Size {
    Full,
    Quick,
    Smoke,
}

impl Size {
    /// The arguments for `work`, of which a peer does the part that its divisor says.
    pub fn arguments(self, work: &[Work], divisor: u64) -> Vec<String> {
        let argument = |work: &Work| {
            let (name, value) = match *work {
                Fixed(name, value) => (name, value),
                AtOnce(name, _, few) if self == Size::Smoke => (name, few),
                AtOnce(name, many, _) => (name, many),
                Count(name, full, least) => match self {
                    Size::Full => (name, (full / divisor).max(least)),
                    Size::Quick => (name, (full / divisor / 10).max(least)),
                    Size::Smoke => (name, (full / 1000).max(least / 10)),
                },
            };
            [format!("--{name}"), value.to_string()]
        };
        work.iter().flat_map(argument).collect()
    }
}

pub fn all() -> Vec<Case> {
    let mut cases = switches();
    cases.extend(waits());
    cases.extend(time());
    cases.extend(memory());
    cases.extend(several_workers());
    cases.extend(sockets());
    cases.extend(children());
    cases.extend(files());
    cases.extend(pools());
    cases
}

/// Those who take part in what needs no socket.
fn everybody() -> Vec<Peer> {
    vec![
        SYLVAN, TOKIO, TOKIO_MT, MAY, GO, THREADS, ASYNCIO, UVLOOP, GEVENT,
    ]
}

fn everybody_and(limit: Peer) -> Vec<Peer> {
    let mut peers = everybody();
    peers.push(limit);
    peers
}

fn switches() -> Vec<Case> {
    let yields = |tasks, depth| {
        [
            AtOnce("tasks", tasks, tasks.min(50)),
            Count("count", 10_000_000, 20_000),
            Fixed("depth", depth),
        ]
    };
    let spawn = |yielding| {
        [
            AtOnce("batch", 1000, 50),
            Count("count", 1_000_000, 10_000),
            Fixed("yield", yielding),
        ]
    };
    vec![
        alone(
            "yield-1000",
            "yield, 1,000 tasks, in the loop",
            "yield",
            &yields(1000, 0),
        )
        .peers(everybody_and(COROSENSEI))
        .mark_at("ns", 25.0),
        alone(
            "yield-1000-deep",
            "yield, 1,000 tasks, 4 frames deep",
            "yield",
            &yields(1000, 4),
        )
        .peers(everybody_and(COROSENSEI))
        .mark_at("ns", 50.0),
        alone(
            "yield-2",
            "yield, 2 tasks, in the loop",
            "yield",
            &yields(2, 0),
        )
        .peers(everybody_and(COROSENSEI))
        .mark_at("ns", 25.0),
        alone(
            "yield-2-deep",
            "yield, 2 tasks, 4 frames deep",
            "yield",
            &yields(2, 4),
        )
        .peers(everybody_and(COROSENSEI)),
        alone(
            "spawn",
            "spawn + join, in batches of 1,000",
            "spawn",
            &spawn(0),
        )
        .peers(everybody_and(COROSENSEI))
        .mark_at("ns", 80.0),
        alone(
            "spawn-yield",
            "spawn + yield + join, in batches of 1,000",
            "spawn",
            &spawn(1),
        )
        .peers(everybody_and(COROSENSEI))
        .mark_at("ns", 110.0),
    ]
}

fn waits() -> Vec<Case> {
    let bounce = |timeout| [Count("count", 2_000_000, 10_000), Fixed("timeout", timeout)];
    let mutex = |each, yielding| {
        [
            AtOnce("tasks", 1000, 50),
            Count("each", each, 50),
            Fixed("yield", yielding),
        ]
    };
    vec![
        alone(
            "pingpong",
            "channel ping-pong, capacity 1, a round trip",
            "pingpong",
            &bounce(0),
        )
        .mark_at("ns", 100.0),
        alone(
            "pingpong-timeout",
            "the same with a limit of 10 s on each receive",
            "pingpong",
            &bounce(1),
        )
        .mark_at("ns", 130.0),
        alone(
            "stream",
            "unbounded channel, one to one, a message",
            "stream",
            &[Count("count", 10_000_000, 100_000)],
        )
        .also("peak_kib", "peak KiB")
        .mark_at("ns", 25.0),
        alone(
            "select",
            "select over two channels of capacity 1, a message",
            "select",
            &[Count("count", 2_000_000, 20_000)],
        )
        .peers(vec![SYLVAN, TOKIO, TOKIO_MT, GO])
        .versus("ns", "tokio-ct", 0.5),
        alone(
            "mutex",
            "mutex, 1,000 tasks, a lock + unlock",
            "mutex",
            &mutex(1000, 0),
        )
        .mark_at("ns", 18.0),
        alone(
            "mutex-yield",
            "mutex held across a yield, 1,000 tasks",
            "mutex",
            &mutex(100, 1),
        )
        .mark_at("ns", 120.0),
        alone(
            "lock",
            "mutex that nobody else wants, a lock + unlock",
            "lock",
            &[Count("count", 10_000_000, 100_000)],
        )
        .peers(vec![SYLVAN, TOKIO, MAY, GO, STD]),
    ]
}

fn time() -> Vec<Case> {
    let timer = |waiting| [Count("count", 1_000_000, 10_000), Fixed("wait", waiting)];
    let sleepers = vec![SYLVAN, TOKIO, TOKIO_MT, GO, ASYNCIO, UVLOOP, GEVENT];
    let fewer = vec![SYLVAN, TOKIO, TOKIO_MT, MAY, GO, THREADS];
    vec![
        alone(
            "timer",
            "limit of 10 s set and taken back",
            "timer",
            &timer(0),
        )
        .peers(vec![SYLVAN, TOKIO, TOKIO_MT, GO, ASYNCIO, UVLOOP, GEVENT])
        .mark_at("ns", 20.0),
        alone(
            "timer-wait",
            "limit of 10 s around a yield, 2 tasks",
            "timer",
            &timer(1),
        )
        .peers(vec![SYLVAN, TOKIO, TOKIO_MT, GO, ASYNCIO, UVLOOP, GEVENT]),
        sleeps(
            "sleeps",
            "100,000 tasks sleep 0..1000 ms: overshoot",
            100_000,
        )
        .peers(sleepers)
        .mark_at("p50_ms", 0.2)
        .mark_at("p99_ms", 1.0),
        sleeps(
            "sleeps-20k",
            "20,000 tasks sleep 0..1000 ms: overshoot",
            20_000,
        )
        .peers(fewer),
    ]
}

fn sleeps(name: &'static str, title: &'static str, tasks: u64) -> Case {
    let work = vec![AtOnce("tasks", tasks, 500)];
    let kind = Kind::Alone {
        workload: "sleeps",
        work,
        pinned: false,
    };
    Case::new(name, title, kind)
        .metric("p50_ms", "p50 ms", true)
        .metric("p99_ms", "p99 ms", true)
        .also("max_ms", "max ms")
        .metric("cpu_s", "CPU s", true)
        .also("peak_kib", "peak KiB")
}

fn memory() -> Vec<Case> {
    let parked = |name, title, tasks| {
        let work = vec![AtOnce("tasks", tasks, 500)];
        let kind = Kind::Alone {
            workload: "memory",
            work,
            pinned: false,
        };
        Case::new(name, title, kind)
            .metric("bytes", "bytes a task", true)
            .also("resident", "of them resident")
            .also("tables", "page tables")
            .also("seconds", "set-up s")
    };
    let green = vec![SYLVAN_64K, SYLVAN_1M, TOKIO, GO, COROSENSEI];
    let mut all = green.clone();
    all.extend([MAY, THREADS, ASYNCIO, UVLOOP, GEVENT]);
    let mut many = green.clone();
    many.extend([ASYNCIO, UVLOOP, GEVENT]);
    vec![
        parked("memory-10k", "10,000 parked tasks", 10_000).peers(all),
        parked("memory-100k", "100,000 parked tasks", 100_000).peers(many),
        parked("memory-1m", "1,000,000 parked tasks", 1_000_000)
            .peers(green)
            .mark_at("bytes", 4.7 * 1024.0),
    ]
}

fn several_workers() -> Vec<Case> {
    let tree = Kind::SpeedUp {
        workload: "tree",
        work: vec![AtOnce("depth", 12, 5), Count("steps", 50_000, 5000)],
    };
    let wake = Kind::Alone {
        workload: "wake",
        work: vec![Count("count", 100_000, 1000)],
        pinned: false,
    };
    vec![
        Case::new(
            "tree",
            "spawn tree that computes, 4,096 leaves: 2 workers over 1",
            tree,
        )
        .peers(vec![SYLVAN, TOKIO_MT, MAY, GO])
        .higher("speed_up", "speed-up")
        .also("ns_1", "ns a leaf, 1 worker")
        .also("ns_2", "ns a leaf, 2 workers")
        .mark_at("speed_up", 1.8),
        Case::new(
            "wake",
            "channel ping-pong between two OS threads, a round trip",
            wake,
        )
        .peers(vec![SYLVAN, TOKIO, MAY, GO, THREADS])
        .metric("ns", "ns", true)
        .also("cpu_ns", "CPU ns"),
    ]
}

fn sockets() -> Vec<Case> {
    let servers = vec![SYLVAN, TOKIO, TOKIO_MT, MAY, GO, EPOLL, MIO];
    let mut all = servers.clone();
    all.extend([THREADS, ASYNCIO, UVLOOP, GEVENT]);
    let two = vec![SYLVAN, TOKIO_MT, MAY, GO, EPOLL];
    let skewed = vec![SYLVAN, TOKIO_MT, MAY, GO];
    let clients = vec![
        SYLVAN,
        SYLVAN_BY_HAND,
        REQWEST,
        HYPER,
        MAY,
        GO,
        THREADS_UREQ,
        AIOHTTP,
        GEVENT,
        EPOLL,
    ];
    let hello = Case::new("hello", "HTTP hello under wrk -t1 -c100", Kind::Hello)
        .peers(vec![
            SYLVAN,
            SYLVAN_HTTP,
            TOKIO,
            TOKIO_MT,
            MAY,
            GO,
            AIOHTTP,
            EPOLL,
        ])
        .metric("cpu_us", "CPU µs a request", true)
        .higher("rate", "requests/s")
        .also("p50_us", "p50 µs")
        .also("p99_us", "p99 µs")
        .also("cpu_share", "CPU share")
        .versus("cpu_us", "tokio-ct", 0.95);
    vec![
        echo("echo-1", "TCP echo, 1 connection", 1, 1).peers(servers.clone()),
        echo("echo-100", "TCP echo, 100 connections", 100, 1)
            .peers(all)
            .versus("cpu_us", "bare epoll", 1.05)
            .versus("syscalls", "bare epoll", 1.05)
            .versus("p99_us", "tokio-ct", 1.0),
        echo("echo-1000", "TCP echo, 1,000 connections", 1000, 1)
            .peers(servers.clone())
            .versus("cpu_us", "bare epoll", 1.05)
            .versus("syscalls", "bare epoll", 1.05)
            .versus("p99_us", "tokio-ct", 1.0),
        echo("echo-10000", "TCP echo, 10,000 connections", 10_000, 1)
            .peers(servers)
            .versus("p99_us", "tokio-ct", 1.0),
        echo(
            "echo-100-2w",
            "TCP echo, 100 connections, 2 workers, not pinned",
            100,
            2,
        )
        .peers(two.clone())
        .versus("rate", "tokio-mt", 1.0)
        .versus("p99_us", "tokio-mt", 0.5),
        echo(
            "echo-1000-2w",
            "TCP echo, 1,000 connections, 2 workers, not pinned",
            1000,
            2,
        )
        .peers(two)
        .versus("rate", "tokio-mt", 1.0)
        .versus("p99_us", "tokio-mt", 0.5),
        skew().peers(skewed).versus("p99_us", "tokio-mt", 1.0),
        hello,
        crawl(
            "crawl",
            "10,000 pages of 10 KiB, keep-alive, 100 at once",
            false,
            0,
        )
        .peers(clients.clone())
        .versus("rate", REQWEST.name, 1.3),
        crawl(
            "crawl-fresh",
            "the same, a new connection for each page",
            true,
            0,
        )
        .peers(clients.clone()),
        crawl(
            "crawl-20ms",
            "keep-alive, the server answers after 20 ms",
            false,
            20,
        )
        .peers(clients.clone()),
        crawl(
            "crawl-fresh-20ms",
            "new connections, the server answers after 20 ms",
            true,
            20,
        )
        .peers(clients),
    ]
}

/// Other programs, which run on whatever core is free.
fn children() -> Vec<Case> {
    let children = |name, title, tasks| {
        let kind = Kind::Alone {
            workload: "children",
            work: vec![
                AtOnce("tasks", tasks, tasks.min(5)),
                Count("count", 1000, 200),
            ],
            pinned: false,
        };
        Case::new(name, title, kind)
            .peers(vec![SYLVAN, TOKIO, TOKIO_MT, THREADS, ASYNCIO, GEVENT])
            .metric("ns", "ns", true)
            .also("cpu_ns", "CPU ns")
    };
    vec![
        children(
            "children",
            "`true` started and waited for, one after another",
            1,
        ),
        children("children-50", "the same, 50 at once", 50),
    ]
}

/// Files that are in the kernel's caches, from empty to two pages.
fn files() -> Vec<Case> {
    let files = |name, title, tasks| {
        let kind = Kind::Alone {
            workload: "files",
            work: vec![
                AtOnce("tasks", tasks, tasks.min(5)),
                Count("count", 10_000, 200),
            ],
            pinned: false,
        };
        let threads = Peer {
            divisor: 1,
            ..THREADS
        };
        Case::new(name, title, kind)
            .peers(vec![SYLVAN, TOKIO, TOKIO_MT, threads])
            .metric("ns", "ns", true)
            .also("cpu_ns", "CPU ns")
    };
    vec![
        files("files", "10,000 small files read, one after another", 1).versus(
            "ns",
            "std threads",
            1.3,
        ),
        files("files-100", "the same, by 100 tasks", 100)
            .versus("ns", "tokio-ct", 1.0 / 1.8)
            .versus("ns", "tokio-mt", 1.0 / 1.8),
    ]
}

/// Pools of two processes.
fn pools() -> Vec<Case> {
    let pool = |name, title, workload, work: &[Work]| {
        let kind = Kind::Alone {
            workload,
            work: work.to_vec(),
            pinned: false,
        };
        Case::new(name, title, kind).peers(vec![SYLVAN, AIOMULTIPROCESS, MULTIPROCESSING])
    };
    let together = |jobs, milliseconds, processes, concurrency| {
        [
            AtOnce("jobs", jobs, 2),
            Fixed("milliseconds", milliseconds),
            Fixed("processes", processes),
            Fixed("concurrency", concurrency),
        ]
    };
    vec![
        pool(
            "pool-apply",
            "process pool, an empty job while it is idle",
            "pool-apply",
            &[Count("count", 2_000, 100)],
        )
        .metric("p50_us", "p50 µs", true)
        .also("p99_us", "p99 µs")
        .mark_at("p50_us", 150.0),
        pool(
            "pool-map",
            "process pool, trivial jobs by one map, default chunks",
            "pool-map",
            &[Count("count", 200_000, 2_000)],
        )
        .higher("rate", "jobs/s")
        .versus("rate", AIOMULTIPROCESS.name, 5.0)
        .versus("rate", MULTIPROCESSING.name, 1.0),
        pool(
            "pool-idle",
            "process pool, idle for 5 s: context switches of all its threads",
            "pool-idle",
            &[AtOnce("milliseconds", 5_000, 100)],
        )
        .metric("switches", "switches", true),
        pool(
            "pool-compute",
            "process pool, 16 jobs of 0.1 s of CPU, 2 processes",
            "pool-compute",
            &together(16, 100, 2, 16),
        )
        .metric("seconds", "s", true),
        pool(
            "pool-compute-1",
            "the same, 1 process",
            "pool-compute",
            &together(16, 100, 1, 16),
        )
        .metric("seconds", "s", true),
        pool(
            "pool-wait",
            "process pool, 64 jobs that wait for 0.2 s, 2 processes, 32 at once in each",
            "pool-wait",
            &together(64, 200, 2, 32),
        )
        .metric("seconds", "s", true),
    ]
}

/// OS threads as fast as the others here: they wait for sockets most of the time.
const THREADS_UREQ: Peer = Peer {
    name: "ureq, 100 threads",
    divisor: 1,
    ..THREADS
};

fn echo(name: &'static str, title: &'static str, connections: u64, workers: u64) -> Case {
    let kind = Kind::Echo {
        connections,
        workers,
        hot: false,
    };
    Case::new(name, title, kind)
        .metric("cpu_us", "CPU µs a message", true)
        .also("syscalls", "system calls a message")
        .higher("rate", "round trips/s")
        .also("p50_us", "p50 µs")
        .metric("p99_us", "p99 µs", true)
        .also("p999_us", "p99.9 µs")
        .also("resident_kib", "RSS KiB")
}

fn skew() -> Case {
    let kind = Kind::Echo {
        connections: 100,
        workers: 2,
        hot: true,
    };
    Case::new(
        "skew",
        "one hot connection in a hundred, 2 workers: the others' latency",
        kind,
    )
    .metric("p99_us", "p99 µs", true)
    .also("p50_us", "p50 µs")
    .also("p999_us", "p99.9 µs")
    .also("hot_rate", "hot messages/s")
}

fn crawl(name: &'static str, title: &'static str, fresh: bool, delay_ms: u64) -> Case {
    Case::new(name, title, Kind::Crawl { fresh, delay_ms })
        .higher("rate", "pages/s")
        .metric("cpu_us", "CPU µs a page", true)
        .also("peak_kib", "peak KiB")
}

/// A workload with one worker on one core.
fn alone(name: &'static str, title: &'static str, workload: &'static str, work: &[Work]) -> Case {
    let kind = Kind::Alone {
        workload,
        work: work.to_vec(),
        pinned: true,
    };
    Case::new(name, title, kind)
        .peers(everybody())
        .metric("ns", "ns", true)
}

impl Case {
    fn new(name: &'static str, title: &'static str, kind: Kind) -> Case {
        Case {
            name,
            title,
            kind,
            peers: Vec::new(),
            metrics: Vec::new(),
            marks: Vec::new(),
        }
    }

    fn peers(mut self, peers: Vec<Peer>) -> Case {
        self.peers = peers;
        self
    }

    /// A figure of which less is better.
    fn metric(mut self, key: &str, title: &str, compared: bool) -> Case {
        self.metrics.push(Metric {
            key: key.to_owned(),
            title: title.to_owned(),
            higher_is_better: false,
            compared,
        });
        self
    }

    /// One that is told and not compared.
    fn also(self, key: &str, title: &str) -> Case {
        self.metric(key, title, false)
    }

    /// A figure of which more is better.
    fn higher(self, key: &str, title: &str) -> Case {
        let mut case = self.metric(key, title, true);
        if let Some(metric) = case.metrics.last_mut() {
            metric.higher_is_better = true;
        }
        case
    }

    /// Sylvan's mark: not more than `bound`, or not less if more is better.
    fn mark_at(self, metric: &str, bound: f64) -> Case {
        self.mark(metric, bound, None)
    }

    /// Sylvan's mark: `factor` times what that peer has.
    fn versus(self, metric: &str, peer: &str, factor: f64) -> Case {
        self.mark(metric, factor, Some(peer.to_owned()))
    }

    fn mark(mut self, metric: &str, bound: f64, peer: Option<String>) -> Case {
        let metric = metric.to_owned();
        self.marks.push(Mark {
            metric,
            bound,
            peer,
        });
        self
    }
}
