//! A server and its clients, which hear what goes to many.

use crate::runtime::Runtime;
use crate::toy::{Pipe, Toy};
use crate::{Builder, Connection, Server};

const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// A server and its clients.
pub(crate) struct Party {
    pub(crate) toy: Toy,
    pub(crate) server: Server<Toy>,
    pub(crate) guests: Vec<(Connection, Pipe)>,
}

impl Party {
    pub(crate) fn new(guests: usize, change: impl FnOnce(Builder<Toy>) -> Builder<Toy>) -> Self {
        Self::on(Toy::default(), guests, change)
    }

    /// The same on a toy that is there.
    pub(crate) fn on(
        toy: Toy,
        guests: usize,
        change: impl FnOnce(Builder<Toy>) -> Builder<Toy>,
    ) -> Self {
        let server = change(Builder::new(toy.clone())).build().unwrap();
        server.add(crate::Bind::tcp("127.0.0.1:0")).unwrap();
        let own = server.clone();
        toy.spawn(async move { own.run().await.unwrap() });
        let mut party = Self { toy, server, guests: Vec::new() };
        for _ in 0..guests {
            party.join();
        }
        party
    }

    fn join(&mut self) {
        let client = self.toy.dial();
        client.send(REQUEST);
        self.toy.settle();
        client.take();
        let newest = self.server.manager().snapshot().into_iter().max_by_key(Connection::id);
        self.guests.push((newest.unwrap(), client));
    }

    /// What each client has received since the last call: short texts.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.toy.settle();
        self.guests.iter().map(|(_, client)| texts(&client.take().0).join(" ")).collect()
    }

    pub(crate) fn connection(&self, guest: usize) -> &Connection {
        &self.guests[guest].0
    }
}

/// The payloads of the text frames of a server.
pub(crate) fn texts(mut bytes: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    while let [first, length, rest @ ..] = bytes {
        let (length, rest) = match rest {
            [high, low, rest @ ..] if *length == 126 => {
                (usize::from(u16::from_be_bytes([*high, *low])), rest)
            }
            _ => (usize::from(*length), rest),
        };
        let (payload, behind) = rest.split_at(length);
        texts.extend((*first == 0x81).then(|| String::from_utf8(payload.into()).unwrap()));
        bytes = behind;
    }
    texts
}
