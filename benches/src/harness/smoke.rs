//! Every case of every peer in Rust once, as small as can be: that they run, and measure something.

use crate::build::Programs;
use crate::cases::Size;
use crate::measure::Measure;
use crate::rounds::chosen;

pub fn run(filters: &[&str]) -> Result<(), String> {
    let cases = chosen(filters)?;
    let programs = Programs::build("dev", &[])?;
    let measure = Measure {
        programs: &programs,
        size: Size::Smoke,
        tool: &[],
    };
    let (mut passed, mut failed) = (0, 0);
    for case in &cases {
        for peer in case.peers.iter().filter(|peer| peer.is_rust()) {
            let figures = measure.once(case, peer);
            let failure = match figures {
                Ok(figures) if figures.values().any(|figure| *figure > 0.0) => None,
                Ok(figures) => Some(format!("nothing was measured: {figures:?}")),
                Err(message) => Some(message),
            };
            match failure {
                None => passed += 1,
                Some(message) => {
                    failed += 1;
                    println!("{}, {}: {message}", case.name, peer.name);
                }
            }
        }
    }
    println!("{passed} programs measured something, {failed} did not");
    if failed == 0 {
        Ok(())
    } else {
        Err("a benchmark does not run".to_owned())
    }
}
