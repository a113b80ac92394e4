//! What the tests of the whole project share.

pub mod client;
pub mod conformance;
pub mod entropy;
pub mod feed;
pub mod foreign;
pub mod pair;
pub mod pki;
pub mod requests;
pub mod suite;

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// So do those of the guide.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide.md")]
pub struct Guide;

/// And those of the page for users of node-websocket-server.
#[cfg(doctest)]
#[doc = include_str!("../../docs/migration-from-node-websocket-server.md")]
pub struct Migration;
