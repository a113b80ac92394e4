//! Messages that are taken in pieces while they arrive.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use proptest::prelude::*;
use ws_proto::{
    Accept, Close, Config, ConfigBuilder, Connection, Deflate, Event, Instant, Limits, Message,
    MessageKind, Piece, RecvBuf, State, Transmit, Version,
};
use ws_tests::entropy::Repeatable;
use ws_tests::feed::{Echo, config, describe, every_cut};
use ws_tests::pair::Pair;
use ws_tests::requests::{RFC6455, frame, with};

const NOW: Instant = Instant::from_nanos(0);

/// A server that has opened, and what it has read.
struct Reader {
    connection: Connection,
    input: RecvBuf,
    events: Vec<String>,
}

impl Reader {
    fn new(limits: Limits) -> Self {
        Self::open(Config::builder().limits(limits), RFC6455)
    }

    fn open(options: ConfigBuilder, request: &str) -> Self {
        let config = options.build().expect("good options");
        let connection = Connection::server(Arc::new(config), NOW);
        let mut reader =
            Self { connection, input: RecvBuf::with_capacity(1 << 20), events: Vec::new() };
        reader.feed(request.as_bytes());
        ws_tests::pair::written(&mut reader.connection);
        reader.events.clear();
        reader
    }

    fn feed(&mut self, bytes: &[u8]) {
        assert_eq!(self.input.feed(bytes), bytes.len());
        self.events();
    }

    fn events(&mut self) {
        while let Some(event) = self.connection.poll_event(&mut self.input, NOW) {
            self.events.push(describe(&event));
            if let Event::Request(_) = event {
                self.connection.accept(&Accept::new(), NOW).expect("the policy accepts");
            }
        }
    }

    /// The next piece as text, with `<` and `>` where the message begins and ends.
    fn piece(&mut self) -> Option<String> {
        let Piece { part, is_first, is_last, .. } = self.connection.poll_piece()?;
        let (start, end) = (if is_first { "<" } else { "" }, if is_last { ">" } else { "" });
        Some(format!("{start}{}{end}", String::from_utf8_lossy(part.as_bytes())))
    }

    fn streaming(&mut self, on: bool) {
        self.connection.set_streaming(on, NOW);
        self.events();
    }
}

/// The one message that these pieces are.
fn joined(pieces: &[Piece]) -> Message {
    let last = pieces.len() - 1;
    for (n, piece) in pieces.iter().enumerate() {
        assert_eq!((piece.is_first, piece.is_last), (n == 0, n == last));
        assert!(piece.part.len() <= 128 << 10);
        assert_eq!(piece.part.kind(), pieces[0].part.kind());
    }
    let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.part.as_bytes()).copied().collect();
    match pieces[0].part.kind() {
        MessageKind::Text => Message::text(String::from_utf8(bytes).expect("text")),
        MessageKind::Binary => Message::binary(bytes),
    }
}

#[test]
fn nothing_is_parsed_behind_a_piece_until_it_is_taken() {
    let mut reader = Reader::new(Limits::default());
    reader.streaming(true);
    reader.feed(&[frame(0x01, b"gr\xC3"), frame(0x89, b"?"), frame(0x80, b"\xBCn")].concat());
    reader.feed(&frame(0x81, b"next"));
    for _ in 0..2 {
        reader.events();
        assert!(reader.events.is_empty() && reader.connection.has_piece());
    }
    assert_eq!(reader.piece().as_deref(), Some("<gr"));
    assert_eq!(reader.piece(), None);
    reader.events();
    assert_eq!(reader.events, ["ping b\"?\""]);
    assert_eq!(reader.piece().as_deref(), Some("ün>"));
    reader.events();
    assert_eq!(reader.events, ["ping b\"?\"", "text next"], "what is whole comes as one");
}

#[test]
fn an_empty_control_frame_is_seen_behind_a_piece() {
    let bytes = [RFC6455.as_bytes(), &frame(0x01, b"ab"), &frame(0x89, b"")].concat();
    let outcome = every_cut(&bytes, || Echo::new(&config()).in_pieces());
    assert!(outcome.events.ends_with(&["piece up to 2".into(), "ping b\"\"".into()]));
}

