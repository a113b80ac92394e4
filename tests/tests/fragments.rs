//! Messages of unknown length, sent in fragments (RFC 6455 section 5.4).

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use ws_proto::{
    Cause, Close, Config, Connection, Deflate, Event, Message, MessageKind, Prepared, SendError,
    SendErrorKind, SendStatus, State, Version,
};
use ws_tests::pair::{Pair, Side, written};

fn send(connection: &mut Connection, kind: MessageKind, parts: &[&[u8]]) {
    connection.begin_message(kind).expect("it is open");
    for part in parts {
        connection.send_fragment(Bytes::copy_from_slice(part)).expect("room");
    }
    connection.finish_message().expect("it is whole");
}

/// Keeps the messages of a side.
fn listen(side: &mut Side) -> Rc<RefCell<Vec<Message>>> {
    let heard = Rc::new(RefCell::new(Vec::new()));
    let keep = Rc::clone(&heard);
    side.watch = Some(Box::new(move |event| {
        if let Event::Message(message) = event {
            keep.borrow_mut().push(message.clone());
        }
    }));
    heard
}

fn kind<T>(result: Result<SendStatus, SendError<T>>) -> SendErrorKind {
    result.expect_err("it is refused").kind
}

#[test]
fn the_frames_of_a_message_in_fragments() {
    let mut pair = Pair::connected(Version::Rfc6455);
    let server = &mut pair.server.connection;
    server.begin_message(MessageKind::Text).unwrap();
    assert!(written(server).is_empty(), "nothing is sent before the first byte");
    server.send_fragment(Bytes::from_static(b"He")).unwrap();
    server.send_fragment(Bytes::new()).unwrap();
    server.ping(Bytes::from_static(b"?")).unwrap();
    server.send_fragment(Bytes::from_static(b"llo")).unwrap();
    assert!(server.is_sending_fragments());
    server.finish_message().unwrap();
    assert!(!server.is_sending_fragments());
    assert_eq!(written(server), b"\x01\x02He\x89\x01?\x00\x03llo\x80\x00");
    send(server, MessageKind::Binary, &[]);
    assert_eq!(written(server), b"\x82\x00");
}

#[test]
fn the_drafts_need_no_fragments() {
    for version in [Version::Draft75, Version::Draft76] {
        let mut pair = Pair::connected(version);
        let server = &mut pair.server.connection;
        send(server, MessageKind::Text, &[b"gr\xC3", b"\xBC", b"n"]);
        send(server, MessageKind::Text, &[]);
        assert_eq!(written(server), b"\0gr\xC3\xBCn\xFF\0\xFF");
        let refused = server.begin_message(MessageKind::Binary).unwrap_err();
        assert_eq!(refused.kind, SendErrorKind::TextOnly);
        assert!(!server.is_sending_fragments());
    }
}

#[test]
fn both_roles_send_in_every_version() {
    for version in Version::ALL {
        let mut pair = Pair::connected(version);
        for side in [&mut pair.client, &mut pair.server] {
            send(&mut side.connection, MessageKind::Text, &[b"gr\xC3", b"", b"\xBC", b"n"]);
            side.connection.send("next".into()).unwrap();
        }
        pair.drive();
        for side in [&pair.client, &pair.server] {
            assert!(side.events.ends_with(&["text grün".into(), "text next".into()]));
        }
    }
}

#[test]
fn other_messages_are_handed_back_until_it_is_finished() {
    for version in Version::ALL {
        let mut pair = Pair::connected(version);
        let client = &mut pair.client.connection;
        client.begin_message(MessageKind::Text).unwrap();
        for _ in 0..2 {
            let refused = client.send("other".into()).unwrap_err();
            assert_eq!(refused.kind, SendErrorKind::Unfinished);
            assert_eq!(refused.message, Message::text("other"));
            let prepared = Prepared::new("other");
            assert_eq!(kind(client.send_prepared(&prepared)), SendErrorKind::Unfinished);
            assert_eq!(kind(client.push_prepared(&prepared)), SendErrorKind::Unfinished);
            let second = client.begin_message(MessageKind::Text);
            assert_eq!(second.unwrap_err().kind, SendErrorKind::Unfinished);
            client.send_fragment(Bytes::from_static(b"ab")).unwrap();
        }
        client.finish_message().unwrap();
        client.send("other".into()).unwrap();
        pair.drive();
        assert!(pair.server.events.ends_with(&["text abab".into(), "text other".into()]));
    }
}

