use std::{io::IoSlice, sync::Arc};

use bytes::{Buf as _, Bytes};
use ws_proto::{
    Accept, ClientRequest, Config, Connection, Event, Instant, Message, RecvBuf, SendStatus, State,
    Transmit, Version,
};

use crate::{
    Codec, Side,
    memory::{Memory, swallow},
};

/// Slices of one vectored write.
const SLICES: usize = 64;

/// A whole connection of ours with the default configuration.
#[derive(Debug)]
pub struct WsProto {
    connection: Connection,
    input: RecvBuf,
    socket: Memory,
    now: Instant,
}

impl Codec for WsProto {
    const NAME: &'static str = "ws-proto";

    fn new(side: Side, input: Bytes) -> Self {
        Self::open(side, Version::Rfc6455, rand::fill, input)
    }

    fn receive(&mut self) -> usize {
        self.next_message().len()
    }

    fn send(&mut self, payload: &Bytes, count: usize) {
        for _ in 0..count {
            self.queue(Message::Binary(payload.clone()));
        }
        self.transmit();
    }
}

impl WsProto {
    /// An open connection of this version. `entropy` fills mask keys and nonces.
    ///
    /// # Panics
    /// When the two ends do not understand each other, which would be a fault of ws-proto.
    pub fn open(side: Side, version: Version, entropy: fn(&mut [u8]), input: Bytes) -> Self {
        let now = Instant::from_nanos(0);
        let config = Arc::new(Config::default());
        let request = ClientRequest::new("ws://localhost/").expect("the URL is valid");
        let request = request.version(version);
        let entropy = Box::new(entropy);
        let mut client = End::new(Connection::client(config.clone(), request, entropy, now));
        let mut server = End::new(Connection::server(config, now));
        server.take(&client.give(now), now);
        client.take(&server.give(now), now);
        let end = match side {
            Side::Server => server,
            Side::Client => client,
        };
        assert_eq!(end.connection.state(), State::Connected);
        Self { connection: end.connection, input: end.input, socket: Memory::new(input), now }
    }

    /// The next message from the peer.
    ///
    /// # Panics
    /// When the input is not what such a peer sends.
    pub fn next_message(&mut self) -> Message {
        loop {
            match self.connection.poll_event(&mut self.input, self.now) {
                Some(Event::Message(message)) => return message,
                Some(event) => panic!("{event:?} instead of a message"),
                None => {
                    let n = self.socket.copy_to(self.input.spare_mut());
                    assert!(n > 0, "no event, and no room for further input");
                    self.input.filled(n);
                }
            }
        }
    }

    /// Puts a message into the outbound queue, and gets rid of the bytes when it is full.
    ///
    /// # Panics
    /// When the connection is not open any more.
    pub fn queue(&mut self, message: Message) {
        let status = self.connection.send(message).expect("the connection is open");
        if status == SendStatus::Filled {
            self.transmit();
        }
    }

    /// Gets rid of all bytes that are to be written.
    pub fn transmit(&mut self) {
        while let Some(Transmit::Data(mut data)) = self.connection.poll_transmit() {
            while data.has_remaining() {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let filled = data.chunks_vectored(&mut slices);
                let n = swallow(&slices[..filled]);
                data.advance(n);
                self.connection.handle_transmitted(n);
            }
        }
    }
}

/// One end during the handshake.
struct End {
    connection: Connection,
    input: RecvBuf,
}

impl End {
    fn new(connection: Connection) -> Self {
        Self { connection, input: RecvBuf::default() }
    }

    fn take(&mut self, bytes: &[u8], now: Instant) {
        assert_eq!(self.input.feed(bytes), bytes.len(), "a handshake fits");
        self.events(now);
    }

    fn give(&mut self, now: Instant) -> Vec<u8> {
        self.events(now);
        let mut bytes = Vec::new();
        while let Some(Transmit::Data(mut data)) = self.connection.poll_transmit() {
            let n = data.remaining();
            bytes.extend(data.copy_to_bytes(n));
            self.connection.handle_transmitted(n);
        }
        self.events(now);
        bytes
    }

    fn events(&mut self, now: Instant) {
        while let Some(event) = self.connection.poll_event(&mut self.input, now) {
            if let Event::Request(_) = event {
                self.connection.accept(&Accept::new(), now).expect("the request is fresh");
            }
        }
    }
}