#[test]
fn what_is_valid_comes_out_before_what_is_not() {
    for (bytes, code) in [
        (frame(0x81, b"ab\xC3\xBC\xFFcd"), 1007),
        (frame(0x81, b"ab\xC3\xBC\xC3"), 1007),
        ([frame(0x01, b"ab\xC3\xBC\xC3"), frame(0x81, b"x")].concat(), 1002),
        ([frame(0x01, b"ab\xC3\xBC"), vec![0x83]].concat(), 1002_u16),
    ] {
        let mut reader = Reader::new(Limits::default());
        reader.streaming(true);
        reader.feed(&bytes);
        assert_eq!(reader.piece().as_deref(), Some("<abü"));
        assert_eq!(reader.connection.state(), State::Closing, "the fault follows at once");
        let Some(Transmit::Data(sent)) = reader.connection.poll_transmit() else {
            panic!("{code}")
        };
        assert_eq!(sent.chunk()[2..4], code.to_be_bytes());
    }
}

#[test]
fn a_message_may_be_joined_as_long_as_nothing_was_taken() {
    let mut reader = Reader::new(Limits::default());
    reader.streaming(true);
    reader.feed(&frame(0x01, b"one "));
    assert!(reader.connection.has_piece());
    reader.streaming(false);
    assert_eq!(reader.piece(), None);
    reader.feed(&frame(0x80, b"message"));
    assert_eq!(reader.events, ["text one message"]);

    reader.feed(&frame(0x01, b"collected "));
    reader.streaming(true);
    assert_eq!(reader.piece().as_deref(), Some("<collected "));
    reader.streaming(false);
    reader.feed(&frame(0x00, b"and taken"));
    assert_eq!(reader.piece().as_deref(), Some("and taken"), "its rest comes in pieces");
    reader.feed(&frame(0x80, b""));
    assert_eq!(reader.piece().as_deref(), Some(">"), "the last may be empty");
    reader.feed(&[frame(0x01, b"jo"), frame(0x80, b"ined")].concat());
    assert_eq!(reader.events, ["text one message", "text joined"]);
}

#[test]
fn joining_what_is_too_long_fails() {
    let limits = || {
        let mut limits = Limits::default();
        limits.max_message = 100;
        limits
    };
    for held in [&frame(0x01, &[b'x'; 101])[..], &frame(0x81, &[b'x'; 101])[..50]] {
        let mut reader = Reader::new(limits());
        reader.streaming(true);
        reader.feed(held);
        assert!(reader.connection.has_piece());
        reader.streaming(false);
        assert_eq!(reader.events, ["state 4 -> 5"]);
        assert_eq!(reader.piece(), None);
    }
    let mut reader = Reader::new(limits());
    reader.streaming(true);
    reader.feed(&frame(0x81, b"fault\xFF"));
    reader.streaming(false);
    assert_eq!(reader.events, ["state 4 -> 5"], "it can never become whole");
}

#[test]
fn a_large_frame_that_was_read_into_its_message_can_be_streamed_on() {
    let mut reader = Reader::new(Limits::default());
    let text = "gr\u{fc}n ".repeat(100_000);
    let bytes = frame(0x81, text.as_bytes());
    let (start, rest) = bytes.split_at(100_000);
    reader.feed(start);
    reader.streaming(true);
    let mut seen = String::new();
    for bytes in rest.chunks(50_000) {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let n = reader.input.feed(bytes);
            bytes = &bytes[n..];
            reader.events();
            while let Some(piece) = reader.connection.poll_piece() {
                seen.push_str(piece.part.as_text().expect("text"));
                reader.events();
            }
        }
    }
    assert!(seen == text);
    assert!(reader.events.is_empty());
}

