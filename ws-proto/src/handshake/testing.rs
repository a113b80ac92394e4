//! Feeds handshakes in every way that a network can.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::client::{ClientHandshake, ClientStep};
use super::client_request::ClientRequest;
use super::{Agreed, ServerHandshake, ServerStep};
use crate::{Config, HandshakeError, RecvBuf, Request};

/// Looks like frames and like a request, so that reading too far shows.
const TAIL: &[u8] = b"\x81\x01xGET / HTTP/1.1\r\n\r\n";

/// Gives `poll` the bytes in pieces of `size` until it answers; also gives what it left behind.
fn feed<T>(bytes: &[u8], size: usize, mut poll: impl FnMut(&mut RecvBuf) -> Option<T>) -> Fed<T> {
    let mut input = RecvBuf::with_capacity(bytes.len());
    for (index, piece) in bytes.chunks(size).enumerate() {
        assert_eq!(input.feed(piece), piece.len(), "input was not taken");
        if let Some(answer) = poll(&mut input) {
            let rest = bytes.get((index + 1) * size..).unwrap_or_default();
            return Some((answer, [input.unread(), rest].concat()));
        }
        assert!(input.is_idle(), "a poll that wants more took all there is");
    }
    None
}

type Fed<T> = Option<(T, Vec<u8>)>;

/// Feeds `bytes` whole, byte by byte, in pieces of seven, and with a tail. All must come to the
/// same answer, and a good one leaves the tail alone.
fn three_ways<T: fmt::Debug, P>(
    bytes: &[u8],
    new: impl Fn() -> P,
) -> Option<Result<T, HandshakeError>>
where
    P: FnMut(&mut RecvBuf) -> Option<Result<T, HandshakeError>>,
{
    // Miri takes a thousand times as long: it gets heads in few pieces.
    let smallest = if cfg!(miri) { bytes.len() / 2 + 1 } else { 1 };
    let whole = feed(bytes, bytes.len(), new());
    let show = |fed: &Fed<Result<T, HandshakeError>>| match fed {
        Some((answer, _)) => format!("{answer:?}"),
        None => String::from("pending"),
    };
    for size in [smallest, 7 * smallest] {
        assert_eq!(show(&feed(bytes, size, new())), show(&whole), "in pieces of {size}");
    }
    if let Some((answer, rest)) = &whole {
        for size in [bytes.len() + TAIL.len(), smallest, 7 * smallest] {
            let with_tail = [bytes, TAIL].concat();
            let tailed = feed(&with_tail, size, new());
            assert_eq!(show(&tailed), show(&whole), "in pieces of {size} with a tail");
            if answer.is_ok() {
                assert_eq!(rest, b"", "the bytes end where the handshake ends");
                assert!(tailed.is_some_and(|(_, rest)| rest == TAIL), "the tail was touched");
            }
        }
    }
    whole.map(|(answer, _)| answer)
}

/// What a server makes of these bytes.
pub(crate) fn serve(bytes: impl AsRef<[u8]>, config: &Config) -> Result<Request, HandshakeError> {
    let poll = || {
        let mut handshake = ServerHandshake::default();
        move |input: &mut RecvBuf| match handshake.poll(input, config) {
            Ok(ServerStep::NeedInput) => None,
            Ok(ServerStep::Request(request)) => Some(Ok(request)),
            Ok(ServerStep::Http(bytes)) => panic!("handed over {bytes:?}"),
            Err(error) => Some(Err(error)),
        }
    };
    three_ways(bytes.as_ref(), poll).expect("the head is complete")
}

/// What the default server makes of these bytes.
pub(crate) fn serve_default(bytes: impl AsRef<[u8]>) -> Result<Request, HandshakeError> {
    serve(bytes, &Config::default())
}

/// A client whose random bytes are the same each time, with its request.
pub(crate) fn ask(request: &ClientRequest) -> (ClientHandshake, Vec<u8>) {
    let mut out = Vec::new();
    let mut state = 1_u64;
    let mut entropy = |bytes: &mut [u8]| {
        for byte in bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (state >> 56) as u8;
        }
    };
    let config = Config::default();
    (ClientHandshake::new(request.clone(), &config, &mut entropy, &mut out), out)
}

/// What a client that sent this request makes of an answer, which may depend on the request.
pub(crate) fn answered(
    request: &ClientRequest,
    answer: impl AsRef<[u8]>,
) -> Result<Agreed, HandshakeError> {
    let config = Config::default();
    let poll = || {
        let (mut handshake, _) = ask(request);
        let mut waits = 0;
        let config = &config;
        move |input: &mut RecvBuf| loop {
            match handshake.poll(input, config) {
                Ok(ClientStep::NeedInput) => return None,
                Ok(ClientStep::Waiting) => waits += 1,
                Ok(ClientStep::Done(agreed)) => return Some(Ok(agreed)),
                Err(error) => return Some(Err(error)),
            }
            assert_eq!(waits, 1, "waiting is told once");
        }
    };
    three_ways(answer.as_ref(), poll).expect("the answer is complete")
}
