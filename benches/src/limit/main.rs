//! What no library can beat: the same workloads on the bare switch, the bare poll and the bare lock.

mod sockets;
mod switches;

use sylvan_benches::program;

fn main() {
    program::run(&[
        ("yield", switches::yields),
        ("spawn", switches::spawns),
        ("memory", switches::memory),
        ("lock", switches::lock),
        ("echo", sockets::echo),
        ("hello", sockets::hello),
        ("crawl", sockets::crawl),
    ]);
}
