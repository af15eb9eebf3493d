//! The command line of a program: a workload and pairs of `--name value`.

use std::collections::BTreeMap;
use std::env;
use std::process;
use std::str::FromStr;

/// What a program was told to do.
pub struct Arguments {
    /// The first word.
    pub workload: String,
    pairs: BTreeMap<String, String>,
}

impl Arguments {
    /// Those of this process. Ends it with a message if they are not of the form above.
    #[must_use]
    pub fn of_process() -> Arguments {
        let mut words = env::args().skip(1);
        let workload = words.next().unwrap_or_default();
        let mut pairs = BTreeMap::new();
        while let Some(word) = words.next() {
            match (word.strip_prefix("--"), words.next()) {
                (Some(name), Some(value)) => pairs.insert(name.to_owned(), value),
                _ => refuse(&format!("{word}: expected --NAME VALUE")),
            };
        }
        Arguments { workload, pairs }
    }

    /// The number called `name`, or `default`.
    #[must_use]
    pub fn number<N: FromStr>(&self, name: &str, default: N) -> N {
        let Some(text) = self.pairs.get(name) else {
            return default;
        };
        let digits = text.replace('_', "");
        digits
            .parse()
            .unwrap_or_else(|_| refuse(&format!("--{name} {text}: not such a number")))
    }

    /// Whether the number called `name` is there and not 0.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.number(name, 0_u8) != 0
    }

    /// The word called `name`, or `default`.
    #[must_use]
    pub fn word<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.pairs.get(name).map_or(default, String::as_str)
    }
}

/// Ends the process with a message and the status for wrong usage.
pub fn refuse(message: &str) -> ! {
    eprintln!("{message}");
    process::exit(2)
}
