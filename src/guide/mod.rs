//! Guides for those who come from elsewhere: [asyncio], [gevent], and with the feature `http` aiohttp; and which of
//! [other people's crates](crates) go together with this one. This module has documentation only.

#[cfg(feature = "http")]
pub mod aiohttp;
pub mod asyncio;
pub mod crates;
pub mod gevent;
