//! Frames that are made once for many connections which send the same.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use ws_proto::{Close, Config, Deflate, FrameFormat, Message, MessageKind, Prepared, Version};
use ws_tests::pair::{Pair, written};

fn config(takeover: bool) -> Arc<Config> {
    let deflate = Deflate::new().threshold(100);
    let deflate =
        deflate.server_no_context_takeover(!takeover).client_no_context_takeover(!takeover);
    Arc::new(Config::builder().deflate(deflate).build().expect("it is valid"))
}

/// One server of each kind whose messages stand by themselves.
fn kinds() -> Vec<Pair> {
    let mut pairs: Vec<_> = [Version::Rfc6455, Version::Draft76, Version::Draft75, Version::Hybi08]
        .into_iter()
        .map(Pair::connected)
        .collect();
    let mut deflated = Pair::with_config(Version::Rfc6455, &config(false));
    deflated.drive();
    pairs.push(deflated);
    pairs
}

fn format(pair: &Pair) -> FrameFormat {
    pair.server.connection.frame_format().expect("it is a server's, and open")
}

#[test]
fn formats_are_equal_where_frames_are() {
    let [framed, draft76, draft75, hybi8, deflated] =
        kinds().iter().map(format).collect::<Vec<_>>()[..]
    else {
        panic!("five kinds")
    };
    assert_eq!((framed, draft76), (hybi8, draft75));
    assert_ne!(framed, draft76);
    assert_ne!(framed, deflated);
}

#[test]
fn frames_that_depend_on_others_have_no_format() {
    let mut pair = Pair::connected(Version::Rfc6455);
    assert_eq!(pair.client.connection.frame_format(), None, "it masks");
    let server = &mut pair.server.connection;
    server.begin_message(MessageKind::Text).unwrap();
    server.send_fragment(Bytes::from_static(b"He")).unwrap();
    assert_eq!(server.frame_format(), None, "the message goes first");
    server.finish_message().unwrap();
    assert!(server.frame_format().is_some());
    server.close(Close::normal(), pair.now);
    assert_eq!(pair.server.connection.frame_format(), None, "it is closing");
    let mut takeover = Pair::with_config(Version::Rfc6455, &config(true));
    takeover.drive();
    assert_eq!(takeover.server.connection.frame_format(), None, "it keeps a context");
}

#[test]
fn what_does_not_fit_or_is_not_carried_is_not_appended() {
    let mut out = Vec::new();
    let message = Prepared::new("x".repeat(1000));
    for pair in kinds() {
        let format = format(&pair);
        assert!(!message.append_to(&mut out, format, 1000));
        let binary = Prepared::new(vec![7]);
        assert_eq!(binary.append_to(&mut Vec::new(), format, 1000), {
            pair.server.connection.version().unwrap().has_frames()
        });
    }
    assert!(out.is_empty());
}

#[test]
fn frames_are_written_in_place_only_behind_nothing() {
    let mut pair = Pair::connected(Version::Rfc6455);
    let server = &mut pair.server.connection;
    let frames = Bytes::from_static(b"\x81\x03one\x81\x03two");
    assert!(server.transmit_frames(&frames, <[u8]>::len));
    assert_eq!(server.buffered_amount(), 0);
    assert!(!server.transmit_frames(&frames, |_| 7));
    assert!(!server.transmit_frames(&frames, |_| panic!("something is queued")));
    assert_eq!(written(server), b"two\x81\x03one\x81\x03two");
    server.close(Close::normal(), pair.now);
    let server = &mut pair.server.connection;
    assert_eq!(written(server), b"\x88\x02\x03\xE8");
    assert!(!server.transmit_frames(&frames, |_| panic!("it is closing")));
    assert_eq!(server.buffered_amount(), 0, "they are dropped");
}

#[derive(Clone, Debug)]
enum Step {
    /// A message for many.
    Shared(Message),
    /// A message of the connection itself.
    Own(Message),
    /// The socket takes so much of what is next.
    Write(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let text = prop_oneof![0..200_usize, 200..9000_usize];
    let message = || {
        (text.clone(), any::<bool>(), any::<u8>()).prop_map(|(len, binary, seed)| {
            let letters: Vec<u8> =
                (0..len).map(|at| b'a' + ((at / 7 * 5) as u8 ^ seed) % 26).collect();
            if binary {
                Message::binary(letters)
            } else {
                Message::text(String::from_utf8(letters).unwrap())
            }
        })
    };
    let step = prop_oneof![
        3 => message().prop_map(Step::Shared),
        1 => message().prop_map(Step::Own),
        2 => (0..12_000_usize).prop_map(Step::Write),
    ];
    prop::collection::vec(step, 1..30)
}

proptest! {
    /// Frames that were made once are those that the connection makes itself, in the same order.
    #[test]
    fn like_messages_that_are_framed_one_by_one(steps in steps()) {
        for (mut pair, mut twin) in kinds().into_iter().zip(kinds()) {
            let format = format(&pair);
            let (server, twin) = (&mut pair.server.connection, &mut twin.server.connection);
            let (mut log, mut sent) = (Vec::new(), Vec::new());
            for step in &steps {
                match step {
                    Step::Shared(message) => {
                        let prepared = Prepared::new(message.clone());
                        let carried = twin.send_prepared(&prepared).is_ok();
                        prop_assert_eq!(carried, prepared.append_to(&mut log, format, usize::MAX));
                    }
                    Step::Own(message) => {
                        server.queue_frames(&Bytes::from(std::mem::take(&mut log)));
                        prop_assert_eq!(server.queue(message).is_ok(), twin.queue(message).is_ok());
                    }
                    Step::Write(most) => {
                        let frames = Bytes::from(std::mem::take(&mut log));
                        let before = server.buffered_amount();
                        let all = server.transmit_frames(&frames, |bytes| {
                            let part = &bytes[..bytes.len().min(*most)];
                            sent.extend_from_slice(part);
                            part.len()
                        });
                        prop_assert_eq!(all, before == 0 && frames.len() <= *most);
                        if before > 0 {
                            sent.extend(written(server));
                        }
                    }
                }
            }
            server.queue_frames(&Bytes::from(log));
            sent.extend(written(server));
            let expected = written(twin);
            prop_assert!(sent == expected, "{} and {} bytes", sent.len(), expected.len());
        }
    }
}
