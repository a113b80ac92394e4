use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use fastwebsockets::{
    FragmentCollector, Frame, OpCode, Payload, Role as TheirRole, WebSocket, WebSocketError,
};
use tokio::io::Join;
use ws_proto::Role;

use super::fragments;
use crate::outcome::{CloseBody, End, Item, LIMIT, Outcome, text};

/// The result of a future over memory, which never waits.
fn done<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("memory does not wait"),
    }
}

fn socket(role: Role, input: &[u8]) -> WebSocket<Join<&[u8], Vec<u8>>> {
    let role = match role {
        Role::Server => TheirRole::Server,
        Role::Client => TheirRole::Client,
    };
    let mut socket = WebSocket::after_handshake(tokio::io::join(input, Vec::new()), role);
    // Its limit is the first length that it refuses.
    socket.set_max_message_size(LIMIT + 1);
    // Otherwise it answers pings without telling of them.
    socket.set_auto_pong(false);
    socket
}

pub(super) fn receive(role: Role, bytes: &[u8]) -> Outcome {
    let mut socket = FragmentCollector::new(socket(role, bytes));
    let mut items = Vec::new();
    let end = loop {
        let frame = match done(socket.read_frame()) {
            Ok(frame) => frame,
            Err(error) => break failed(&error),
        };
        let payload = frame.payload.to_vec();
        items.push(match frame.opcode {
            OpCode::Text => Item::Text(text(payload)),
            OpCode::Binary => Item::Binary(payload),
            OpCode::Ping => Item::Ping(payload),
            OpCode::Pong => Item::Pong(payload),
            OpCode::Close => break closed(&payload),
            OpCode::Continuation => panic!("the collector gave out a fragment"),
        });
    };
    Outcome { items, end }
}

fn closed(payload: &[u8]) -> End {
    let body = payload.split_first_chunk();
    End::Closed(body.map(|(code, reason)| (u16::from_be_bytes(*code), text(reason.to_vec()))))
}

/// Its user has nothing but the error to choose the code by.
fn failed(error: &WebSocketError) -> End {
    match error {
        WebSocketError::UnexpectedEOF => End::Open,
        WebSocketError::InvalidUTF8 => End::Failed(1007),
        WebSocketError::FrameTooLarge => End::Failed(1009),
        WebSocketError::IoError(error) => panic!("memory does not fail: {error}"),
        _ => End::Failed(1002),
    }
}

pub(super) fn send(role: Role, items: &[Item], size: usize, close: &CloseBody) -> Vec<u8> {
    let mut socket = socket(role, &[]);
    let mut write = |fin, opcode, payload: Vec<u8>| {
        let frame = Frame::new(fin, opcode, None, Payload::Owned(payload));
        done(socket.write_frame(frame)).expect("memory takes everything");
    };
    for item in items {
        let (kind, payload) = match item {
            Item::Text(text) => (OpCode::Text, text.as_bytes()),
            Item::Binary(payload) => (OpCode::Binary, payload.as_slice()),
            Item::Ping(payload) => {
                write(true, OpCode::Ping, payload.clone());
                continue;
            }
            Item::Pong(payload) => {
                write(true, OpCode::Pong, payload.clone());
                continue;
            }
        };
        for (piece, first, last) in fragments(payload, size) {
            write(last, if first { kind } else { OpCode::Continuation }, piece);
        }
    }
    if let Some((code, reason)) = close {
        write(true, OpCode::Close, [&code.to_be_bytes()[..], reason.as_bytes()].concat());
    }
    socket.into_inner().into_inner().1
}
