//! permessage-deflate (RFC 7692) over whole connections: the vectors of the RFC, negotiation, what
//! a peer may send and what it may not.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;
use ws_proto::{
    Accept, Batch, Cause, ClientRequest, Config, Connection, Deflate, Event, HandshakeError,
    Instant, Limits, Message, MessageKind, Prepared, RecvBuf, Timeouts, Transmit, Version,
};
use ws_tests::entropy::{Repeatable, noise};
use ws_tests::feed::{Outcome, every_way};
use ws_tests::pair::Pair;
use ws_tests::requests::{RFC6455, frame, replace, with};

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits";

/// Both sides keep their contexts.
fn takeover() -> Deflate {
    Deflate::new().server_no_context_takeover(false).client_no_context_takeover(false)
}

fn config(deflate: Deflate) -> Arc<Config> {
    let limits = Limits::default();
    Arc::new(Config::builder().deflate(deflate).limits(limits).build().expect("good options"))
}

/// What an echo server makes of these frames, in every way in which they can arrive.
fn served(deflate: Deflate, frames: &[Vec<u8>]) -> Outcome {
    let bytes = [with(RFC6455, OFFER).as_bytes(), &frames.concat()].concat();
    every_way(&config(deflate), &bytes)
}

fn texts(outcome: &Outcome) -> Vec<&str> {
    let data = |event: &&String| event.starts_with("text") || event.starts_with("binary");
    outcome.events.iter().filter(data).map(String::as_str).collect()
}

/// The server sent a close frame with this in its reason.
fn assert_closed(outcome: &Outcome, reason: &str) {
    let frames = outcome.after_head();
    let at = frames.iter().rposition(|byte| *byte == 0x88).expect("a close frame");
    let code = u16::from_be_bytes([frames[at + 2], frames[at + 3]]);
    let said = String::from_utf8_lossy(&frames[at + 4..]);
    assert!(said.contains(reason), "{said}");
    let expected = match reason {
        "RSV bits" => 1002,
        "longer than the limit" => 1009,
        _ => 1007,
    };
    assert_eq!(code, expected, "{said}");
}

/// The messages of `payload` with RSV1, compressed by a reference compressor in one context.
fn compressed(payloads: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut compress = Compress::new(Compression::best(), false);
    payloads
        .iter()
        .map(|payload| {
            let mut out = Vec::with_capacity(payload.len() + 100);
            compress.compress_vec(payload, &mut out, FlushCompress::Sync).expect("room");
            out.strip_suffix(&[0, 0, 0xFF, 0xFF]).expect("a sync flush").to_vec()
        })
        .collect()
}

#[test]
fn the_examples_of_section_7_2_3() {
    let whole = frame(0xC1, &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]);
    assert_eq!(texts(&served(takeover(), std::slice::from_ref(&whole))), ["text Hello"]);

    let first = frame(0x41, &[0xF2, 0x48, 0xCD]);
    let second = frame(0x80, &[0xC9, 0xC9, 0x07, 0x00]);
    assert_eq!(texts(&served(takeover(), &[first, second])), ["text Hello"]);

    // 7.2.3.2: the second message refers to the first one.
    let shared = frame(0xC1, &[0xF2, 0x00, 0x11, 0x00, 0x00]);
    let both = served(takeover(), &[whole, shared]);
    assert_eq!(texts(&both), ["text Hello", "text Hello"]);

    let stored = frame(0xC1, &[0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00]);
    assert_eq!(texts(&served(takeover(), &[stored])), ["text Hello"]);

    // 7.2.3.4: a block with BFINAL; more may follow it.
    let last = frame(0xC1, &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00]);
    let again = served(takeover(), &[last.clone(), last]);
    assert_eq!(texts(&again), ["text Hello", "text Hello"]);

    let two_blocks = frame(
        0xC1,
        &[0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00],
    );
    assert_eq!(texts(&served(takeover(), &[two_blocks])), ["text Hello"]);

    // 7.2.3.6: the empty message; without any byte it is wrong, but what is meant is clear.
    for options in [Deflate::new(), takeover()] {
        let frames = [frame(0xC1, &[]), frame(0xC1, &[0x00]), frame(0x41, &[]), frame(0x80, &[])];
        assert_eq!(texts(&served(options, &frames)), ["text ", "text ", "text "]);
    }
}

#[test]
fn plain_messages_and_control_frames_sit_between_compressed_ones() {
    for options in [Deflate::new(), takeover()] {
        let hello = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
        let outcome = served(
            options,
            &[
                frame(0x41, &hello[..2]),
                frame(0x89, b"?"),
                frame(0x00, b""),
                frame(0x80, &hello[2..]),
                frame(0x81, b"plain"),
                frame(0xC2, &hello),
            ],
        );
        assert_eq!(texts(&outcome), ["text Hello", "text plain", "binary of 5 bytes"]);
        assert!(outcome.has("ping"));
    }
}

