//! A WebSocket connection as a value: bytes, time and commands go in; events, bytes and a
//! deadline come out.
//!
//! The core speaks every version that was ever shipped (draft75, draft76, hybi 7 and 8,
//! RFC 6455) in both roles. It opens no socket, reads no clock, starts no thread and draws no
//! random number, so it fits any IO loop and every test of it is repeatable.
//!
//! # The law of the loop
//!
//! After **any** `&mut` call: drain [`Connection::poll_event`], then drain
//! [`Connection::poll_transmit`], then wait for the socket to be readable, for it to be
//! writable, or for [`Connection::poll_timeout`]. Say what came of it:
//!
//! * [`Connection::handle_transmitted`]: bytes were written;
//! * [`Connection::handle_timeout`]: the deadline has come;
//! * [`Connection::handle_eof`]: the peer ended its side;
//! * [`Connection::handle_reset`], [`Connection::handle_write_failure`]: reading, or writing, fails.
//!
//! `examples/blocking.rs` is a whole server in that way, over sockets of the standard library. Two
//! sides without a socket, deadlines and ends left out:
//!
//! ```
//! use std::sync::Arc;
//!
//! use bytes::Buf;
//! use ws_proto::{
//!     Accept, ClientRequest, Config, Connection, Event, Instant, Message, RecvBuf, Transmit,
//! };
//!
//! /// One side of a connection; `inbox` stands for its socket.
//! struct Peer {
//!     connection: Connection,
//!     input: RecvBuf,
//!     inbox: Vec<u8>,
//!     heard: Vec<Message>,
//! }
//!
//! impl Peer {
//!     fn new(connection: Connection) -> Self {
//!         Self { connection, input: RecvBuf::default(), inbox: vec![], heard: vec![] }
//!     }
//!
//!     /// Reads, obeys the law, and answers what it would write to its socket.
//!     fn turn(&mut self, now: Instant) -> Vec<u8> {
//!         let n = self.input.feed(&self.inbox);
//!         self.inbox.drain(..n);
//!         let mut written = vec![];
//!         loop {
//!             while let Some(event) = self.connection.poll_event(&mut self.input, now) {
//!                 match event {
//!                     Event::Request(_) => self.connection.accept(&Accept::new(), now).unwrap(),
//!                     Event::Message(message) => self.heard.push(message),
//!                     Event::Closed(closed) => panic!("{closed}"),
//!                     _ => {}
//!                 }
//!             }
//!             match self.connection.poll_transmit() {
//!                 Some(Transmit::Data(mut data)) => {
//!                     let n = data.remaining();
//!                     written.extend(data.copy_to_bytes(n));
//!                     self.connection.handle_transmitted(n);
//!                 }
//!                 Some(Transmit::Shutdown) => unreachable!("nobody closed"),
//!                 None => return written,
//!             }
//!         }
//!     }
//! }
//!
//! let config = Arc::new(Config::default());
//! let request = ClientRequest::new("ws://example.com/chat")?;
//! // A real client asks the operating system for randomness.
//! let entropy = Box::new(|bytes: &mut [u8]| bytes.fill(7));
//! let now = Instant::from_nanos(0);
//! let mut client = Peer::new(Connection::client(config.clone(), request, entropy, now));
//! let mut server = Peer::new(Connection::server(config, now));
//!
//! server.inbox = client.turn(now); // the request
//! client.inbox = server.turn(now); // the answer
//! client.turn(now);
//! client.connection.send("hello".into()).unwrap();
//! server.inbox = client.turn(now);
//! server.turn(now);
//! assert_eq!(server.heard, ["hello".into()]);
//! # Ok::<(), ws_proto::InvalidUrl>(())
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `std` | yes | `std` in what this crate is built on, such as finding out what the processor can do; the API and the protocol are the same without |
//! | `deflate` | no | permessage-deflate (RFC 7692), for configurations that ask for it; needs `std` |
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unwrap_used
    )
)]

extern crate alloc;

mod buffer;
pub use buffer::{RecvBuf, SendBuf};

mod close;
pub use close::{Close, CloseCode, InvalidClose};

mod config;
pub use config::{Config, ConfigBuilder, ConfigError, Limits, Timeouts};

mod connection;
pub use connection::Connection;
pub use connection::batch::Batch;
pub use connection::frames::FrameFormat;
pub use connection::outbound::Transmit;
pub use connection::state::{Role, State};

#[cfg_attr(not(feature = "deflate"), path = "no_deflate.rs")]
mod deflate;
#[cfg(feature = "deflate")]
pub use deflate::{Deflate, DeflateParams};

mod entropy;
pub use entropy::Entropy;

mod error;
pub use error::{
    CommandError, HandshakeError, ProtocolError, SendError, SendErrorKind, SendStatus,
};

mod event;
pub use event::{Cause, Closed, Event, Expired};

mod handshake;
pub use handshake::answer::Answer;
pub use handshake::client_request::ClientRequest;
pub use handshake::decision::{Accept, Reject};
pub use handshake::extra_headers::InvalidHeader;
pub use handshake::policy::{OriginPolicy, OriginRequest, SubprotocolPolicy};
pub use handshake::request::Request;
pub use handshake::response::Response;
pub use handshake::url::InvalidUrl;

mod http;
pub use http::Headers;

mod instant;
pub use instant::Instant;

mod message;
pub use message::{Message, MessageKind};

mod piece;
pub use piece::Piece;

mod prepared;
pub use prepared::Prepared;

mod unchecked;
mod utf8_bytes;
pub use utf8_bytes::Utf8Bytes;

mod version;
pub use version::{UnknownVersion, Version, Versions};

mod wire;
