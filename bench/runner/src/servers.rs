use crate::options::Kind;

/// The server that every ratio refers to, but those of broadcasts.
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
    /// Arguments beside those that the work asks for.
    pub(crate) args: &'static [&'static str],
    /// What it does beside echo, idle and connect work.
    able: &'static [Kind],
    /// Whether it has a part in nothing but that.
    apart: bool,
}

/// Where a server comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// A program of the package `floors`, which speaks raw TCP.
    Floor(&'static str),
    /// A program of the package of this workspace that is named `peer-` and the library.
    Peer(&'static str),
    /// A program of the package `ours`.
    Ours(&'static str),
    /// The script in `node`.
    Node,
}

use Kind::{Broadcast, Cores, Deflate, DeflateBroadcast, Draft76, Takeover, Tls};

const BATCH: &[&str] = &["--batch"];
const TWO: &[&str] = &["--threads", "2"];
const TWO_APART: &[&str] = &["--threads", "2", "--reuse-port"];

const OURS: &[Kind] = &[Broadcast, Cores, Deflate, DeflateBroadcast, Draft76, Takeover, Tls];

/// All servers, in the order in which they have their turns.
pub(crate) const ALL: &[Server] = &[
    floor(FLOOR, FLOOR).able(&[Cores, Deflate, Draft76, Takeover, Tls]),
    floor("floor-tokio 2 threads", FLOOR).args(TWO).only(&[Cores]),
    floor("floor-tokio 2 × reuse-port", FLOOR).args(TWO_APART).only(&[Cores]),
    floor("floor-epoll", "floor-epoll"),
    floor(BROADCAST_FLOOR, BROADCAST_FLOOR).only(&[Broadcast, DeflateBroadcast]),
    ours("ws-tokio", "ours-tokio", "ws-tokio").able(OURS),
    ours("ws-tokio on_message", "ours-tokio", "ws-tokio").args(&["--events"]),
    ours("ws-tokio 2 threads", "ours-tokio", "ws-tokio").args(TWO).only(&[Cores]),
    ours("ws-tokio 2 × reuse-port", "ours-tokio", "ws-tokio").args(TWO_APART).only(&[Cores]),
    ours("ws-smol", "ours-smol", "ws-smol").able(&[Broadcast]),
    ours("ws-async-std", "ours-async-std", "ws-async-std").able(&[Broadcast]),
    peer("fastwebsockets").able(&[Broadcast, Tls]),
    peer("sockudo-ws").able(&[Broadcast, Deflate, Takeover, Tls]),
    batching("sockudo-ws+batch", "sockudo-ws").able(&[Deflate, Takeover, Tls]),
    peer("tokio-websockets").able(&[Broadcast, Tls]),
    batching("tokio-websockets+batch", "tokio-websockets").able(&[Tls]),
    peer("tokio-tungstenite").able(&[Broadcast, Tls]),
    batching("tokio-tungstenite+batch", "tokio-tungstenite").able(&[Tls]),
    peer("yawc").able(&[Broadcast, Deflate, DeflateBroadcast, Takeover, Tls]),
    batching("yawc+batch", "yawc").able(&[Deflate, Takeover, Tls]),
    peer("wtx"),
    peer("soketto").able(&[Broadcast, Tls]),
    async_tungstenite("async-tungstenite smol", "peer-async-tungstenite").able(&[Broadcast]),
    async_tungstenite("async-tungstenite smol+batch", "peer-async-tungstenite").args(BATCH),
    async_tungstenite("async-tungstenite async-std", "peer-async-tungstenite-std")
        .able(&[Broadcast]),
    async_tungstenite("async-tungstenite async-std+batch", "peer-async-tungstenite-std")
        .args(BATCH),
    server("node-ws", Source::Node, "ws").able(&[
        Broadcast,
        Deflate,
        DeflateBroadcast,
        Takeover,
        Tls,
    ]),
];

impl Server {
    /// Whether the server can do this kind of work.
    pub(crate) fn does(&self, kind: Kind) -> bool {
        match kind {
            Kind::Echo | Kind::Idle | Kind::Connect => !self.apart,
            _ => self.able.contains(&kind),
        }
    }

    /// Whether it speaks raw TCP, whatever the others speak.
    pub(crate) fn is_floor(&self) -> bool {
        matches!(self.source, Source::Floor(_))
    }

    /// Whether it is of this tree.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self.source, Source::Ours(_))
    }

    /// Whether both are the same program.
    pub(crate) fn is_built_like(&self, other: &Self) -> bool {
        self.source == other.source && self.library == other.library
    }

    const fn able(self, able: &'static [Kind]) -> Self {
        Self { able, ..self }
    }

    const fn only(self, able: &'static [Kind]) -> Self {
        Self { able, apart: true, ..self }
    }

    const fn args(self, args: &'static [&'static str]) -> Self {
        Self { args, ..self }
    }
}

const fn server(name: &'static str, source: Source, library: &'static str) -> Server {
    Server { name, source, library, args: &[], able: &[], apart: false }
}

const fn floor(name: &'static str, program: &'static str) -> Server {
    server(name, Source::Floor(program), "tokio")
}

const fn ours(name: &'static str, program: &'static str, library: &'static str) -> Server {
    server(name, Source::Ours(program), library)
}

/// A peer whose program has the name of its package.
const fn peer(library: &'static str) -> Server {
    server(library, Source::Peer(""), library)
}

const fn batching(name: &'static str, library: &'static str) -> Server {
    server(name, Source::Peer(""), library).args(BATCH)
}

const fn async_tungstenite(name: &'static str, program: &'static str) -> Server {
    server(name, Source::Peer(program), "async-tungstenite")
}
