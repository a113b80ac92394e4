//! What was handed out to be written and is not written yet: slow sockets, batches, ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::{Buf, Bytes};
use ws_proto::{
    Batch, ClientRequest, Close, CloseCode, Closed, Config, Connection, Entropy, Event, Instant,
    MessageKind, RecvBuf, SendErrorKind, State, Timeouts, Transmit, Version,
};
use ws_tests::entropy::Repeatable;
use ws_tests::pair::Pair;
use ws_tests::requests::frame;

const FRAMED: [Version; 3] = [Version::Hybi07, Version::Hybi08, Version::Rfc6455];

/// What is handed out now, and stays unwritten.
fn handed_out(connection: &mut Connection) -> Option<Vec<u8>> {
    match connection.poll_transmit()? {
        Transmit::Data(mut data) => Some(data.copy_to_bytes(data.remaining()).to_vec()),
        Transmit::Shutdown => panic!("the end of the stream"),
    }
}

fn ended(connection: &mut Connection) -> Option<Arc<Closed>> {
    let mut input = RecvBuf::default();
    let mut end = None;
    while let Some(event) = connection.poll_event(&mut input, Instant::from_nanos(0)) {
        if let Event::Closed(closed) = event {
            end = Some(closed);
        }
    }
    end
}

#[test]
fn the_stream_ends_when_all_is_written_and_not_before() {
    let mut pair = Pair::connected(Version::Draft75);
    let server = &mut pair.server.connection;
    server.send("slow".into()).unwrap();
    server.close(Close::normal(), pair.now);
    let data = handed_out(server).unwrap();
    assert!(server.poll_transmit().is_none());
    let close = Config::default().timeouts().close;
    assert_eq!(server.poll_timeout(), Some(pair.now + close), "it counts from the close alone");
    server.handle_eof(pair.now);
    assert!(ended(server).is_none(), "nothing is over while something is left to be written");
    server.handle_transmitted(data.len() - 1);
    assert!(server.poll_transmit().is_none());
    server.handle_transmitted(1);
    assert!(matches!(server.poll_transmit(), Some(Transmit::Shutdown)));
    assert!(ended(server).unwrap().clean);
}

#[test]
fn the_last_deadlines_count_from_when_the_socket_took_all() {
    for version in Version::ALL {
        let mut pair = Pair::connected(version);
        let server = &mut pair.server.connection;
        server.send("slow".into()).unwrap();
        let data = handed_out(server).unwrap();
        server.close(Close::normal(), pair.now);
        if !matches!(version, Version::Draft75 | Version::Draft76) {
            let answer = frame(0x88, &[0x03, 0xE8]);
            pair.server.input.feed(&answer);
            while server.poll_event(&mut pair.server.input, pair.now).is_some() {}
        }
        let close = handed_out(server).map_or(0, |close| close.len());
        // Seconds later the socket takes it. That is said first, and then what the time is.
        let later = pair.now + Duration::from_secs(5);
        server.handle_transmitted(data.len() + close);
        while server.poll_event(&mut pair.server.input, later).is_some() {}
        let end = server.poll_transmit();
        assert_eq!(matches!(end, Some(Transmit::Shutdown)), version != Version::Draft76);
        let deadline = server.poll_timeout();
        assert_eq!(deadline, Some(later + Duration::from_secs(1)), "{version}");
    }
}

#[test]
fn a_peer_that_pings_and_takes_nothing_does_not_fill_the_queue() {
    for version in FRAMED {
        let mut pair = Pair::connected(version);
        let server = &mut pair.server.connection;
        let mut out = Vec::new();
        for n in 0..500_u16 {
            pair.server.input.feed(&frame(0x89, &n.to_be_bytes()));
            while server.poll_event(&mut pair.server.input, pair.now).is_some() {}
            out.extend(handed_out(server).unwrap_or_default());
        }
        // The first is handed out alone, and sixteen more are answered while it is under way.
        assert!(out.len() <= 17 * 4, "{}", out.len());
        server.handle_transmitted(out.len());
        let newest = [[0x8A, 2].as_slice(), &499_u16.to_be_bytes()].concat();
        assert_eq!(handed_out(server), Some(newest), "{version}");
        assert_eq!(handed_out(server), None);
        // Sixteen are answered again from when that is written, behind what is still owed.
        pair.server.input.feed(&frame(0x89, b"").repeat(17));
        while server.poll_event(&mut pair.server.input, pair.now).is_some() {}
        assert_eq!(handed_out(server), Some([0x8A, 0].repeat(16)));
        pair.server.input.feed(&frame(0x89, b"owed"));
        while server.poll_event(&mut pair.server.input, pair.now).is_some() {}
        server.handle_transmitted(4 + 32);
        pair.server.input.feed(&frame(0x89, b"next"));
        while server.poll_event(&mut pair.server.input, pair.now).is_some() {}
        assert_eq!(handed_out(server).as_deref(), Some(&b"\x8A\x04owed\x8A\x04next"[..]));
        server.handle_transmitted(12);
        pair.server.input.feed(&frame(0x89, b"").repeat(16));
        while server.poll_event(&mut pair.server.input, pair.now).is_some() {}
        assert_eq!(handed_out(server), Some([0x8A, 0].repeat(16)));
    }
}