#[test]
fn several_last_blocks_make_one_message() {
    let hello = [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
    let many = [hello; 3].concat();
    for options in [Deflate::new(), takeover().client_max_window_bits(9)] {
        let frames = [frame(0xC1, &many), frame(0x41, &many), frame(0x80, &[0x00])];
        let outcome = served(options, &frames);
        assert_eq!(texts(&outcome), ["text HelloHelloHello", "text HelloHelloHello"]);
    }
}

#[test]
fn without_context_takeover_nothing_before_can_be_referred_to() {
    let hello = frame(0xC1, &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]);
    let refers = frame(0xC1, &[0xF2, 0x00, 0x11, 0x00, 0x00]);
    let outcome = served(Deflate::new(), &[hello, refers]);
    assert_eq!(texts(&outcome), ["text Hello"]);
    assert_closed(&outcome, "not valid DEFLATE");
}

#[test]
fn corrupt_data_fails_with_1007() {
    let hello = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
    for (payload, what) in [
        (&[0xFF][..], "a block of type 3"),
        (&hello[..4], "cut off inside a block"),
        (&[0x00, 0x05, 0x00, 0x05, 0x00][..], "a stored block with a wrong length"),
        (&[0xF2, 0x00, 0x11, 0x00, 0x00][..], "a distance beyond the start"),
    ] {
        for first in [0xC1, 0xC2] {
            let outcome = served(Deflate::new(), &[frame(first, payload), frame(0x81, b"x")]);
            assert_eq!(texts(&outcome).len(), 0, "{what}");
            assert_closed(&outcome, "not valid DEFLATE");
        }
    }
}

#[test]
fn text_is_judged_when_it_is_inflated() {
    let [bad] = &compressed(&[b"abc\xFFdef"])[..] else { unreachable!() };
    let outcome = served(Deflate::new(), &[frame(0xC1, bad)]);
    assert_closed(&outcome, "not UTF-8");
    assert_eq!(texts(&served(Deflate::new(), &[frame(0xC2, bad)])), ["binary of 7 bytes"]);
    let [cut] = &compressed(&["grü".as_bytes().split_at(3).0])[..] else { unreachable!() };
    let outcome = served(Deflate::new(), &[frame(0xC1, cut)]);
    assert_closed(&outcome, "not UTF-8");
}

#[test]
fn rsv1_has_no_meaning_elsewhere() {
    let hello = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
    for frames in [
        vec![frame(0x41, &hello[..3]), frame(0xC0, &hello[3..])],
        vec![frame(0x01, b"a"), frame(0xC0, b"b")],
        vec![frame(0xC9, b"ping")],
        vec![frame(0xC8, &[])],
        vec![frame(0xE1, &hello)],
        vec![frame(0xA1, &hello)],
        vec![frame(0x91, &hello)],
        vec![frame(0xC3, &hello)],
    ] {
        let outcome = served(takeover(), &frames);
        assert_closed(&outcome, "RSV bits");
    }
    let unasked = [RFC6455.as_bytes(), &frame(0xC1, &hello)].concat();
    let outcome = every_way(&config(takeover()), &unasked);
    assert_closed(&outcome, "RSV bits");
}

#[test]
fn bandit_cve_2026_39804_a_bomb_ends_at_the_limit_of_the_message() {
    let max = Limits::default().max_message;
    let zeros = vec![0; max + 1];
    let [bomb] = &compressed(&[&zeros])[..] else { unreachable!() };
    assert!(bomb.len() < 2000, "{} bytes", bomb.len());
    let outcome = served(Deflate::new(), &[frame(0xC2, bomb)]);
    assert_closed(&outcome, "longer than the limit");
    let [fits] = &compressed(&[&zeros[1..]])[..] else { unreachable!() };
    let outcome = served(Deflate::new(), &[frame(0xC2, fits)]);
    assert_eq!(texts(&outcome), [format!("binary of {max} bytes")]);
}

#[test]
fn a_message_may_be_longer_compressed_than_the_limit_allows_it_to_be() {
    let mut limits = Limits::default();
    limits.max_message = 100;
    let config = Config::builder().deflate(Deflate::new()).limits(limits).build().unwrap();
    // Nothing but empty stored blocks around one of a hundred bytes.
    let empty = [0, 0, 0, 0xFF, 0xFF].repeat(50);
    let stored = [&[0, 100, 0, 155, 255][..], &[b'x'; 100]].concat();
    let payload = [&empty[..], &stored, &empty, &[0]].concat();
    let bytes = [with(RFC6455, OFFER).as_bytes(), &frame(0xC2, &payload)].concat();
    let outcome = every_way(&Arc::new(config), &bytes);
    assert_eq!(texts(&outcome), ["binary of 100 bytes"]);
}

