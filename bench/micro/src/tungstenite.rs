use bytes::Bytes;
use tungstenite::{Message, WebSocket, protocol::Role};

use crate::{Codec, Side, memory::Memory};

/// tungstenite with its default configuration.
#[derive(Debug)]
pub struct Tungstenite(WebSocket<Memory>);

impl Codec for Tungstenite {
    const NAME: &'static str = "tungstenite";

    fn new(side: Side, input: Bytes) -> Self {
        let role = match side {
            Side::Server => Role::Server,
            Side::Client => Role::Client,
        };
        Self(WebSocket::from_raw_socket(Memory::new(input), role, None))
    }

    fn receive(&mut self) -> usize {
        self.0.read().expect("the frames are valid").len()
    }

    fn send(&mut self, payload: &Bytes, count: usize) {
        for _ in 0..count {
            self.0.write(Message::Binary(payload.clone())).expect("memory takes everything");
        }
        self.0.flush().expect("memory takes everything");
    }
}
