use bytes::Bytes;
use fastwebsockets::{FragmentCollector, Frame, Payload, Role, WebSocket};
use futures::FutureExt as _;

use crate::{Codec, Side, memory::Memory};

/// fastwebsockets as its examples use it: whole messages, default settings.
pub struct Fastwebsockets(FragmentCollector<Memory>);

impl Codec for Fastwebsockets {
    const NAME: &'static str = "fastwebsockets";

    fn new(side: Side, input: Bytes) -> Self {
        let role = match side {
            Side::Server => Role::Server,
            Side::Client => Role::Client,
        };
        let socket = WebSocket::after_handshake(Memory::new(input), role);
        Self(FragmentCollector::new(socket))
    }

    fn receive(&mut self) -> usize {
        let frame = self.0.read_frame().now_or_never().expect("memory never waits");
        frame.expect("the frames are valid").payload.len()
    }

    fn send(&mut self, payload: &Bytes, count: usize) {
        for _ in 0..count {
            let frame = Frame::binary(Payload::Borrowed(payload));
            let sent = self.0.write_frame(frame).now_or_never().expect("memory never waits");
            sent.expect("memory takes everything");
        }
    }
}
