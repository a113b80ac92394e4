use std::io::{self, Read, Write};

use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::protocol::{Role as TheirRole, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};
use ws_proto::Role;

use super::fragments;
use crate::outcome::{CloseBody, End, Item, LIMIT, Outcome};

/// A stream that has come to its end when its input has, and keeps its output.
#[derive(Debug)]
struct Wire<'a> {
    input: &'a [u8],
    output: Vec<u8>,
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn socket(role: Role, input: &[u8]) -> WebSocket<Wire<'_>> {
    let role = match role {
        Role::Server => TheirRole::Server,
        Role::Client => TheirRole::Client,
    };
    let config = WebSocketConfig::default().max_message_size(Some(LIMIT));
    let config = config.max_frame_size(Some(LIMIT)).read_buffer_size(4096);
    WebSocket::from_raw_socket(Wire { input, output: Vec::new() }, role, Some(config))
}

pub(super) fn receive(role: Role, bytes: &[u8]) -> Outcome {
    let mut socket = socket(role, bytes);
    let mut items = Vec::new();
    let end = loop {
        items.push(match socket.read() {
            Ok(Message::Text(text)) => Item::Text(text.as_str().to_owned()),
            Ok(Message::Binary(payload)) => Item::Binary(payload.to_vec()),
            Ok(Message::Ping(payload)) => Item::Ping(payload.to_vec()),
            Ok(Message::Pong(payload)) => Item::Pong(payload.to_vec()),
            Ok(Message::Close(close)) => break closed(close),
            Ok(Message::Frame(frame)) => panic!("a frame is no message: {frame}"),
            Err(error) => break failed(&error),
        });
    };
    Outcome { items, end }
}

/// A code that it does not allow is told as 1002 with this reason, which no stream here has.
fn closed(close: Option<CloseFrame>) -> End {
    match close {
        Some(close) if close.reason.as_str() == "Protocol violation" => End::Failed(1002),
        close => End::Closed(close.map(|close| (close.code.into(), close.reason.to_string()))),
    }
}

/// It leaves the close frame to its user, who has nothing but the error to choose the code by.
fn failed(error: &Error) -> End {
    use tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    match error {
        Error::Protocol(ResetWithoutClosingHandshake) => End::Open,
        Error::Protocol(_) => End::Failed(1002),
        Error::Utf8(_) => End::Failed(1007),
        Error::Capacity(_) => End::Failed(1009),
        error => panic!("memory does not fail: {error}"),
    }
}

pub(super) fn send(role: Role, items: &[Item], size: usize, close: &CloseBody) -> Vec<u8> {
    let mut socket = socket(role, &[]);
    for item in items {
        let (kind, payload) = match item {
            Item::Text(text) => (Data::Text, text.as_bytes()),
            Item::Binary(payload) => (Data::Binary, payload.as_slice()),
            Item::Ping(payload) => {
                socket.send(Message::Ping(payload.clone().into())).expect("a ping");
                continue;
            }
            Item::Pong(payload) => {
                socket.send(Message::Pong(payload.clone().into())).expect("a pong");
                continue;
            }
        };
        for (piece, first, last) in fragments(payload, size) {
            let opcode = OpCode::Data(if first { kind } else { Data::Continue });
            socket.send(Message::Frame(Frame::message(piece, opcode, last))).expect("a frame");
        }
    }
    if let Some((code, reason)) = close {
        let close = CloseFrame { code: CloseCode::from(*code), reason: reason.as_str().into() };
        socket.close(Some(close)).expect("a close frame");
    }
    std::mem::take(&mut socket.get_mut().output)
}
