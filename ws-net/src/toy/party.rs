//! Servers on a toy, and clients that hear what goes to many.

use crate::runtime::Runtime;
use crate::toy::{Pipe, Toy};
use crate::{Builder, Connection, Server};

pub(crate) const REQUEST: &[u8] =
    b"GET /chat HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// The example of draft-hixie-76 section 1.2.
const DRAFT76: &[u8] = b"GET /demo HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\nUpgrade: WebSocket\r\n\
    Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nOrigin: http://example.com\r\n\r\n^n:ds[4U";

/// A server that listens.
pub(crate) fn listening(builder: Builder<Toy>) -> Server<Toy> {
    let server = builder.build().unwrap();
    server.add(crate::Bind::tcp("127.0.0.1:0")).unwrap();
    server
}

/// The same, and runs with its listeners.
pub(crate) fn run(toy: &Toy, builder: Builder<Toy>) -> Server<Toy> {
    let server = listening(builder);
    let own = server.clone();
    toy.spawn(async move { own.run().await.unwrap() });
    server
}

/// The same, and runs `handler`.
pub(crate) fn serve<H>(
    toy: &Toy,
    builder: Builder<Toy>,
    handler: impl Fn(Connection) -> H + Send + Sync + 'static,
) -> Server<Toy>
where
    H: Future<Output = ()> + Send + 'static,
{
    let server = listening(builder);
    let own = server.clone();
    toy.spawn(async move { own.serve(handler).await.unwrap() });
    server
}

/// A server that listens and does nothing, with its runtime.
pub(crate) fn server(change: impl FnOnce(Builder<Toy>) -> Builder<Toy>) -> (Toy, Server<Toy>) {
    let toy = Toy::default();
    (toy.clone(), listening(change(Builder::new(toy))))
}

/// A server that runs with its listeners, with its runtime.
pub(crate) fn running(change: impl FnOnce(Builder<Toy>) -> Builder<Toy>) -> (Toy, Server<Toy>) {
    let toy = Toy::default();
    let server = run(&toy, change(Builder::new(toy.clone())));
    (toy, server)
}

/// A server that runs `handler`, with its runtime.
pub(crate) fn serving<H>(
    handler: impl Fn(Connection) -> H + Send + Sync + 'static,
) -> (Toy, Server<Toy>)
where
    H: Future<Output = ()> + Send + 'static,
{
    let toy = Toy::default();
    let server = serve(&toy, Builder::new(toy.clone()), handler);
    (toy, server)
}

/// Sends every message back.
pub(crate) async fn echo(connection: Connection) {
    while let Some(Ok(message)) = connection.recv().await {
        if connection.send(message).await.is_err() {
            break;
        }
    }
}

/// The one connection that there is.
pub(crate) fn only(server: &Server<Toy>) -> Connection {
    server.manager().snapshot().pop().unwrap()
}

/// A client that has shaken hands.
pub(crate) fn join(toy: &Toy) -> Pipe {
    let client = toy.dial();
    client.send(REQUEST);
    toy.settle();
    let (answer, _) = client.take();
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    client
}

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
        let server = run(&toy, change(Builder::new(toy.clone())));
        let mut party = Self { toy, server, guests: Vec::new() };
        for _ in 0..guests {
            party.join(REQUEST);
        }
        party
    }

    /// The same with guests of whom every second speaks draft76.
    pub(crate) fn of_all_versions(toy: Toy, guests: usize) -> Self {
        let mut party = Self::on(toy, 0, |builder| builder);
        for guest in 0..guests {
            party.join(if guest % 2 == 0 { REQUEST } else { DRAFT76 });
        }
        party
    }

    /// The same with guests who offer compression.
    #[cfg(feature = "deflate")]
    pub(crate) fn compressed(
        toy: Toy,
        guests: usize,
        change: impl FnOnce(Builder<Toy>) -> Builder<Toy>,
    ) -> Self {
        let mut party = Self::on(toy, 0, change);
        let (head, _) = REQUEST.split_at(REQUEST.len() - 2);
        let request = [head, b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"].concat();
        for _ in 0..guests {
            party.join(&request);
        }
        party
    }

    fn join(&mut self, request: &[u8]) {
        let client = self.toy.dial();
        client.send(request);
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

/// Tasks hold the toy that holds them, and their sockets.
impl Drop for Party {
    fn drop(&mut self) {
        self.toy.drop_tasks();
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
