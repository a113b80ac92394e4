//! What no foreign suite asks: handshakes, draft75, draft76, hybi 7 and 8, limits and security, as
//! data that any server can be held against.
//!
//! The cases are in `tests/conformance/cases`, their format in `tests/conformance/README.md`.

mod answer;
mod case;
mod inbox;
mod literal;
mod peer;
mod report;
mod run;
mod step;

pub use case::{Case, Entry, Opening, cases};
pub use literal::{Target, literal};
pub use peer::{Core, Patience, Peer, Received, Socket};
pub use report::{Line, PATIENCE, Server, Verdict, counts, json, summary};
pub use run::play;
