//! A clock that counts in units of time, for examples that tell when things happen.

use std::fmt::Display;
use std::io::{self, Write};
use std::process;
use std::time::{Duration, Instant};

use sylvan::thread;

#[derive(Clone, Copy)]
pub struct Clock {
    start: Instant,
    unit: Duration,
}

impl Clock {
    pub fn start(unit_ms: u32) -> Clock {
        Clock {
            start: Instant::now(),
            unit: Duration::from_millis(unit_ms.into()),
        }
    }

    /// The same, from now on.
    pub fn again(self) -> Clock {
        Clock {
            start: Instant::now(),
            ..self
        }
    }

    pub fn units(self, number: f64) -> Duration {
        self.unit.mul_f64(number)
    }

    pub fn sleep(self, units: f64) {
        thread::sleep(self.units(units));
    }

    /// Prints a line, with the time before it.
    pub fn say(self, words: impl Display) {
        let units = self.start.elapsed().as_secs_f64() / self.unit.as_secs_f64();
        // Also said by destructors that run because of an unwinding, which must not panic.
        if let Err(error) = writeln!(io::stdout(), "{units:5.1}  {words}") {
            eprintln!("this cannot be printed: {error}");
            process::exit(1);
        }
    }
}
