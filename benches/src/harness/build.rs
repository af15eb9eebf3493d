//! Builds what is measured, and finds out what there is to measure with.

use crate::peers::{Peer, Program, sources};
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Those in Rust. Not the harness, which runs already.
const RUST: &[&str] = &[
    "bench-sylvan",
    "bench-tokio",
    "bench-may",
    "bench-threads",
    "bench-limit",
    "bench-load",
];

/// The built programs.
pub struct Programs {
    folder: PathBuf,
    has_go: bool,
    /// Whether Python has a module.
    modules: BTreeMap<&'static str, bool>,
    /// What is left out, and why.
    pub skipped: Vec<String>,
}

impl Programs {
    /// Builds those in Rust that are `wanted`, or all of them, by cargo's `profile`.
    pub fn build(profile: &str, wanted: &[&str]) -> Result<Programs, String> {
        let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let mut build = Command::new(cargo);
        build
            .args(["build", "--package", "sylvan-benches", "--profile", profile])
            .current_dir(sources());
        for program in if wanted.is_empty() { RUST } else { wanted } {
            build.args(["--bin", program]);
        }
        succeed(&mut build)?;
        let folder = if profile == "dev" { "debug" } else { profile };
        Ok(Programs {
            folder: target()?.join(folder),
            has_go: false,
            modules: BTreeMap::new(),
            skipped: Vec::new(),
        })
    }

    /// Builds the one in Go, and looks what modules Python has.
    pub fn add_other_languages(&mut self) {
        let output = self.path("bench-go");
        let mut go = Command::new("go");
        go.args(["build", "-o"])
            .arg(output)
            .arg(".")
            .current_dir(sources().join("go"));
        match succeed(&mut go) {
            Ok(()) => self.has_go = true,
            Err(message) => self.skipped.push(format!("Go is left out: {message}")),
        }
        for module in [
            "asyncio",
            "uvloop",
            "aiohttp",
            "gevent",
            "aiomultiprocess",
            "multiprocessing",
        ] {
            let there = succeed(Command::new("python3").args(["-c", &format!("import {module}")]));
            if let Err(message) = &there {
                self.skipped
                    .push(format!("{module} is left out: {message}"));
            }
            self.modules.insert(module, there.is_ok());
        }
    }

    /// Whether a peer can be run here.
    pub fn have(&self, peer: &Peer) -> bool {
        match peer.program {
            Program::Rust(_) => true,
            Program::Go => self.has_go,
            Program::Python(_, module) => self.modules.get(module).copied().unwrap_or(false),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// cargo's target folder: this program lies in a folder of it.
pub fn target() -> Result<PathBuf, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let target = program.ancestors().nth(2).map(Path::to_path_buf);
    target.ok_or_else(|| format!("{} lies in no target folder", program.display()))
}

/// Where the report goes.
pub fn report_folder() -> Result<PathBuf, String> {
    let folder = target()?.join("bench-report");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// What a program prints, without the line's end; "unknown" if it cannot be run.
pub fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(sources())
        .stderr(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => "unknown".to_owned(),
    }
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let quiet = name.contains("python");
    if quiet {
        command.stderr(Stdio::null());
    }
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} ended with {status}")),
        Err(error) => Err(format!("{name}: {error}")),
    }
}
