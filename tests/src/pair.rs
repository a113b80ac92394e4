//! A client and a server core, joined by a link that cuts and delays, on an invented clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use ws_proto::{
    Accept, ClientRequest, Config, Connection, Event, Instant, Piece, RecvBuf, Transmit, Version,
};

use crate::entropy::Repeatable;
use crate::feed::describe;

/// The two ends. Hours of protocol time pass in milliseconds.
pub struct Pair {
    /// The side that connected.
    pub client: Side,
    /// The side that was connected to.
    pub server: Side,
    /// The time on both sides.
    pub now: Instant,
    /// How long bytes are under way.
    pub delay: Duration,
    /// The longest piece the link delivers at a time.
    pub cut: usize,
    /// Whether the link swallows everything: a pulled cable.
    pub broken: bool,
}

/// One end of the link.
pub struct Side {
    /// The core.
    pub connection: Connection,
    /// The events so far, as lines; see [`describe`].
    pub events: Vec<String>,
    /// The pieces of messages so far, once they were asked for.
    pub pieces: Vec<Piece>,
    /// Whether a server accepts requests as they come. On by default.
    pub accepts: bool,
    /// Whether messages are sent back.
    pub echoes: bool,
    /// Whether the socket takes no bytes.
    pub stops_writing: bool,
    /// What was received and not parsed.
    pub input: RecvBuf,
    /// Sees every event whole.
    pub watch: Option<Watch>,
    unwritten: Option<Transmit>,
    arriving: VecDeque<(Instant, Packet)>,
}

/// Sees events as they come.
pub type Watch = Box<dyn FnMut(&Event)>;

/// What one read takes.
const CHUNK: usize = 20_000;

enum Packet {
    Data(Vec<u8>),
    End,
}

/// Everything that a connection has to send, which counts as written.
pub fn written(connection: &mut Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(Transmit::Data(mut data)) = connection.poll_transmit() {
        connection.handle_transmitted(data.remaining());
        bytes.extend_from_slice(&data.copy_to_bytes(data.remaining()));
    }
    bytes
}

impl Pair {
    /// Two ends of the given version with the default configuration, not yet connected.
    pub fn new(version: Version) -> Self {
        Self::with_config(version, &Arc::new(Config::default()))
    }

    /// Two ends of the given version.
    pub fn with_config(version: Version, config: &Arc<Config>) -> Self {
        Self::with_configs(version, config, config)
    }

    /// Two ends of the given version, each with its own configuration.
    ///
    /// # Panics
    /// Never: the URL is well formed.
    pub fn with_configs(version: Version, client: &Arc<Config>, server: &Arc<Config>) -> Self {
        let request = ClientRequest::new("ws://example.com/chat").expect("a well-formed URL");
        let request = request.origin("http://example.com").expect("a well-formed origin");
        let request = request.version(version);
        let now = Instant::from_nanos(0);
        let entropy = Box::new(Repeatable::new(7));
        Self {
            client: Side::new(Connection::client(Arc::clone(client), request, entropy, now)),
            server: Side::new(Connection::server(Arc::clone(server), now)),
            now,
            delay: Duration::from_millis(10),
            cut: usize::MAX,
            broken: false,
        }
    }

    /// Two ends that finished their handshake.
    ///
    /// # Panics
    /// When they do not.
    pub fn connected(version: Version) -> Self {
        let mut pair = Self::new(version);
        pair.drive();
        for side in [&pair.client, &pair.server] {
            assert_eq!(side.connection.version(), Some(version), "{:?}", side.events);
            assert_eq!(side.connection.state(), ws_proto::State::Connected);
        }
        pair
    }

    /// Moves bytes until none is under way; deadlines further off than that do not come.
    pub fn drive(&mut self) {
        self.settle();
        while let Some(at) = self.next_arrival() {
            self.now = self.now.max(at);
            self.settle();
        }
    }

    /// Delivers bytes to the client that the server never sent.
    pub fn inject(&mut self, bytes: &[u8]) {
        self.client.arriving.push_front((self.now, Packet::Data(bytes.to_vec())));
        self.settle();
    }

