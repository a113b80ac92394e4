use crate::options::Kind;

/// The server that every ratio of echo work refers to.
pub(crate) const FLOOR: &str = "floor-tokio";
/// The server that every ratio of broadcast work refers to.
pub(crate) const BROADCAST_FLOOR: &str = "floor-broadcast";

/// A server that can be measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) source: Source,
    /// The crate or package whose version stands in the result.
    pub(crate) library: &'static str,
    /// Arguments beside `--listen ADDR`.
    pub(crate) args: &'static [&'static str],
}

/// Where a server comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// A program of the package `floors`, which speaks raw TCP.
    Floor,
    /// A package of this workspace, named `peer-` and the library.
    Peer,
    /// The example `echo` of an adapter of the main workspace.
    Ours,
    /// The script in `node`.
    Node,
}

const BATCH: &[&str] = &["--batch"];
const ONE_THREAD: &[&str] = &["--threads", "1"];

/// All servers, in the order in which they have their turns.
pub(crate) const ALL: &[Server] = &[
    floor(FLOOR),
    floor("floor-epoll"),
    floor(BROADCAST_FLOOR),
    Server { name: "ws-tokio", source: Source::Ours, library: "ws-tokio", args: ONE_THREAD },
    peer("fastwebsockets"),
    peer("sockudo-ws"),
    batching("sockudo-ws+batch", "sockudo-ws"),
    peer("tokio-websockets"),
    batching("tokio-websockets+batch", "tokio-websockets"),
    peer("tokio-tungstenite"),
    batching("tokio-tungstenite+batch", "tokio-tungstenite"),
    peer("yawc"),
    batching("yawc+batch", "yawc"),
    peer("wtx"),
    peer("soketto"),
    peer("async-tungstenite"),
    batching("async-tungstenite+batch", "async-tungstenite"),
    Server { name: "node-ws", source: Source::Node, library: "ws", args: &[] },
];

impl Server {
    /// Whether the server can do this kind of work.
    pub(crate) fn does(&self, kind: Kind) -> bool {
        (kind == Kind::Broadcast) == (self.name == BROADCAST_FLOOR)
    }
}

const fn floor(name: &'static str) -> Server {
    Server { name, source: Source::Floor, library: "tokio", args: &[] }
}

const fn peer(name: &'static str) -> Server {
    Server { name, source: Source::Peer, library: name, args: &[] }
}

const fn batching(name: &'static str, library: &'static str) -> Server {
    Server { name, source: Source::Peer, library, args: BATCH }
}