#[test]
fn older_versions_and_unasked_servers_never_negotiate() {
    for version in ["7", "8"] {
        let request = with(&replace(RFC6455, "Sec-WebSocket-Version", version), OFFER);
        let outcome = every_way(&config(Deflate::new()), request.as_bytes());
        assert_eq!(outcome.status(), 101);
        assert!(!outcome.text().contains("Extensions"), "hybi {version}");
    }
    let request = with(RFC6455, OFFER);
    let outcome = every_way(&Arc::new(Config::default()), request.as_bytes());
    assert!(!outcome.text().contains("Extensions"), "a server without the option");
    let outcome = every_way(&config(Deflate::new()), request.as_bytes());
    assert!(outcome.text().contains(
        "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
         client_no_context_takeover\r\n"
    ));
    for version in Version::ALL.into_iter().filter(|version| *version != Version::Rfc6455) {
        let mut pair = Pair::with_config(version, &config(Deflate::new()));
        pair.drive();
        assert_eq!(pair.client.connection.version(), Some(version));
        assert_eq!(pair.client.connection.deflate(), None);
        pair.client.connection.send("x".repeat(1000).into()).unwrap();
        pair.drive();
        assert!(pair.server.saw("text of 1000 bytes"));
    }
}

/// Everything that a core has to send.
fn sent(connection: &mut Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(Transmit::Data(mut data)) = connection.poll_transmit() {
        let n = data.remaining();
        bytes.extend(data.copy_to_bytes(n));
        connection.handle_transmitted(n);
    }
    bytes
}

fn events_of(connection: &mut Connection, input: &mut RecvBuf) -> Vec<Event> {
    std::iter::from_fn(|| connection.poll_event(input, Instant::from_nanos(0))).collect()
}

#[test]
fn a_wrong_answer_fails_the_client() {
    let now = Instant::from_nanos(0);
    for (from, to, expected) in [
        ("permessage-deflate", "permessage-deflate", None),
        ("permessage-deflate;", "permessage-deflate; x;", Some(("x", "is unknown"))),
        ("permessage-deflate;", "x-webkit-deflate-frame;", Some(("", ""))),
    ] {
        let request = ClientRequest::new("ws://example.com/").unwrap();
        let entropy = Box::new(Repeatable::new(7));
        let mut client = Connection::client(config(Deflate::new()), request, entropy, now);
        let mut server = Connection::server(config(Deflate::new()), now);
        let mut input = RecvBuf::default();
        input.feed(&sent(&mut client));
        while let Some(event) = server.poll_event(&mut input, now) {
            if matches!(event, Event::Request(_)) {
                server.accept(&Accept::new(), now).unwrap();
            }
        }
        let answer = String::from_utf8(sent(&mut server)).unwrap().replace(from, to);
        input.feed(answer.as_bytes());
        let mut events = events_of(&mut client, &mut input);
        client.handle_eof(now);
        drop(sent(&mut client));
        events.extend(events_of(&mut client, &mut input));
        let Some((parameter, problem)) = expected else {
            assert!(client.deflate().is_some());
            continue;
        };
        let Some(Event::Closed(closed)) = events.pop() else { panic!("{to} was taken") };
        match closed.cause.clone() {
            Cause::Handshake(HandshakeError::DeflateAnswer { parameter: named, problem: said }) => {
                assert_eq!((named.as_str(), said), (parameter, problem));
            }
            Cause::Handshake(HandshakeError::ExtensionNotOffered(_)) => assert_eq!(problem, ""),
            other => panic!("{to}: {other}"),
        }
    }
}

/// Two connected ends with these options on each.
fn pair(client: Deflate, server: Deflate) -> Pair {
    let mut pair = Pair::with_configs(Version::Rfc6455, &config(client), &config(server));
    pair.drive();
    assert_eq!(pair.client.connection.deflate(), pair.server.connection.deflate());
    assert!(pair.client.connection.deflate().is_some(), "{:?}", pair.client.events);
    pair
}

fn received(pair: &mut Pair) -> std::sync::mpsc::Receiver<Message> {
    let (sender, receiver) = std::sync::mpsc::channel();
    pair.server.watch = Some(Box::new(move |event: &Event| {
        if let Event::Message(message) = event {
            sender.send(message.clone()).expect("the test listens");
        }
    }));
    receiver
}

