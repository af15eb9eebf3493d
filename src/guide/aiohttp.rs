#![doc = include_str!("aiohttp.md")]
