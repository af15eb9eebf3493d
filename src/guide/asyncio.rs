#![doc = include_str!("asyncio.md")]