    /// Delivers the next `n` bytes of the client to the server, in one piece each, and no more.
    pub fn drive_client(&mut self, n: usize) {
        let mut bytes = Vec::new();
        for packet in self.client.settle(self.now, usize::MAX) {
            if let Packet::Data(data) = packet {
                bytes.extend(data);
            }
        }
        let rest = bytes.split_off(n.min(bytes.len()));
        self.server.arriving.push_back((self.now, Packet::Data(bytes)));
        self.settle();
        let later = self.now + Duration::from_secs(1);
        self.server.arriving.push_back((later, Packet::Data(rest)));
    }

    /// Lets `time` pass, with every delivery and every deadline in it.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        loop {
            let timeouts = [&self.client, &self.server].map(|side| side.connection.poll_timeout());
            let next = timeouts.into_iter().flatten().chain(self.next_arrival()).min();
            let Some(at) = next.filter(|at| *at <= end) else { break };
            self.now = self.now.max(at);
            for side in [&mut self.client, &mut self.server] {
                side.connection.handle_timeout(self.now);
            }
            self.settle();
        }
        self.now = end;
        for side in [&mut self.client, &mut self.server] {
            side.connection.handle_timeout(self.now);
        }
        self.settle();
    }

    fn next_arrival(&self) -> Option<Instant> {
        let sides = [&self.client, &self.server];
        sides.into_iter().filter_map(|side| side.arriving.front()).map(|(at, _)| *at).min()
    }

    fn settle(&mut self) {
        loop {
            let sent = self.client.settle(self.now, self.cut);
            let received = self.server.settle(self.now, self.cut);
            if sent.is_empty() && received.is_empty() {
                return;
            }
            if self.broken {
                continue;
            }
            let at = self.now + self.delay;
            self.server.arriving.extend(sent.into_iter().map(|packet| (at, packet)));
            self.client.arriving.extend(received.into_iter().map(|packet| (at, packet)));
        }
    }
}

impl Side {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            events: Vec::new(),
            pieces: Vec::new(),
            accepts: true,
            echoes: false,
            watch: None,
            stops_writing: false,
            input: RecvBuf::with_capacity(CHUNK),
            unwritten: None,
            arriving: VecDeque::new(),
        }
    }

    /// The last event.
    pub fn last(&self) -> &str {
        self.events.last().map_or("", String::as_str)
    }

    /// Whether an event is exactly this line.
    pub fn saw(&self, event: &str) -> bool {
        self.events.iter().any(|seen| seen == event)
    }

    /// Takes what has arrived, obeys the law of the loop, answers what is to be sent.
    fn settle(&mut self, now: Instant, cut: usize) -> Vec<Packet> {
        let mut sent = Vec::new();
        self.drain(now, &mut sent);
        while self.arriving.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, packet)) = self.arriving.pop_front() else { break };
            match packet {
                Packet::End => self.connection.handle_eof(now),
                Packet::Data(bytes) => {
                    for piece in bytes.chunks(cut.min(CHUNK)) {
                        let mut piece = piece;
                        while !piece.is_empty() {
                            let n = self.input.feed(piece);
                            assert!(n > 0, "the core left its input lying");
                            piece = &piece[n..];
                            self.drain(now, &mut sent);
                        }
                    }
                }
            }
            self.drain(now, &mut sent);
        }
        sent
    }

    fn drain(&mut self, now: Instant, sent: &mut Vec<Packet>) {
        loop {
            while let Some(event) = self.connection.poll_event(&mut self.input, now) {
                self.events.push(describe(&event));
                if let Some(watch) = &mut self.watch {
                    watch(&event);
                }
                match event {
                    Event::Request(_) if self.accepts => {
                        self.connection.accept(&Accept::new(), now).expect("the policy accepts");
                    }
                    Event::Message(message) if self.echoes => {
                        self.connection.send(message).expect("room for an echo");
                    }
                    _ => {}
                }
            }
            if let Some(piece) = self.connection.poll_piece() {
                self.pieces.push(piece);
                continue;
            }
            if self.unwritten.is_none() {
                self.unwritten = self.connection.poll_transmit();
            }
            if self.stops_writing && self.unwritten.is_some() {
                return;
            }
            match self.unwritten.take() {
                None => return,
                Some(Transmit::Shutdown) => sent.push(Packet::End),
                Some(Transmit::Data(mut data)) => {
                    let n = data.remaining();
                    sent.push(Packet::Data(data.copy_to_bytes(n).to_vec()));
                    self.connection.handle_transmitted(n);
                }
            }
        }
    }
}
