//! One case of one peer, alone, so that a profiler sees nothing else.

use crate::build::Programs;
use crate::cases::Size;
use crate::measure::Measure;
use crate::peers::{OURS, Program};
use crate::rounds::{PROFILE, chosen};

pub fn run(words: &[&str]) -> Result<(), String> {
    let (words, tool) = match words.iter().position(|word| *word == "--") {
        Some(place) => (&words[..place], &words[place + 1..]),
        None => (words, &[][..]),
    };
    let (name, wanted) = match words {
        [name] => (*name, OURS),
        [name, "--peer", peer] => (*name, *peer),
        _ => return Err("profile CASE [--peer PEER] [-- TOOL ...]".to_owned()),
    };
    let case = chosen(&[name])?.into_iter().find(|case| case.name == name);
    let case = case.ok_or_else(|| format!("no case is called {name}"))?;
    let peer = case.peers.iter().find(|peer| peer.name == wanted);
    let peer = peer.ok_or_else(|| format!("{wanted} takes no part in {name}"))?;
    // Its own, and the one it talks to.
    let own = match peer.program {
        Program::Rust(name) => name,
        Program::Go | Program::Python(..) => "bench-load",
    };
    let mut programs = Programs::build(PROFILE, &[own, "bench-load"])?;
    if !peer.is_rust() {
        programs.add_other_languages();
    }
    let measure = Measure {
        programs: &programs,
        size: Size::Full,
        tool,
    };
    for (name, figure) in measure.once(&case, peer)? {
        println!("{name:<14} {figure}");
    }
    Ok(())
}
