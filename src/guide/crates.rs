#![doc = include_str!("crates.md")]
