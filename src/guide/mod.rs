//! Guides for those who come from elsewhere: [asyncio], [gevent], and with the feature `http` aiohttp. This module has
//! documentation only.

#[cfg(feature = "http")]
pub mod aiohttp;
pub mod asyncio;
pub mod gevent;