#[test]
fn nothing_overtakes_a_batch() {
    for version in Version::ALL {
        let mut pair = Pair::connected(version);
        let server = &mut pair.server.connection;
        server.send("1".into()).unwrap();
        assert!(server.transmit_with(|_| 1).is_err(), "the rest stays");
        let mut batch = Batch::new();
        server.begin_batch(&mut batch, 1000);
        assert!(batch.take(&mut "2".into()));
        server.send("3".into()).unwrap();
        assert!(server.poll_transmit().is_none());
        assert!(server.transmit_with(|_| panic!("the batch goes first")).is_err());
        if let Some(format) = server.frame_format() {
            let mut bytes = Vec::new();
            assert!(ws_proto::Prepared::new("4").append_to(&mut bytes, format, 100));
            let sent = server.transmit_frames(&bytes.into(), |_| panic!("the batch goes first"));
            assert!(!sent);
        }
        server.close(Close::normal(), pair.now);
        assert!(server.poll_transmit().is_none(), "nor does the end");
        server.end_batch(&mut batch);
        let all = handed_out(server).unwrap();
        let texts: Vec<u8> = all.iter().copied().filter(u8::is_ascii_digit).collect();
        assert_eq!(texts, b"1234", "{version}");

        let mut pair = Pair::connected(version);
        let server = &mut pair.server.connection;
        server.begin_batch(&mut batch, 1000);
        let bytes = Bytes::from_static(b"\x81\x01x");
        if version.has_frames() {
            assert!(!server.transmit_frames(&bytes, |_| panic!("although it holds nothing yet")));
        }
        server.end_batch(&mut batch);
        assert_eq!(handed_out(server).is_some(), version.has_frames());
    }
}

/// Gives so many bytes, and then no more.
struct Scarce {
    left: Arc<AtomicUsize>,
    source: Repeatable,
}

impl Entropy for Scarce {
    fn fill(&mut self, bytes: &mut [u8]) {
        let left = self.left.load(Relaxed).checked_sub(bytes.len());
        self.left.store(left.expect("it was asked whether it is ready"), Relaxed);
        self.source.fill(bytes);
    }

    fn is_ready(&mut self) -> bool {
        self.left.load(Relaxed) >= 4
    }
}

/// A client that can mask so many frames, and a server that pings nobody.
fn client(version: Version, frames: usize) -> Pair {
    // What the handshake draws is for its nonce.
    client_with(version, &Arc::new(AtomicUsize::new(16 + 4 * frames)))
}

/// The same with so many random bytes, of which there may be more later.
fn client_with(version: Version, left: &Arc<AtomicUsize>) -> Pair {
    let mut timeouts = Timeouts::default();
    timeouts.ping_interval = None;
    let server = Arc::new(Config::builder().timeouts(timeouts).build().unwrap());
    let mut pair = Pair::with_configs(version, &Arc::default(), &server);
    let request = ClientRequest::new("ws://a/").unwrap().version(version);
    let entropy = Box::new(Scarce { left: Arc::clone(left), source: Repeatable::new(7) });
    pair.client.connection = Connection::client(Arc::default(), request, entropy, pair.now);
    pair.drive();
    assert_eq!(pair.client.connection.state(), State::Connected);
    pair
}

