//! Guides for those who come from elsewhere: [asyncio], [gevent]. This module has documentation only.

pub mod asyncio;
pub mod gevent;
