//! The programs that are compared, and how they are started.

use crate::build::Programs;
use std::path::PathBuf;
use std::process::Command;

/// One that is measured: a program and what it is told whatever the workload.
#[derive(Clone, Copy)]
pub struct Peer {
    pub name: &'static str,
    pub program: Program,
    pub arguments: &'static [&'static str],
    /// It does a smaller part of the work, for it would take too long.
    pub divisor: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Rust(&'static str),
    Go,
    Python(&'static str, &'static str),
}

/// The name of the one that all others are compared with.
pub const OURS: &str = "sylvan";

/// The names of those that are a limit begin so.
pub const LIMIT: &str = "bare ";

const fn rust(
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
) -> Peer {
    Peer {
        name,
        program: Program::Rust(program),
        arguments,
        divisor: 1,
    }
}

pub const SYLVAN: Peer = rust(OURS, "bench-sylvan", &[]);
pub const SYLVAN_1M: Peer = rust("sylvan 1 MiB class", "bench-sylvan", &[]);
pub const SYLVAN_64K: Peer = rust(OURS, "bench-sylvan", &["--stack-kib", "64"]);
pub const SYLVAN_BY_HAND: Peer = rust("sylvan by hand", "bench-sylvan", &["--client", "hand"]);
pub const SYLVAN_HTTP: Peer = rust("sylvan + http", "bench-sylvan", &["--server", "http"]);
pub const TOKIO: Peer = rust("tokio-ct", "bench-tokio", &["--flavour", "current_thread"]);
pub const TOKIO_MT: Peer = rust("tokio-mt", "bench-tokio", &["--flavour", "multi_thread"]);
pub const HYPER: Peer = rust("tokio-ct + hyper", "bench-tokio", &["--client", "hyper"]);
pub const REQWEST: Peer = rust(
    "tokio-ct + reqwest",
    "bench-tokio",
    &["--client", "reqwest"],
);
pub const MAY: Peer = rust("may", "bench-may", &[]);
pub const THREADS: Peer = Peer {
    divisor: 20,
    ..rust("std threads", "bench-threads", &[])
};
pub const COROSENSEI: Peer = rust("bare corosensei", "bench-limit", &[]);
pub const STD: Peer = rust("bare std lock", "bench-limit", &[]);
pub const EPOLL: Peer = rust("bare epoll", "bench-limit", &["--via", "epoll"]);
pub const MIO: Peer = rust("bare mio", "bench-limit", &["--via", "mio"]);
pub const GO: Peer = Peer {
    name: "go",
    program: Program::Go,
    arguments: &[],
    divisor: 1,
};
pub const ASYNCIO: Peer = Peer {
    name: "asyncio",
    program: Program::Python("asyncio_peer.py", "asyncio"),
    arguments: &[],
    divisor: 20,
};
pub const UVLOOP: Peer = Peer {
    name: "uvloop",
    program: Program::Python("asyncio_peer.py", "uvloop"),
    arguments: &["--loop", "uvloop"],
    divisor: 20,
};
pub const AIOHTTP: Peer = Peer {
    name: "aiohttp",
    program: Program::Python("asyncio_peer.py", "aiohttp"),
    arguments: &[],
    divisor: 4,
};
pub const GEVENT: Peer = Peer {
    name: "gevent",
    program: Program::Python("gevent_peer.py", "gevent"),
    arguments: &[],
    divisor: 20,
};

pub const AIOMULTIPROCESS: Peer = Peer {
    name: "aiomultiprocess",
    program: Program::Python("pools_peer.py", "aiomultiprocess"),
    arguments: &["--pool", "aiomultiprocess"],
    divisor: 20,
};
pub const MULTIPROCESSING: Peer = Peer {
    name: "multiprocessing",
    program: Program::Python("pools_peer.py", "multiprocessing"),
    arguments: &["--pool", "multiprocessing"],
    divisor: 1,
};

impl Peer {
    pub fn is_rust(&self) -> bool {
        matches!(self.program, Program::Rust(_))
    }

    /// The command that runs `workload`, without the workload's own arguments.
    pub fn command(&self, programs: &Programs, workload: &str) -> Command {
        let mut command = match self.program {
            Program::Rust(name) => Command::new(programs.path(name)),
            Program::Go => Command::new(programs.path("bench-go")),
            Program::Python(file, _) => {
                let mut python = Command::new("python3");
                python.arg(sources().join("python").join(file));
                python
            }
        };
        command.arg(workload).args(self.arguments);
        command
    }
}

/// Where this crate's sources are.
pub fn sources() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
