//! What must hold for any bytes, any cuts and any order of commands.

use bytes::Bytes;
use proptest::prelude::*;
use ws_proto::{Close, Message, Version};
use ws_tests::feed::{config, every_way, every_way_to_client};
use ws_tests::pair::Pair;

/// A request that opens each framing, so that what follows is read as frames.
fn opening(framed: bool) -> &'static [u8] {
    if framed {
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    } else {
        b"GET / HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: a\r\n\
          Origin: http://a\r\n\r\n"
    }
}

/// A masked frame whose header and payload may be wrong in any way.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        5 => prop::sample::select(vec![0x81u8, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A, 0x88]),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        3 => ".{0,40}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..300),
    ];
    (first, payload, any::<[u8; 4]>()).prop_map(|(first, payload, key)| {
        let mut bytes = vec![first];
        match u8::try_from(payload.len()) {
            Ok(len) if len < 126 => bytes.push(0x80 | len),
            _ => {
                bytes.push(0xFE);
                bytes.extend((payload.len() as u16).to_be_bytes());
            }
        }
        bytes.extend(key);
        bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    })
}

/// The same as a server sends it, without a mask.
fn unmasked(mut frame: Vec<u8>) -> Vec<u8> {
    let at = if frame[1] == 0xFE { 4 } else { 2 };
    frame[1] &= 0x7F;
    let key: Vec<u8> = frame.drain(at..at + 4).collect();
    for (byte, key) in frame[at..].iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
    frame
}

/// A frame of the drafts, right or wrong.
fn sentinel_frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => ".{0,40}".prop_map(|text| [b"\0", text.as_bytes(), b"\xFF"].concat()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => Just(b"\x80\x03\xFF\0\xFF".to_vec()),
        1 => Just(b"\x05low\xFF".to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cuts_change_neither_events_nor_answers(frames in prop::collection::vec(frame(), 0..8)) {
        let bytes = [opening(true), &frames.concat()].concat();
        every_way(&config(), &bytes);
    }

    #[test]
    fn cuts_change_nothing_in_the_drafts(frames in prop::collection::vec(sentinel_frame(), 0..8)) {
        let bytes = [opening(false), &frames.concat()].concat();
        every_way(&config(), &bytes);
    }

    #[test]
    fn cuts_change_nothing_for_a_client(
        frames in prop::collection::vec(frame().prop_map(unmasked), 0..8),
        version in prop::sample::select(vec![Version::Hybi07, Version::Rfc6455]),
    ) {
        every_way_to_client(&config(), version, &frames.concat());
    }

    #[test]
    fn cuts_change_nothing_for_a_client_of_a_draft(
        frames in prop::collection::vec(sentinel_frame(), 0..8),
        version in prop::sample::select(vec![Version::Draft75, Version::Draft76]),
    ) {
        every_way_to_client(&config(), version, &frames.concat());
    }

    #[test]
    fn cuts_change_nothing_of_noise(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        every_way(&config(), &bytes);
    }

    #[test]
    fn cuts_change_nothing_of_heads_with_a_wrong_byte(at in 0usize..160, byte: u8, framed: bool) {
        let mut bytes = opening(framed).to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        every_way(&config(), &bytes);
    }

    #[test]
    fn messages_come_out_as_they_went_in(
        texts in prop::collection::vec(".{0,300}", 1..6),
        version in prop::sample::select(Version::ALL.to_vec()),
        cut in 1usize..200,
    ) {
        let mut pair = Pair::connected(version);
        pair.cut = cut;
        for text in &texts {
            pair.client.connection.send(text.as_str().into()).unwrap();
            pair.server.connection.send(text.as_str().into()).unwrap();
        }
        pair.drive();
        let expected: Vec<_> = texts
            .iter()
            .map(|text| match text.len() {
                0..100 => format!("text {text}"),
                len => format!("text of {len} bytes"),
            })
            .collect();
        for side in [&pair.client, &pair.server] {
            prop_assert!(side.events.ends_with(&expected), "{:?}", side.events);
        }
    }

    #[test]
    fn any_order_of_commands_ends_in_closed_after_enough_time(
        commands in prop::collection::vec((any::<bool>(), 0u8..11, 0u64..40), 0..12),
        version in prop::sample::select(Version::ALL.to_vec()),
    ) {
        let mut pair = Pair::new(version);
        pair.server.echoes = false;
        for (client, command, seconds) in commands {
            let now = pair.now;
            let side = if client { &mut pair.client } else { &mut pair.server };
            match command {
                0 => drop(side.connection.send("text".into())),
                1 => drop(side.connection.send(Message::binary(vec![0; 70_000]))),
                2 => drop(side.connection.ping(Bytes::from_static(b"p"))),
                3 => side.connection.close(Close::normal(), now),
                4 => side.connection.abort(),
                5 => side.connection.handle_eof(now),
                6 => pair.broken = true,
                7 => side.connection.set_paused(client, now),
                8 => side.connection.handle_reset(now),
                9 => side.connection.handle_write_failure(now),
                _ => {}
            }
            pair.pass(std::time::Duration::from_secs(seconds));
        }
        pair.client.connection.set_paused(false, pair.now);
        pair.server.connection.set_paused(false, pair.now);
        pair.broken = true;
        pair.pass(std::time::Duration::from_secs(1000));
        for side in [&pair.client, &pair.server] {
            prop_assert_eq!(side.connection.state(), ws_proto::State::Closed);
            let closed = side.events.iter().filter(|event| event.starts_with("closed")).count();
            prop_assert_eq!(closed, 1);
            prop_assert!(side.last().starts_with("closed"));
        }
    }
}
