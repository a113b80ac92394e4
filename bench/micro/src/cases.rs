//! What is counted and timed of ws-proto alone: every part of the way of a message, through the
//! public API, over memory in place of a socket.

use std::{fmt, hint::black_box, sync::Arc};

use bytes::{Buf as _, Bytes};
use ws_proto::{Accept, Config, Connection, Event, Instant, RecvBuf, State, Transmit, Version};

use crate::{Codec as _, Side, WsProto, frames, sentinel_frames};

/// Bytes of payload.
pub const SIZES: [usize; 4] = [16, 125, 1 << 10, 16 << 10];

/// Requests of clients as they are usually seen.
const RFC6455: &[u8] = b"GET /chat?room=7 HTTP/1.1\r\nHost: example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: */*\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n\
    Sec-WebSocket-Version: 13\r\nOrigin: http://example.com\r\n\
    Sec-WebSocket-Extensions: permessage-deflate\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nConnection: keep-alive, Upgrade\r\n\
    Cookie: session=4b1d7c0e9a; theme=dark\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n\
    Upgrade: websocket\r\n\r\n";
const DRAFT76: &[u8] = b"GET /chat?room=7 HTTP/1.1\r\nHost: example.com\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\nUpgrade: WebSocket\r\n\
    Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nOrigin: http://example.com\r\n\r\n^n:ds[4U";

/// One piece of work that is done again and again.
pub struct Case {
    /// What it is, and at which size.
    pub name: String,
    /// Messages, or handshakes, of one call of `work`.
    pub count: usize,
    /// Makes what does it once; nothing is made before that.
    pub start: Box<dyn FnOnce() -> Work>,
}

/// Does it once.
pub type Work = Box<dyn FnMut()>;

/// All cases, in order.
pub fn all() -> Vec<Case> {
    let mut all = vec![handshake("rfc6455", RFC6455), handshake("draft76", DRAFT76)];
    for size in SIZES {
        all.extend([
            decode("binary", size, Version::Rfc6455, |size, count| frames(size, count, false)),
            decode("text", size, Version::Rfc6455, |size, count| frames(size, count, true)),
            // Two bytes for each character: nothing is plain ASCII.
            decode("utf-8", size, Version::Rfc6455, umlauts),
            decode("draft76", size, Version::Draft76, sentinel_frames),
            encode("plain", size, Side::Server),
            encode("masked", size, Side::Client),
            echo("rfc6455", size, Version::Rfc6455, |size, count| frames(size, count, false)),
            echo("draft76", size, Version::Draft76, sentinel_frames),
        ]);
    }
    all
}

/// Messages of one turn: as many as lie behind each other in one read, 16 at most.
pub fn count(size: usize) -> usize {
    (64 * 1024 / size).clamp(1, 16)
}

/// A request is read and judged, and its answer is written.
fn handshake(name: &str, request: &'static [u8]) -> Case {
    let start = move || -> Work {
        let config = Arc::new(Config::default());
        let mut input = RecvBuf::default();
        Box::new(move || shake_hands(&config, &mut input, request))
    };
    Case { name: format!("handshake {name}"), count: 1, start: Box::new(start) }
}

fn shake_hands(config: &Arc<Config>, input: &mut RecvBuf, request: &[u8]) {
    let now = Instant::from_nanos(0);
    let mut server = Connection::server(Arc::clone(config), now);
    assert_eq!(input.feed(request), request.len(), "a handshake fits");
    while let Some(event) = server.poll_event(input, now) {
        if let Event::Request(request) = event {
            black_box(&request);
            server.accept(&Accept::new(), now).expect("the request is fresh");
        }
    }
    while let Some(Transmit::Data(data)) = server.poll_transmit() {
        let n = black_box(data.chunk()).len();
        server.handle_transmitted(n);
    }
    while server.poll_event(input, now).is_some() {}
    assert_eq!(server.state(), State::Connected);
}

fn decode(name: &str, size: usize, version: Version, input: fn(usize, usize) -> Bytes) -> Case {
    let count = count(size);
    let start = move || -> Work {
        let mut end = WsProto::open(Side::Server, version, same_key, input(size, count));
        Box::new(move || {
            for _ in 0..count {
                assert_eq!(black_box(end.next_message()).len(), size);
            }
        })
    };
    Case { name: format!("decode {name} {size}"), count, start: Box::new(start) }
}

fn encode(name: &str, size: usize, role: Side) -> Case {
    let count = count(size);
    let start = move || -> Work {
        let payload = Bytes::from(vec![b'x'; size]);
        let mut end = WsProto::open(role, Version::Rfc6455, same_key, Bytes::new());
        Box::new(move || end.send(black_box(&payload), count))
    };
    Case { name: format!("encode {name} {size}"), count, start: Box::new(start) }
}

/// Everything between a read and a write.
fn echo(name: &str, size: usize, version: Version, input: fn(usize, usize) -> Bytes) -> Case {
    let count = count(size);
    let start = move || -> Work {
        let mut end = WsProto::open(Side::Server, version, same_key, input(size, count));
        Box::new(move || {
            for _ in 0..count {
                let message = end.next_message();
                end.queue(message);
            }
            end.transmit();
        })
    };
    Case { name: format!("echo {name} {size}"), count, start: Box::new(start) }
}

/// Text of two-byte characters; with an odd size it begins with one byte.
fn umlauts(size: usize, count: usize) -> Bytes {
    let text: String = "x".repeat(size % 2) + &"é".repeat(size / 2);
    // The frames of ASCII, with the same mask put over other payload.
    let ascii: Vec<u8> = (0..size).map(|at| b'a' + (at % 26) as u8).collect();
    let mut bytes = frames(size, count, true).to_vec();
    let frame = bytes.len() / count;
    for frame in bytes.chunks_mut(frame) {
        let head = frame.len() - size;
        for ((byte, old), new) in frame[head..].iter_mut().zip(&ascii).zip(text.as_bytes()) {
            *byte ^= old ^ new;
        }
    }
    Bytes::from(bytes)
}

/// Not random: instructions are to be the same each time.
fn same_key(bytes: &mut [u8]) {
    bytes.iter_mut().zip([0x37, 0xFA, 0x21, 0x3D].iter().cycle()).for_each(|(to, key)| *to = *key);
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_can_be_repeated() {
        for case in all() {
            let mut work = (case.start)();
            (0..5).for_each(|_| work());
        }
    }
}
