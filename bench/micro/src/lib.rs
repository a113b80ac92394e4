//! The codecs of three libraries behind one interface, over memory in place of a socket: what is
//! compared is parsing, masking, UTF-8 and copying, without a single system call.
//!
//! Everything goes through public API, and a connection of ours is a whole one: states, limits and
//! timers included, opened by a handshake.

pub mod cases;
mod fastwebsockets;
mod memory;
mod tungstenite;
mod ws_proto;

use bytes::Bytes;

pub use self::{fastwebsockets::Fastwebsockets, tungstenite::Tungstenite, ws_proto::WsProto};
pub use memory::{frames, sentinel_frames};

/// Which end of a connection is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// Takes masked frames and sends plain ones.
    Server,
    /// Takes plain frames and sends masked ones.
    Client,
}

/// One end of an open connection whose peer sends the same bytes again and again and throws away
/// what it gets.
pub trait Codec {
    /// The name in the result.
    const NAME: &'static str;

    /// An open connection. `input` is what the peer sends without end: whole frames.
    fn new(side: Side, input: Bytes) -> Self;

    /// Takes the next message from the peer and returns the length of its payload.
    fn receive(&mut self) -> usize;

    /// Sends `count` binary messages with this payload and gets rid of the bytes.
    fn send(&mut self, payload: &Bytes, count: usize);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receives_what_is_there<C: Codec>() {
        for text in [false, true] {
            for size in [0, 125, 126, 65535, 65536, 300_000] {
                let mut codec = C::new(Side::Server, frames(size, 3, text));
                assert_eq!([(); 7].map(|()| codec.receive()), [size; 7], "{} {text}", C::NAME);
            }
        }
    }

    fn sends_to_both_sides<C: Codec>() {
        for side in [Side::Server, Side::Client] {
            let mut codec = C::new(side, Bytes::new());
            codec.send(&Bytes::from_static(b"payload"), 3);
            codec.send(&Bytes::from(vec![b'x'; 300_000]), 2);
        }
    }

    #[test]
    fn all_codecs_receive() {
        receives_what_is_there::<Fastwebsockets>();
        receives_what_is_there::<Tungstenite>();
        receives_what_is_there::<WsProto>();
    }

    #[test]
    fn all_codecs_send() {
        sends_to_both_sides::<Fastwebsockets>();
        sends_to_both_sides::<Tungstenite>();
        sends_to_both_sides::<WsProto>();
    }
}