/// Sends from the client, and answers how many bytes that took.
fn send(pair: &mut Pair, message: impl Into<Message>) -> usize {
    pair.client.connection.send(message.into()).expect("room");
    let n = pair.client.connection.buffered_amount();
    pair.drive();
    n
}

#[test]
fn context_takeover_makes_the_second_message_smaller() {
    let text: String =
        (0..400).flat_map(|i| (i * 7919 % 4093).to_string().into_bytes()).map(char::from).collect();
    let mut with_context = pair(takeover(), takeover());
    let first = send(&mut with_context, text.as_str());
    let second = send(&mut with_context, text.as_str());
    assert!(second < 40 && first > 400, "{first} and {second} bytes");
    let mut without = pair(Deflate::new(), takeover());
    assert_eq!(send(&mut without, text.as_str()), send(&mut without, text.as_str()));
}

#[test]
fn after_a_silence_the_context_is_given_back_and_all_goes_on() {
    let text = "so it goes ".repeat(100);
    let mut pair = pair(takeover(), takeover());
    let received = received(&mut pair);
    let sizes: Vec<_> = (0..2).map(|_| send(&mut pair, text.as_str())).collect();
    pair.pass(Timeouts::default().ping_interval.unwrap() * 2);
    let after = send(&mut pair, text.as_str());
    assert_eq!(after, sizes[0], "as the first one");
    assert!(sizes[1] < sizes[0]);
    assert_eq!(received.try_iter().filter(|message| message == &text.as_str().into()).count(), 3);
}

#[test]
fn short_and_incompressible_messages_are_sent_as_they_are() {
    for options in [Deflate::new(), takeover()] {
        let mut pair = pair(options.clone(), options);
        assert_eq!(send(&mut pair, "a".repeat(95)), 6 + 95);
        assert!(send(&mut pair, "a".repeat(96)) < 30);
        let noise: Vec<u8> = noise(5000);
        assert_eq!(send(&mut pair, noise), 8 + 5000);
        assert!(send(&mut pair, "a".repeat(96)) < 30, "it goes on behind it");
        assert!(pair.server.saw("binary of 5000 bytes"));
    }
}

#[test]
fn a_message_may_be_left_uncompressed() {
    let text = "secret ".repeat(100);
    for options in [Deflate::new(), takeover()] {
        let mut pair = pair(options.clone(), options);
        let received = received(&mut pair);
        assert!(send(&mut pair, text.as_str()) < 50);
        pair.client.connection.send_uncompressed(text.as_str().into()).unwrap();
        assert_eq!(pair.client.connection.buffered_amount(), 8 + text.len());
        pair.drive();
        pair.client.connection.send_prepared(&Prepared::uncompressed(text.as_str())).unwrap();
        assert_eq!(pair.client.connection.buffered_amount(), 8 + text.len());
        pair.drive();
        assert!(send(&mut pair, text.as_str()) < 50);
        assert_eq!(received.try_iter().filter(|seen| seen.as_text() == Some(&text)).count(), 4);
    }
}

#[test]
fn a_prepared_message_is_compressed_once_for_all_and_disturbs_no_context() {
    let text = "broadcast ".repeat(100);
    let prepared = Prepared::new(text.as_str());
    let mut pairs = [
        pair(Deflate::new(), Deflate::new()),
        pair(takeover(), takeover()),
        pair(takeover(), takeover().server_max_window_bits(9)),
    ];
    let mut frames = Vec::new();
    for pair in &mut pairs {
        for _ in 0..3 {
            pair.server.connection.send("before and after ".repeat(20).into()).unwrap();
            pair.drive();
            pair.server.connection.send_prepared(&prepared).unwrap();
            frames.push(pair.server.connection.buffered_amount());
            pair.drive();
        }
        let count = |line: &str| pair.client.events.iter().filter(|seen| *seen == line).count();
        assert_eq!((count("text of 340 bytes"), count("text of 1000 bytes")), (3, 3));
    }
    assert!(frames.iter().all(|n| *n < 50), "{frames:?}");
    assert!(frames[..6].iter().all(|n| *n == frames[0]), "{frames:?}");
}

