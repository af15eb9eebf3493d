//! The frame of a program: it looks up its workload, runs it and prints what came out.

use crate::arguments::{Arguments, refuse};
use crate::machine;
use crate::outcome::Outcome;
use std::net::SocketAddr;

/// A workload's name and what does it.
pub type Workload = (&'static str, fn(&Arguments) -> Outcome);

/// Runs the workload that the command line names.
pub fn run(workloads: &[Workload]) {
    machine::raise_descriptor_limit();
    let arguments = Arguments::of_process();
    match workloads
        .iter()
        .find(|(name, _)| *name == arguments.workload)
    {
        Some((_, workload)) => workload(&arguments).print(),
        None => refuse(&usage(workloads)),
    }
}

fn usage(workloads: &[Workload]) -> String {
    let names: Vec<_> = workloads.iter().map(|(name, _)| *name).collect();
    format!(
        "WORKLOAD [--NAME VALUE ...], with one of {}",
        names.join(", ")
    )
}

/// The address a server listens on: a port that the kernel says is free, unless one is asked for.
#[must_use]
pub fn listen_address(arguments: &Arguments) -> SocketAddr {
    ([127, 0, 0, 1], arguments.number("port", 0)).into()
}

/// Tells whoever started this server where it listens.
pub fn announce(address: SocketAddr) {
    Outcome::new()
        .with("port", f64::from(address.port()))
        .print();
}

/// The server that a client is told to talk to.
#[must_use]
pub fn server_address(arguments: &Arguments) -> SocketAddr {
    match arguments.number("port", 0) {
        0 => refuse("--port is missing"),
        port => ([127, 0, 0, 1], port).into(),
    }
}
