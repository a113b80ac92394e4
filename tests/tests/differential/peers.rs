//! tungstenite and fastwebsockets over memory, each behind the same three functions.

mod fast;
mod tung;

use ws_proto::Role;

use crate::outcome::{CloseBody, Item, Outcome};

/// A library that is not ours.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Reads bytes as this role.
    pub(crate) receive: fn(Role, &[u8]) -> Outcome,
    /// The bytes of items, data cut into fragments of at most so many bytes, and of a close frame.
    pub(crate) send: fn(Role, &[Item], usize, &CloseBody) -> Vec<u8>,
}

pub(crate) const TUNGSTENITE: &str = "tungstenite";
pub(crate) const FASTWEBSOCKETS: &str = "fastwebsockets";

pub(crate) const PEERS: [Peer; 2] = [
    Peer { name: TUNGSTENITE, receive: tung::receive, send: tung::send },
    Peer { name: FASTWEBSOCKETS, receive: fast::receive, send: fast::send },
];

/// Text or binary in pieces of `size` bytes, at least one: the piece, whether it is the first,
/// whether it is the last.
fn fragments(payload: &[u8], size: usize) -> Vec<(Vec<u8>, bool, bool)> {
    let pieces: Vec<_> = match payload {
        [] => vec![payload],
        _ => payload.chunks(size).collect(),
    };
    let last = pieces.len() - 1;
    let of = |(at, piece): (usize, &[u8])| (piece.to_vec(), at == 0, at == last);
    pieces.into_iter().enumerate().map(of).collect()
}