#[test]
fn the_last_masking_key_is_used_and_nothing_is_lost_behind_it() {
    for version in FRAMED {
        let mut pair = client(version, 1);
        pair.client.connection.send("last".into()).unwrap();
        let refused = pair.client.connection.send("x".into()).unwrap_err();
        assert_eq!(refused.kind, SendErrorKind::NoEntropy);
        pair.drive();
        assert_eq!(pair.server.last(), "text last");

        // A pong that is owed goes first, with the key that is left.
        let mut pair = client(version, 17);
        let flood = [0x89, 0].repeat(17);
        pair.client.input.feed(&flood);
        while pair.client.connection.poll_event(&mut pair.client.input, pair.now).is_some() {}
        let refused = pair.client.connection.send("x".into()).map_err(|error| error.kind);
        assert_eq!(refused, Err(SendErrorKind::NoEntropy));
        pair.drive();
        let pongs = pair.server.events.iter().filter(|event| event.starts_with("pong"));
        assert_eq!(pongs.count(), 17);

        let mut pair = client(version, 0);
        pair.pass(Duration::from_secs(60));
        let state = pair.client.connection.state();
        assert_eq!(state, State::Connected, "nobody is blamed who was not pinged");
        pair.client.connection.close(Close::normal(), pair.now);
        pair.drive();
        pair.pass(Duration::from_secs(20));
        assert_eq!(pair.client.connection.state(), State::Closed);
    }
}

#[test]
fn a_fragment_that_finds_no_masking_key_can_be_sent_again() {
    for version in FRAMED {
        let left = Arc::new(AtomicUsize::new(16));
        let mut pair = client_with(version, &left);
        let client = &mut pair.client.connection;
        client.begin_message(MessageKind::Text).unwrap();
        let cut = Bytes::from_static(b"gr\xC3");
        let refused = client.send_fragment(cut).unwrap_err();
        assert_eq!(refused.kind, SendErrorKind::NoEntropy);
        left.store(3 * 4, Relaxed);
        client.send_fragment(refused.message).unwrap();
        client.send_fragment(Bytes::from_static(b"\xBC\xC3\x9Fe")).unwrap();
        client.finish_message().unwrap();
        pair.drive();
        assert_eq!(pair.server.last(), "text grüße", "{version}");
    }
}

#[test]
fn a_close_frame_that_was_not_written_is_not_told_as_sent() {
    for version in FRAMED {
        for (written, fails) in [(false, false), (false, true), (true, false)] {
            let mut pair = Pair::connected(version);
            let server = &mut pair.server.connection;
            pair.server.input.feed(&frame(0x88, &[0x03, 0xE8]));
            while server.poll_event(&mut pair.server.input, pair.now).is_some() {}
            let answer = handed_out(server).unwrap();
            if written {
                server.handle_transmitted(answer.len());
            }
            if fails {
                server.handle_write_failure(pair.now);
                assert!(matches!(server.poll_transmit(), Some(Transmit::Shutdown)));
            }
            server.handle_reset(pair.now);
            let end = ended(server).unwrap();
            assert_eq!(end.received, Some(CloseCode::NORMAL.into()));
            assert_eq!((end.sent.is_some(), end.clean), (written, written), "{version}");
        }
    }
}

#[test]
fn draft75_that_loses_what_was_under_way_does_not_end_cleanly() {
    for (fails, closes) in [(false, true), (true, true), (false, false), (true, false)] {
        let mut pair = Pair::connected(Version::Draft75);
        let server = &mut pair.server.connection;
        server.send("lost".into()).unwrap();
        let data = handed_out(server).unwrap();
        if fails {
            server.handle_write_failure(pair.now);
        } else {
            server.handle_transmitted(data.len());
        }
        if closes {
            server.close(Close::normal(), pair.now);
            assert!(matches!(server.poll_transmit(), Some(Transmit::Shutdown)));
        }
        server.handle_eof(pair.now);
        assert_eq!(server.poll_transmit().is_some(), !closes);
        assert_eq!(ended(server).unwrap().clean, !fails);
    }
}

#[test]
fn nothing_is_sent_behind_the_end_of_the_stream() {
    for version in FRAMED {
        let left = Arc::new(AtomicUsize::new(16));
        let mut pair = client_with(version, &left);
        let client = &mut pair.client.connection;
        client.close(Close::normal(), pair.now);
        assert!(matches!(client.poll_transmit(), Some(Transmit::Shutdown)));
        left.store(4, Relaxed);
        pair.client.input.feed(&[0x88, 2, 0x03, 0xE8]);
        while client.poll_event(&mut pair.client.input, pair.now).is_some() {}
        assert!(client.poll_transmit().is_none(), "{version}");
    }
}