#[test]
fn faults_of_the_caller_change_nothing() {
    let mut pair = Pair::connected(Version::Rfc6455);
    let client = &mut pair.client.connection;
    let lost = client.send_fragment(Bytes::from_static(b"x")).unwrap_err();
    assert_eq!((lost.kind, &lost.message[..]), (SendErrorKind::NotBegun, &b"x"[..]));
    assert_eq!(kind(client.finish_message()), SendErrorKind::NotBegun);
    let before = pair.now;
    client.abandon_message(before);
    client.begin_message(MessageKind::Text).unwrap();
    client.send_fragment(Bytes::from_static(b"gr\xC3")).unwrap();
    let wrong = client.send_fragment(Bytes::from_static(b"\xFF")).unwrap_err();
    assert_eq!((wrong.kind, &wrong.message[..]), (SendErrorKind::InvalidUtf8, &b"\xFF"[..]));
    assert_eq!(kind(client.finish_message()), SendErrorKind::InvalidUtf8);
    client.send_fragment(Bytes::from_static(b"\xBCn")).unwrap();
    client.finish_message().unwrap();
    pair.drive();
    assert_eq!(pair.server.last(), "text grün");
    pair.client.connection.begin_message(MessageKind::Text).unwrap();
    pair.client.connection.close(Close::normal(), before);
    let late = pair.client.connection.send_fragment(Bytes::from_static(b"x"));
    assert_eq!(kind(late), SendErrorKind::NotConnected(State::Closing));
    pair.drive();
    assert_eq!(pair.server.last(), "closed 1000 closed by the peer; the peer said 1000");
}

#[test]
fn each_fragment_waits_for_room() {
    for version in [Version::Draft76, Version::Rfc6455] {
        let mut pair = Pair::connected(version);
        let high = Config::default().limits().outbound_high;
        let server = &mut pair.server.connection;
        server.begin_message(MessageKind::Text).unwrap();
        let fragment = Bytes::from(vec![b'x'; high / 4]);
        let taken = (0..9).take_while(|_| server.send_fragment(fragment.clone()).is_ok()).count();
        assert_eq!(taken, 4);
        let refused = server.send_fragment(fragment.clone()).unwrap_err();
        assert_eq!((refused.kind, refused.message), (SendErrorKind::Full, fragment));
        server.finish_message().expect("there is always room for the end");
        let bytes = written(server);
        assert!(bytes.len() <= high + 50, "{} bytes", bytes.len());
        pair.drive();
        assert_eq!(pair.server.last(), "writable");
    }
}

#[test]
fn an_unfinished_message_can_be_abandoned() {
    let mut pair = Pair::connected(Version::Rfc6455);
    let now = pair.now;
    let client = &mut pair.client.connection;
    client.begin_message(MessageKind::Binary).unwrap();
    client.abandon_message(now);
    client.send("nothing was sent of it".into()).unwrap();
    client.begin_message(MessageKind::Binary).unwrap();
    client.send_fragment(Bytes::from_static(b"half of")).unwrap();
    client.abandon_message(now);
    pair.drive();
    assert!(pair.server.saw("text nothing was sent of it"));
    let told = "closed 1011 closed by the peer; the peer said 1011 \"a message was not finished\"";
    assert_eq!(pair.server.last(), told);
    assert!(pair.client.last().starts_with("closed 1011 this side did not finish a message"));
}

#[test]
fn half_a_text_of_the_drafts_never_looks_whole() {
    for version in [Version::Draft75, Version::Draft76] {
        for closes in [0, 1, 2] {
            let mut pair = Pair::connected(version);
            let ends = Rc::new(RefCell::new(Vec::new()));
            for side in [&mut pair.client, &mut pair.server] {
                let ends = Rc::clone(&ends);
                side.watch = Some(Box::new(move |event| {
                    if let Event::Closed(closed) = event {
                        ends.borrow_mut().push((closed.cause.clone(), closed.clean));
                    }
                }));
            }
            let now = pair.now;
            let client = &mut pair.client.connection;
            client.begin_message(MessageKind::Text).unwrap();
            client.send_fragment(Bytes::from_static(b"half of")).unwrap();
            let cause = match closes {
                0 => {
                    client.abandon_message(now);
                    Cause::Abandoned
                }
                1 => {
                    client.close(Close::normal(), now);
                    Cause::Local
                }
                _ => {
                    pair.server.connection.close(Close::normal(), now);
                    Cause::Peer
                }
            };
            pair.drive();
            pair.pass(Duration::from_secs(60));
            for side in [&pair.client, &pair.server] {
                assert!(!side.events.iter().any(|event| event.starts_with("text")));
                assert!(side.last().starts_with("closed"), "{:?}", side.events);
            }
            let ends = ends.borrow();
            assert!(ends.iter().any(|(told, _)| *told == cause), "{version} {closes}: {ends:?}");
            // draft75 closes with the end of the stream, for which nothing has to be answered.
            if closes < 2 || version == Version::Draft76 {
                assert!(ends.iter().all(|(_, clean)| !clean), "{version} {closes}: {ends:?}");
            }
        }
    }
}

