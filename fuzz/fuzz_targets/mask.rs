//! Any payload from a client to a server and back: masked, unmasked, unchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ws_fuzz::{Piece, joined};
use ws_proto::{Event, Message, Version};
use ws_tests::pair::Pair;

fuzz_target!(|input: (u16, Vec<Piece>)| {
    let (cut, pieces) = input;
    let payload = joined(&pieces);
    let mut pair = Pair::connected(Version::Rfc6455);
    pair.cut = 1 + usize::from(cut);
    pair.server.echoes = true;
    pair.client.watch = Some(Box::new({
        let payload = payload.clone();
        move |event| {
            if let Event::Message(message) = event {
                assert_eq!(message.as_bytes(), payload);
            }
        }
    }));
    pair.client.connection.send(Message::binary(payload)).unwrap();
    pair.drive();
    assert!(pair.client.last().starts_with("binary of"), "{:?}", pair.client.events);
});
