//! One side, fed a vector in every way in which bytes may arrive.

use std::sync::Arc;

use bytes::Buf;
use ws_proto::{
    Accept, ClientRequest, Config, Connection, Event, Instant, Message, MessageKind, Piece,
    RecvBuf, State, Transmit, Version,
};

use crate::entropy::Repeatable;

/// What came of a vector.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// The events, each as a short line; see [`describe`].
    pub events: Vec<String>,
    /// Every byte that was sent.
    pub sent: Vec<u8>,
    /// Whether this side ended its stream.
    pub ended: bool,
}

impl Outcome {
    /// The bytes sent, as text for HTTP answers.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.sent).into_owned()
    }

    /// The HTTP status that was sent, 0 when none was.
    pub fn status(&self) -> u16 {
        self.text().split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// The bytes sent behind the head of the answer.
    pub fn after_head(&self) -> &[u8] {
        let end = self.sent.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        end.map_or(&[][..], |end| &self.sent[end + 4..])
    }

    /// The outcome without pongs: of a flood of pings not all are answered, so how
    /// many pongs there are does depend on the cuts. So do the masking keys behind them, which go
    /// too.
    #[must_use]
    pub fn without_pongs(mut self) -> Self {
        let has_frames = ["request rfc6455", "request hybi"].iter().any(|start| self.has(start))
            || self.text().starts_with("GET ") && self.text().contains("Sec-WebSocket-Version: ");
        if !has_frames {
            return self;
        }
        let frames = self.after_head().to_vec();
        self.sent.truncate(self.sent.len() - frames.len());
        let mut rest = frames.as_slice();
        while let [first, second, tail @ ..] = rest {
            let (extra, len) = match second & 0x7F {
                126 => (2, usize::from(u16::from_be_bytes([tail[0], tail[1]]))),
                127 => (8, u64::from_be_bytes(tail[..8].try_into().unwrap_or_default()) as usize),
                short => (0, usize::from(short)),
            };
            let (head, behind) = rest.split_at(2 + extra);
            let (key, behind) = behind.split_at(if second & 0x80 == 0 { 0 } else { 4 });
            let (payload, behind) = behind.split_at(len);
            if *first != 0x8A {
                self.sent.extend_from_slice(head);
                let key = key.iter().chain(&[0; 4]).take(4).cycle();
                self.sent.extend(payload.iter().zip(key).map(|(byte, key)| byte ^ key));
            }
            rest = behind;
        }
        self
    }

    /// The last event.
    pub fn last(&self) -> &str {
        self.events.last().map_or("", String::as_str)
    }

    /// Whether an event begins with `start`.
    pub fn has(&self, start: &str) -> bool {
        self.events.iter().any(|event| event.starts_with(start))
    }
}

/// An event as a line without anything that differs from run to run.
pub fn describe(event: &Event) -> String {
    match event {
        Event::State { from, to } => format!("state {} -> {}", *from as u8, *to as u8),
        Event::Request(request) => format!("request {} {}", request.version(), request.target()),
        Event::Http(bytes) => format!("http {}", bytes.len()),
        Event::Message(Message::Text(text)) if text.len() < 100 => format!("text {text}"),
        Event::Message(message) => {
            let kind = if message.is_text() { "text" } else { "binary" };
            format!("{kind} of {} bytes", message.len())
        }
        Event::Ping(payload) => format!("ping {payload:?}"),
        Event::Pong(payload) => format!("pong {payload:?}"),
        Event::Writable => "writable".into(),
        Event::Closed(closed) => format!("closed {} {closed}", closed.code()),
        event => format!("{event:?}"),
    }
}

/// A server that accepts every request and echoes every message, or a client that echoes.
pub struct Echo {
    connection: Connection,
    input: RecvBuf,
    outcome: Outcome,
    now: Instant,
    last_state: State,
    closed: bool,
    stream: Option<Streamed>,
    reads: usize,
}

/// The message that arrives in pieces.
#[derive(Default)]
struct Streamed {
    /// What is there of it, once it has begun.
    message: Option<(MessageKind, Vec<u8>)>,
    /// How much of it the events tell already.
    told: usize,
}

impl Echo {
    /// A server at the start of its clock.
    pub fn new(config: &Arc<Config>) -> Self {
        let now = Instant::from_nanos(0);
        Self::with(Connection::server(Arc::clone(config), now), now)
    }

    /// A client at the start of its clock, whose request is the same every time, so that the same
    /// [`answer`] opens it.
    ///
    /// # Panics
    /// Never: the URL is well formed.
    pub fn client(config: &Arc<Config>, version: Version) -> Self {
        let now = Instant::from_nanos(0);
        let request = ClientRequest::new("ws://example.com/chat").expect("a well-formed URL");
        let request = request.origin("http://example.com").expect("a well-formed origin");
        let entropy = Box::new(Repeatable::new(7));
        let request = request.version(version);
        Self::with(Connection::client(Arc::clone(config), request, entropy, now), now)
    }

