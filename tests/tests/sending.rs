//! When something may be sent, and how it is masked.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use ws_proto::{
    Accept, ClientRequest, Close, Config, Connection, Event, Instant, MessageKind, Prepared,
    RecvBuf, SendErrorKind, SendStatus, State, Version,
};
use ws_tests::entropy::Repeatable;
use ws_tests::pair::{Pair, written};

const NOW: Instant = Instant::from_nanos(0);

/// One end, which tries to send whenever it has moved, until it is open.
struct Eager {
    connection: Connection,
    input: RecvBuf,
    /// The states in which everything was refused.
    refused: Vec<State>,
    sent: Vec<u8>,
    /// How much of that the other end has.
    delivered: usize,
}

impl Eager {
    fn new(connection: Connection) -> Self {
        let (refused, sent) = (Vec::new(), Vec::new());
        Self { connection, input: RecvBuf::default(), refused, sent, delivered: 0 }
    }

    /// Takes all that has come, and writes what comes of it.
    fn settle(&mut self) {
        loop {
            if self.connection.state() < State::Connected {
                self.try_to_send();
            }
            match self.connection.poll_event(&mut self.input, NOW) {
                None => break,
                Some(Event::Request(_)) => self.connection.accept(&Accept::new(), NOW).unwrap(),
                Some(_) => {}
            }
        }
        self.sent.extend(written(&mut self.connection));
    }

    fn deliver(&mut self, to: &mut Self) {
        self.settle();
        for byte in self.sent.split_off(self.delivered) {
            to.input.feed(&[byte]);
            to.settle();
            self.sent.push(byte);
        }
        self.delivered = self.sent.len();
    }

    fn try_to_send(&mut self) {
        let state = self.connection.state();
        let connection = &mut self.connection;
        let prepared = Prepared::new("early");
        let tries: [Result<SendStatus, SendErrorKind>; 7] = [
            connection.send("early".into()).map_err(|error| error.kind),
            connection.send(vec![7].into()).map_err(|error| error.kind),
            connection.send_prepared(&prepared).map_err(|error| error.kind),
            connection.push_prepared(&prepared).map_err(|error| error.kind),
            connection.ping(Bytes::new()).map_err(|error| error.kind),
            connection.pong(Bytes::new()).map_err(|error| error.kind),
            connection
                .begin_message(MessageKind::Text)
                .map(|()| SendStatus::Ready)
                .map_err(|error| error.kind),
        ];
        for one in tries {
            assert_eq!(one, Err(SendErrorKind::NotConnected(state)));
        }
        if self.refused.last() != Some(&state) {
            self.refused.push(state);
        }
    }
}

/// Section 4.1 of RFC 6455: not before the server has agreed, in either direction.
#[test]
fn nothing_is_sent_before_the_connection_is_open() {
    for version in Version::ALL {
        let config = Arc::new(Config::default());
        let request = ClientRequest::new("ws://example.com/").unwrap().version(version);
        let request = request.origin("http://example.com").unwrap();
        let entropy = Box::new(Repeatable::new(7));
        let mut client = Eager::new(Connection::client(Arc::clone(&config), request, entropy, NOW));
        let mut server = Eager::new(Connection::server(config, NOW));
        for _ in 0..2 {
            client.deliver(&mut server);
            server.deliver(&mut client);
        }
        let behind = if version == Version::Draft76 { [8, 16] } else { [0, 0] };
        for (side, behind) in [&client, &server].into_iter().zip(behind) {
            assert_eq!(side.connection.state(), State::Connected, "{version}");
            let head = side.sent.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
            assert_eq!(side.sent.len(), head + 4 + behind, "{version}");
        }
        // The step through state 3 is told and takes no time.
        let waits: &[State] = if version == Version::Draft76 { &[State::Waiting] } else { &[] };
        let expected = [&[State::Unknown, State::Opening], waits].concat();
        // A client has begun to ask from its first moment on.
        assert_eq!(client.refused, expected[1..], "{version}");
        assert_eq!(server.refused, expected, "{version}");
    }
}

/// RFC 6455 section 5.3: fresh for each frame.
#[test]
fn no_two_frames_have_the_same_masking_key() {
    for version in [Version::Hybi07, Version::Hybi08, Version::Rfc6455] {
        let mut pair = Pair::connected(version);
        let client = &mut pair.client.connection;
        client.send("same".into()).unwrap();
        client.send("same".into()).unwrap();
        client.ping(Bytes::from_static(b"same")).unwrap();
        client.pong(Bytes::from_static(b"same")).unwrap();
        client.send_prepared(&Prepared::new("same")).unwrap();
        client.send_prepared(&Prepared::new("same")).unwrap();
        client.begin_message(MessageKind::Text).unwrap();
        client.send_fragment(Bytes::from_static(b"same")).unwrap();
        client.send_fragment(Bytes::from_static(b"same")).unwrap();
        client.finish_message().unwrap();
        client.close(Close::new(1000, "me").unwrap(), pair.now);
        let wire = written(client);
        let mut keys = BTreeSet::new();
        let (mut rest, mut frames) = (wire.as_slice(), 0);
        while let [_, length, tail @ ..] = rest {
            let (key, behind) = tail.split_at(4);
            let (payload, behind) = behind.split_at(usize::from(length & 0x7F));
            let bare: Vec<_> = payload.iter().zip(key).map(|(byte, key)| byte ^ key).collect();
            assert!([&b"same"[..], b"\x03\xE8me", b""].contains(&&bare[..]), "{bare:?}");
            keys.insert(key);
            (rest, frames) = (behind, frames + 1);
        }
        assert_eq!((keys.len(), frames), (10, 10), "{version}");
    }
}
