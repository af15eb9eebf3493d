#![doc = include_str!("gevent.md")]