#[test]
fn a_close_frame_may_go_between_fragments() {
    let mut pair = Pair::connected(Version::Rfc6455);
    let now = pair.now;
    let client = &mut pair.client.connection;
    client.begin_message(MessageKind::Text).unwrap();
    client.send_fragment(Bytes::from_static(b"half of")).unwrap();
    client.close(Close::normal(), now);
    pair.drive();
    assert_eq!(pair.server.last(), "closed 1000 closed by the peer; the peer said 1000");
    assert!(pair.client.last().starts_with("closed 1000 closed by this side"));
}

fn deflating(deflate: Deflate) -> Pair {
    let config = Config::builder().deflate(deflate).build().expect("good options");
    let mut pair = Pair::with_config(Version::Rfc6455, &Arc::new(config));
    pair.drive();
    assert!(pair.server.connection.deflate().is_some());
    pair
}

fn takeover() -> Deflate {
    Deflate::new().server_no_context_takeover(false).client_no_context_takeover(false)
}

#[test]
fn a_compressed_message_has_rsv1_on_its_first_fragment() {
    let mut pair = deflating(Deflate::new());
    let server = &mut pair.server.connection;
    let text = "again and ".repeat(20);
    server.begin_message(MessageKind::Text).unwrap();
    let mut starts = Vec::new();
    for _ in 0..2 {
        server.send_fragment(text.clone().into()).unwrap();
        let bytes = written(server);
        assert!(bytes.len() < 40, "{} bytes", bytes.len());
        assert!(bytes.ends_with(&[0, 0, 0xFF, 0xFF]), "it can be read at once");
        starts.push(bytes[0]);
    }
    server.finish_message().unwrap();
    assert_eq!((starts, written(server)), (vec![0x41, 0x00], vec![0x80, 0x01, 0x00]));
    send(server, MessageKind::Text, &[]);
    assert_eq!(written(server), b"\x81\x00", "nothing does not get shorter");
    server.begin_message_uncompressed(MessageKind::Text).unwrap();
    server.send_fragment(text.clone().into()).unwrap();
    assert_eq!(written(server)[2 + 2..], *text.as_bytes());
}

#[test]
fn compressed_fragments_arrive_between_other_messages() {
    let noise = Bytes::from(noise_of(200_000));
    let text = "as long as it repeats ".repeat(5000);
    let options = [
        Deflate::new(),
        takeover(),
        takeover().server_max_window_bits(9).client_max_window_bits(9),
    ];
    for deflate in options {
        let mut pair = deflating(deflate);
        pair.cut = 7001;
        for client in [true, false] {
            let (from, to) = if client {
                (&mut pair.client, &mut pair.server)
            } else {
                (&mut pair.server, &mut pair.client)
            };
            let heard = listen(to);
            let connection = &mut from.connection;
            connection.send(text.as_str().into()).unwrap();
            let parts: [&[u8]; 5] =
                [text.as_bytes(), &noise[..90_000], b"x", &noise[90_000..], b""];
            connection.begin_message(MessageKind::Binary).unwrap();
            for part in parts {
                pair.drive();
                // A silence gives the compressor back.
                pair.pass(Duration::from_secs(25));
                let from = if client { &mut pair.client } else { &mut pair.server };
                from.connection.send_fragment(Bytes::copy_from_slice(part)).unwrap();
            }
            let from = if client { &mut pair.client } else { &mut pair.server };
            from.connection.finish_message().unwrap();
            from.connection.send_prepared(&Prepared::new(text.as_str())).unwrap();
            from.connection.send(text.as_str().into()).unwrap();
            pair.drive();
            let whole = Message::binary(parts.concat());
            let text = Message::text(text.as_str());
            assert!(*heard.borrow() == [text.clone(), whole, text.clone(), text]);
        }
    }
}

/// Bytes that do not get shorter.
fn noise_of(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    ws_proto::Entropy::fill(&mut ws_tests::entropy::Repeatable::new(3), &mut bytes);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_fragments_arrive_as_one_message(
        text in ".{0,200}", cuts in prop::collection::vec(0usize..200, 0..8), cut in 1usize..80,
        version in prop::sample::select(Version::ALL.to_vec()), client: bool, compressed: bool,
    ) {
        let mut pair = if compressed && version == Version::Rfc6455 {
            deflating(takeover())
        } else {
            Pair::connected(version)
        };
        pair.cut = cut;
        let (from, to) = if client {
            (&mut pair.client, &mut pair.server)
        } else {
            (&mut pair.server, &mut pair.client)
        };
        let heard = listen(to);
        let mut rest = text.as_bytes();
        let mut parts = Vec::new();
        for at in cuts {
            let (part, behind) = rest.split_at(at.min(rest.len()));
            parts.push(part);
            rest = behind;
        }
        parts.push(rest);
        send(&mut from.connection, MessageKind::Text, &parts);
        send(&mut from.connection, MessageKind::Text, &parts);
        pair.drive();
        let message = Message::text(text.as_str());
        prop_assert_eq!(&*heard.borrow(), &[message.clone(), message]);
    }
}