#[test]
fn a_batch_has_the_context_until_it_ends() {
    let text = "again and again ".repeat(100);
    for (options, takes_over) in [(Deflate::new(), false), (takeover(), true)] {
        let mut pair = pair(options.clone(), options);
        let mut batch = Batch::new();
        for rounds in 1..4 {
            let server = &mut pair.server.connection;
            server.begin_batch(&mut batch, usize::MAX);
            assert!(batch.take(&mut text.as_str().into()) && batch.take(&mut text.as_str().into()));
            // With a context what is queued meanwhile goes as it is, also what is finished behind
            // the batch.
            server.send_prepared(&Prepared::new(text.as_str())).unwrap();
            server.begin_message(MessageKind::Text).unwrap();
            server.send_fragment(text.clone().into()).unwrap();
            let queued = server.buffered_amount();
            assert_eq!(queued > 2 * text.len(), takes_over);
            assert_eq!(queued < 200, !takes_over);
            server.end_batch(&mut batch);
            assert!(!batch.take(&mut text.as_str().into()), "it has ended");
            assert!(server.buffered_amount() < queued + 200);
            server.send_fragment("end".into()).unwrap();
            server.finish_message().unwrap();
            server.send(text.as_str().into()).unwrap();
            pair.drive();
            let count = |len: usize| {
                let line = format!("text of {len} bytes");
                pair.client.events.iter().filter(|seen| **seen == line).count()
            };
            assert_eq!((count(text.len()), count(text.len() + 3)), (4 * rounds, rounds));
        }
    }
}

fn options() -> impl Strategy<Value = Deflate> {
    (any::<bool>(), any::<bool>(), 9u8..=15, 9u8..=15, 2u8..=9, 0usize..200).prop_map(
        |(server, client, server_bits, client_bits, level, threshold)| {
            Deflate::new()
                .server_no_context_takeover(server)
                .client_no_context_takeover(client)
                .server_max_window_bits(server_bits)
                .client_max_window_bits(client_bits)
                .level(level)
                .threshold(threshold)
        },
    )
}

/// Compressible, incompressible and repeated payloads of all sizes.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::collection::vec(any::<u8>(), 0..60);
    prop_oneof![
        3 => (piece, 0usize..2000).prop_map(|(piece, times)| piece.repeat(times % 40)),
        1 => (piece_of_noise(), 0usize..3).prop_map(|(noise, times)| noise.repeat(times)),
        1 => ".{0,400}".prop_map(String::into_bytes),
    ]
}

fn piece_of_noise() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![0usize..400, 30_000usize..70_000].prop_map(noise)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_agreed_to_every_message_arrives(
        client in options(),
        server in options(),
        cut in prop_oneof![1usize..40, Just(usize::MAX)],
        messages in prop::collection::vec((any::<bool>(), 0u8..8, payload()), 1..12),
    ) {
        let mut pair = pair(client, server);
        pair.cut = cut;
        for (from_client, how, payload) in messages {
            let message = match String::from_utf8(payload) {
                Ok(text) => Message::text(text),
                Err(error) => Message::binary(error.into_bytes()),
            };
            let (sender, receiver) = std::sync::mpsc::channel();
            let (from, to) = if from_client {
                (&mut pair.client, &mut pair.server)
            } else {
                (&mut pair.server, &mut pair.client)
            };
            to.watch = Some(Box::new(move |event: &Event| {
                if let Event::Message(message) = event {
                    sender.send(message.clone()).expect("the test listens");
                }
            }));
            match how {
                0 => drop(from.connection.send_prepared(&Prepared::new(message.clone()))),
                1 => drop(from.connection.send_uncompressed(message.clone())),
                2 => drop(from.connection.ping(Bytes::from_static(b"between"))),
                _ => {}
            }
            let mut batch = Batch::new();
            if how == 3 {
                from.connection.begin_batch(&mut batch, usize::MAX);
            }
            let taken = batch.take(&mut message.clone());
            prop_assert_eq!(taken, how == 3 && !from_client);
            from.connection.end_batch(&mut batch);
            if !taken {
                from.connection.send(message.clone()).expect("room");
            }
            pair.drive();
            let seen: Vec<_> = receiver.try_iter().collect();
            prop_assert_eq!(seen.len(), if how < 2 { 2 } else { 1 });
            prop_assert!(seen.iter().all(|seen| *seen == message));
        }
    }

    #[test]
    fn no_bytes_panic_and_no_cut_matters(
        takes_over: bool,
        frames in prop::collection::vec(
            (prop::sample::select(vec![0xC1u8, 0xC2, 0x41, 0x42, 0x80, 0x00, 0x81]), payload()),
            0..6,
        ),
        real: bool,
    ) {
        let frames: Vec<_> = frames
            .into_iter()
            .map(|(first, payload)| {
                let payload = &payload[..payload.len().min(3000)];
                let body = if real { compressed(&[payload]).remove(0) } else { payload.to_vec() };
                frame(first, &body)
            })
            .collect();
        served(if takes_over { takeover() } else { Deflate::new() }, &frames);
    }
}