#[test]
fn a_streamed_message_has_a_limit_of_its_own() {
    let limits = |most| {
        let mut limits = Limits::default();
        limits.max_message = 100;
        (limits.max_streamed, limits.max_fragments) = (most, 20);
        limits
    };
    let long = frame(0x82, &[b'x'; 5000]);
    let parts = [frame(0x02, &[b'x'; 3000]), frame(0x80, &[b'x'; 2000])].concat();
    for (most, passes) in [(None, true), (Some(5000), true), (Some(4999), false)] {
        for bytes in [&long, &parts] {
            let mut reader = Reader::new(limits(most));
            reader.streaming(true);
            let mut received = 0;
            for piece in bytes.chunks(700) {
                if reader.connection.state() != State::Connected {
                    break;
                }
                reader.feed(piece);
                while let Some(piece) = reader.connection.poll_piece() {
                    received += piece.part.len();
                    reader.events();
                }
            }
            assert_eq!(reader.connection.state() == State::Connected, passes, "{most:?}");
            assert!(!passes || received == 5000);
        }
    }
    // One that is there as a whole has it, too.
    for cut in [0, 1, 999, 2000] {
        let mut reader = Reader::new(Limits::new().max_streamed(1999));
        reader.streaming(true);
        let frame = frame(0x82, &[b'x'; 2000]);
        let (start, rest) = frame.split_at(cut);
        reader.feed(start);
        reader.feed(rest);
        assert_eq!(reader.connection.state(), State::Closing, "cut at {cut}");
    }
    let mut reader = Reader::new(limits(None));
    reader.streaming(true);
    reader.feed(&[frame(0x02, b"x"), frame(0x00, b"x").repeat(20)].concat());
    assert!(reader.piece().is_some_and(|piece| piece.len() == 21));
    assert_eq!(reader.connection.state(), State::Closing, "there are too many fragments");
}

#[test]
fn a_message_with_a_long_frame_comes_in_pieces_or_not_at_all() {
    let limits = || {
        let mut limits = Limits::default();
        limits.max_frame = Some(10);
        limits
    };
    let [short, long] = [10, 11].map(|len| frame(0x81, &vec![b'x'; len]));
    let mut reader = Reader::new(limits());
    reader.streaming(true);
    reader.feed(&short);
    assert_eq!(reader.events, ["text xxxxxxxxxx"]);
    reader.feed(&[long.as_slice(), &short].concat());
    assert_eq!(reader.piece().as_deref(), Some("<xxxxxxxxxxx>"));
    reader.events();
    assert_eq!(reader.events, ["text xxxxxxxxxx"; 2], "the next is whole again");

    for there in [6, 8, long.len()] {
        let mut reader = Reader::new(limits());
        reader.streaming(true);
        reader.feed(&long[..there]);
        reader.streaming(false);
        assert_eq!(reader.connection.state(), State::Closing, "{there} bytes of it were there");
        let Some(Transmit::Data(mut sent)) = reader.connection.poll_transmit() else { panic!() };
        let sent = sent.copy_to_bytes(sent.remaining());
        assert_eq!(sent[2..4], 1009_u16.to_be_bytes());
    }
}

#[test]
fn a_long_compressed_frame_comes_in_pieces_or_not_at_all() {
    let request = with(RFC6455, "Sec-WebSocket-Extensions: permessage-deflate");
    for (length, passes) in [(1_100_000, true), (1_200_000, false)] {
        let frame = frame(0xC1, &vec![0; length]);
        for streaming in [true, false] {
            let options = Config::builder().deflate(Deflate::new());
            let mut reader = Reader::open(options, &request);
            reader.streaming(streaming);
            reader.feed(&frame[..16]);
            reader.streaming(false);
            let open = reader.connection.state() == State::Connected;
            assert_eq!(open, passes, "{length} bytes, streaming first: {streaming}");
        }
    }
}

#[test]
fn pieces_are_discarded_while_closing() {
    let mut reader = Reader::new(Limits::default());
    reader.streaming(true);
    reader.feed(&[frame(0x01, b"half"), frame(0x00, b" of"), frame(0x88, b"")].concat());
    assert!(reader.connection.has_piece());
    reader.connection.close(Close::normal(), NOW);
    assert_eq!(reader.piece(), None);
    reader.events();
    assert!(reader.input.is_empty(), "the answer to the close is found behind them");
    reader.connection.handle_eof(NOW);
    ws_tests::pair::written(&mut reader.connection);
    reader.events();
    let last = reader.events.last().expect("it is over");
    assert!(last.starts_with("closed 1005"), "{:?}", reader.events);
}

