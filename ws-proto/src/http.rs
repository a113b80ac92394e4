//! HTTP/1.1 heads, as far as a WebSocket handshake needs them (RFC 9112 sections 2 to 5).
//!
//! Strict on purpose: what two parsers read differently is refused, not repaired.

pub(crate) mod first_line;
pub(crate) mod grammar;

mod headers;
pub use headers::Headers;
pub(crate) use headers::is_same;

mod lines;

mod reader;
pub(crate) use reader::{Head, HeadReader};

mod write;
pub(crate) use write::write_field;