    fn with(connection: Connection, now: Instant) -> Self {
        Self {
            connection,
            input: RecvBuf::with_capacity(4096),
            outcome: Outcome::default(),
            now,
            last_state: State::Unknown,
            closed: false,
            stream: None,
            reads: 0,
        }
    }

    /// The same, which takes messages in pieces and does not send them back.
    #[must_use]
    pub fn in_pieces(mut self) -> Self {
        self.stream = Some(Streamed::default());
        self.connection.set_streaming(true, self.now);
        self
    }

    /// Feeds one piece and takes everything that comes of it.
    ///
    /// # Panics
    /// When an invariant of the core is broken: a state that shrinks, an event after `Closed`.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        self.settle();
        while !bytes.is_empty() {
            let n = self.receive(bytes);
            assert!(n > 0, "the core left its input lying: {:?}", self.input);
            bytes = &bytes[n..];
            self.settle();
        }
    }

    /// Reads in one of the ways after the other that there are: into memory that was made for a
    /// message, into a slice, or as what the buffer wants.
    fn receive(&mut self, bytes: &[u8]) -> usize {
        self.reads += 1;
        if self.input.is_idle() {
            match self.reads % 3 {
                0 => self.input = RecvBuf::for_message((bytes.len() + 1).min(80_000)),
                // The next reads go into one that was used.
                _ if self.input.capacity() == 4096 => {}
                _ => self.input = RecvBuf::with_capacity(4096),
            }
        }
        if self.reads % 3 != 1 {
            return self.input.feed(bytes);
        }
        let spare = self.input.spare_mut();
        let n = spare.len().min(bytes.len());
        spare[..n].copy_from_slice(&bytes[..n]);
        self.input.filled(n);
        n
    }

    /// Says that the peer ended its stream.
    pub fn eof(&mut self) {
        self.connection.handle_eof(self.now);
        self.settle();
    }

    /// Lets every deadline pass.
    pub fn wait(&mut self) {
        for _ in 0..100 {
            let Some(deadline) = self.connection.poll_timeout() else { return };
            self.now = self.now.max(deadline);
            self.connection.handle_timeout(self.now);
            self.settle();
        }
    }

    /// The connection, to give it commands; [`settle`](Self::settle) afterwards.
    pub fn connection(&mut self) -> (&mut Connection, Instant) {
        (&mut self.connection, self.now)
    }

    /// The law of the loop: events, then bytes, until there are none.
    ///
    /// # Panics
    /// As [`feed`](Self::feed).
    pub fn settle(&mut self) {
        loop {
            while let Some(event) = self.connection.poll_event(&mut self.input, self.now) {
                self.take(event);
            }
            if let Some(piece) = self.connection.poll_piece() {
                self.take_piece(&piece);
                continue;
            }
            let Some(transmit) = self.connection.poll_transmit() else { return };
            self.transmit(transmit);
        }
    }

    /// What came of what was fed so far.
    pub fn seen(&self) -> &Outcome {
        &self.outcome
    }

    /// What came of all that was fed.
    pub fn outcome(self) -> Outcome {
        self.outcome
    }

    fn take(&mut self, event: Event) {
        assert!(!self.closed, "an event after Closed: {event:?}");
        if let Some(Streamed { message: Some((_, bytes)), told }) = &mut self.stream
            && bytes.len() > *told
        {
            // Where it comes between the pieces must not depend on the cuts.
            *told = bytes.len();
            self.outcome.events.push(format!("piece up to {}", bytes.len()));
        }
        self.outcome.events.push(describe(&event));
        match event {
            Event::State { from, to } => {
                assert_eq!(from, self.last_state, "a step was left out");
                assert!(from.next().contains(&to), "{from} -> {to} is not in the table");
                self.last_state = to;
            }
            Event::Request(_) => {
                self.connection.accept(&Accept::new(), self.now).expect("the policy accepts");
            }
            Event::Message(_) if self.stream.is_some() => {}
            Event::Message(message) => {
                if let Err(error) = self.connection.send(message) {
                    self.outcome.events.push(format!("not echoed: {error}"));
                }
            }
            Event::Closed(_) => {
                assert_eq!(self.last_state, State::Closed, "Closed before the last state");
                self.closed = true;
            }
            _ => {}
        }
    }

    /// Joins the pieces of a message, which is told as any other when it is complete.
    fn take_piece(&mut self, piece: &Piece) {
        assert!(!self.closed, "a piece after Closed");
        assert!(piece.part.len() <= 128 << 10, "a piece of {} bytes", piece.part.len());
        let stream = self.stream.as_mut().expect("pieces were asked for");
        assert_eq!(piece.is_first, stream.message.is_none(), "{piece:?}");
        assert!(piece.is_last || !piece.part.is_empty(), "an empty piece");
        let kind = piece.part.kind();
        let (begun, bytes) = stream.message.get_or_insert((kind, Vec::new()));
        assert_eq!(*begun, kind);
        if let Some(text) = piece.part.as_text() {
            assert!(std::str::from_utf8(text.as_bytes()).is_ok(), "a character was cut");
        }
        bytes.extend_from_slice(piece.part.as_bytes());
        if piece.is_last {
            let bytes = std::mem::take(bytes);
            let message = match kind {
                MessageKind::Text => Message::text(String::from_utf8(bytes).expect("text")),
                MessageKind::Binary => Message::binary(bytes),
            };
            *stream = Streamed::default();
            self.outcome.events.push(describe(&Event::Message(message)));
        }
    }

    fn transmit(&mut self, transmit: Transmit) {
        match transmit {
            Transmit::Data(mut data) => {
                assert!(!self.outcome.ended, "bytes behind the end of the stream");
                while data.has_remaining() {
                    let n = data.chunk().len();
                    self.outcome.sent.extend_from_slice(data.chunk());
                    data.advance(n);
                    self.connection.handle_transmitted(n);
                }
            }
            Transmit::Shutdown => {
                assert!(!self.outcome.ended, "the stream was ended twice");
                self.outcome.ended = true;
            }
        }
    }
}