/// Bytes that repeat little, and text of all widths.
fn long(kind: MessageKind, len: usize) -> Message {
    let mut bytes = vec![0; len];
    ws_proto::Entropy::fill(&mut Repeatable::new(5), &mut bytes);
    match kind {
        MessageKind::Binary => Message::binary(bytes),
        MessageKind::Text => {
            let letters = ['a', 'ü', '€', '😀'];
            Message::text(bytes.iter().map(|n| letters[usize::from(n % 4)]).collect::<String>())
        }
    }
}

#[test]
fn long_messages_come_in_pieces_in_every_version_and_role() {
    let plain = || Config::builder();
    let deflate = Deflate::new().server_no_context_takeover(false);
    let configs = [plain(), plain().deflate(Deflate::new()), plain().deflate(deflate)];
    for config in configs {
        let mut limits = Limits::default();
        limits.outbound_high = 8 << 20;
        let config = Arc::new(config.limits(limits).build().expect("good options"));
        for version in Version::ALL {
            for client in [true, false] {
                let mut pair = Pair::with_config(version, &config);
                pair.cut = 9001;
                pair.drive();
                for kind in [MessageKind::Text, MessageKind::Binary] {
                    let message = long(kind, 300_000);
                    let now = pair.now;
                    let (from, to) = if client {
                        (&mut pair.client, &mut pair.server)
                    } else {
                        (&mut pair.server, &mut pair.client)
                    };
                    to.connection.set_streaming(true, now);
                    if from.connection.send(message.clone()).is_err() {
                        assert!(!version.has_frames() && kind == MessageKind::Binary);
                        continue;
                    }
                    pair.drive();
                    let to = if client { &mut pair.server } else { &mut pair.client };
                    assert!(to.pieces.len() > 20, "{version}: {} pieces", to.pieces.len());
                    assert!(joined(&to.pieces) == message, "{version}");
                    assert!(!to.last().starts_with("text"));
                    to.pieces.clear();
                }
            }
        }
    }
}

#[test]
fn a_client_of_the_drafts_replaces_what_is_not_text_wherever_it_is_cut() {
    let bytes = b"\0a\x80b\xC3\xE2\x82|\xF0\x9F\x98\xE2\x82\xAC\x80\xF5\x80\x80\x80\xC3\xFF";
    let expected = String::from_utf8_lossy(&bytes[1..bytes.len() - 1]).into_owned();
    for cut in 1..bytes.len() {
        let mut pair = Pair::connected(Version::Draft76);
        pair.cut = cut;
        let now = pair.now;
        pair.client.connection.set_streaming(true, now);
        pair.inject(bytes);
        let text = if pair.client.pieces.is_empty() {
            pair.client.last().strip_prefix("text ").expect("a text").to_owned()
        } else {
            joined(&pair.client.pieces).as_text().expect("a text").to_owned()
        };
        assert_eq!(text, expected, "cut into {cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_are_together_what_was_sent_in_fragments(
        texts in prop::collection::vec(prop::collection::vec(".{0,60}", 0..5), 1..4),
        cut in 1usize..90,
        version in prop::sample::select(Version::ALL.to_vec()),
        compressed: bool,
    ) {
        let config = Config::builder().deflate(compressed.then(Deflate::new));
        let mut pair = Pair::with_config(version, &Arc::new(config.build().unwrap()));
        pair.drive();
        pair.cut = cut;
        let now = pair.now;
        pair.server.connection.set_streaming(true, now);
        for text in &texts {
            pair.server.pieces.clear();
            let client = &mut pair.client.connection;
            client.begin_message(MessageKind::Text).unwrap();
            for part in text {
                // The halves may lie inside a character.
                let (start, end) = part.as_bytes().split_at(part.len() / 2);
                client.send_fragment(Bytes::copy_from_slice(start)).unwrap();
                client.send_fragment(Bytes::copy_from_slice(end)).unwrap();
            }
            client.finish_message().unwrap();
            pair.drive();
            let sent = Message::text(text.concat());
            if pair.server.pieces.is_empty() {
                prop_assert_eq!(pair.server.last(), describe(&Event::Message(sent)));
            } else {
                prop_assert_eq!(joined(&pair.server.pieces), sent);
            }
        }
    }
}