/// What a server with this configuration answers to the request of [`Echo::client`].
pub fn answer(config: &Arc<Config>, version: Version) -> Vec<u8> {
    let mut client = Echo::client(config, version);
    client.settle();
    let mut server = Echo::new(config);
    server.feed(&client.outcome().sent);
    server.outcome().sent
}

/// Feeds `bytes` to an echo server whole, byte by byte and in repeatable random cuts, and answers
/// what came of it. The same to one that takes messages in pieces, which has to get the same
/// messages, and may get more where other limits hold.
///
/// # Panics
/// When the cuts make a difference to the events or to the bytes sent.
pub fn every_way(config: &Arc<Config>, bytes: &[u8]) -> Outcome {
    also_in_pieces(bytes, || Echo::new(config))
}

/// The same to a client, which gets `bytes` behind the answer to its request.
///
/// # Panics
/// As [`every_way`].
pub fn every_way_to_client(config: &Arc<Config>, version: Version, bytes: &[u8]) -> Outcome {
    let bytes = [&answer(config, version), bytes].concat();
    also_in_pieces(&bytes, || Echo::client(config, version))
}

fn also_in_pieces(bytes: &[u8], start: impl Fn() -> Echo) -> Outcome {
    let whole = every_cut(bytes, &start);
    let pieces = every_cut(bytes, || start().in_pieces());
    let messages = |outcome: &Outcome| -> Vec<String> {
        let told = |event: &&String| event.starts_with("text") || event.starts_with("binary");
        outcome.events.iter().filter(told).cloned().collect()
    };
    let (joined, expected) = (messages(&pieces), messages(&whole));
    assert!(joined.starts_with(&expected), "in pieces {joined:?}, whole {expected:?}");
    whole
}

/// Feeds `bytes` whole, byte by byte and in random cuts, each to a new side, which then sees the
/// end of the stream. Answers what came before that.
///
/// # Panics
/// When the cuts make a difference to the events or to the bytes sent.
pub fn every_cut(bytes: &[u8], start: impl Fn() -> Echo) -> Outcome {
    let whole = cut(start(), bytes, |rest| rest);
    let expected = whole.clone().map(Outcome::without_pongs);
    let same = |cuts: [Outcome; 2], how: &str| {
        let cuts = cuts.map(Outcome::without_pongs);
        for (cut, expected) in cuts.iter().zip(&expected) {
            assert_eq!(cut.events, expected.events, "{how}: other events than whole");
            assert_eq!(cut.text(), expected.text(), "{how}: another answer than whole");
            assert!(cut == expected, "{how} differs from whole");
        }
    };
    same(cut(start(), bytes, |_| 1), "byte by byte");
    for seed in 0..8 {
        let mut entropy = Repeatable::new(seed);
        let cut = cut(start(), bytes, |rest| 1 + entropy.below(rest.min(50)));
        same(cut, &format!("cuts with seed {seed}"));
    }
    let [outcome, _] = whole;
    outcome
}

/// Feeds `bytes` to this side in cuts whose lengths `next` chooses, given how much is left, and
/// then the end of the stream. Answers what came of the bytes alone, and of both.
///
/// # Panics
/// When the end of the stream does not end the connection.
pub fn cut(mut echo: Echo, mut bytes: &[u8], mut next: impl FnMut(usize) -> usize) -> [Outcome; 2] {
    while !bytes.is_empty() {
        let n = next(bytes.len()).clamp(1, bytes.len());
        let (piece, rest) = bytes.split_at(n);
        echo.feed(piece);
        bytes = rest;
    }
    let before = echo.seen().clone();
    echo.eof();
    echo.wait();
    assert!(echo.closed, "the end of the stream leaves it open");
    [before, echo.outcome()]
}

/// A default configuration, shared.
pub fn config() -> Arc<Config> {
    Arc::new(Config::default())
}
