//! The half of a WebSocket server that no runtime changes: drivers, servers, connection handles,
//! listeners, the manager, and ordinary HTTP on the same port.
//!
//! Use it through an adapter such as `ws-tokio`, which implements [`Runtime`] and exports the same
//! names with the runtime filled in. A handle ([`Connection`]) is the same type on all of them.
//!
//! # What is where
//!
//! | task | items |
//! |---|---|
//! | take connections | [`Server::serve`], [`Server::accept`], [`Server::run`] with listeners |
//! | decide who may connect | [`Builder::authorize`], [`Builder::origin`], [`Incoming::reject`] |
//! | receive and send | [`Connection::recv`], [`Connection::send`], [`Connection::try_send`], [`Connection::ready`] |
//! | the same with long messages, in pieces | [`Connection::recv_stream`], [`Connection::send_stream`] |
//! | send to many | [`Connection::broadcast`], [`Connection::subscribe`], [`Connection::publish`], [`Audience`] |
//! | find connections, keep values with them | [`Manager`], [`Connection::set_data`], [`Connection::storage`] |
//! | set bounds | [`Limits`], [`Timeouts`], [`Builder::max_connections`], [`Builder::slow_receivers`] |
//! | encrypt, compress | [`Builder::tls`], [`Builder::deflate`] |
//! | serve HTTP on the same port, or join another server's | [`Builder::on_request`], [`Server::upgrade_http`], [`Server::handshake`] |
//! | connect to a server | [`Client::connect`], `Client::builder`, [`Client::reconnect`] |
//! | end | [`Connection::close`], [`Connection::closed`], [`Server::shutdown`] |
//!
//! # The way of a message
//!
//! A socket becomes readable and its task runs. The driver reads into a chunk borrowed from the
//! thread; the core (`ws-proto`) copies a payload out of it, unmasks and checks it, and makes one [`Message`].
//! The handler, which is polled in the same task, takes it with [`Connection::recv`] and may
//! answer with [`Connection::send`], which frames into the connection's outbox. When everything
//! that was read is used up, the outbox leaves in one write and the chunk goes back to the thread.
//!
//! # Limits
//!
//! Every queue, buffer and wait is bounded: see [`Limits`], [`Timeouts`] and [`Builder`], where
//! each has a default with its reason.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `http` | yes | [`Builder::on_request`]: ordinary HTTP on the same port, and `upgrade_http` behind hyper |
//! | `tls` | yes | [`Builder::tls`] and `wss://` for clients, with rustls |
//! | `deflate` | yes | permessage-deflate (RFC 7692), for those who ask for it |
//! | `debug` | no | `Builder::debug`, which prints what happens |
//! | `stream` | no | connections and their halves as `Stream` and `Sink` of the crate `futures` |
//! | `futures-io` | no | `AsyncIo`: streams with the traits of futures-io, for `Server::handshake` |
//! | `readiness` | no | `Readiness` and its streams, for runtimes whose reactor knows nothing else |
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

mod acceptor;
mod alarm;
#[cfg(feature = "futures-io")]
mod async_io;
mod backlog;
mod boxed;
mod contain;
mod data;
#[cfg(feature = "debug")]
mod debug;
mod door;
mod driver;
mod endpoint;
mod errands;
mod fanout;
mod gate;
mod guard;
mod index;
mod link;
mod loan;
mod local;
mod log;
mod membership;
mod outbox;
mod pool;
mod positive;
mod proxy_protocol;
mod queue;
mod relay;
mod roster;
#[cfg(any(unix, feature = "readiness"))]
mod send;
mod serials;
mod shared;
mod shares;
mod sites;
mod slow;
mod stream_io;
mod streaming;
mod tally;
#[cfg(test)]
mod toy;
mod turn;
#[cfg(unix)]
mod unix;
mod wait;
mod waiters;

#[cfg(feature = "futures-io")]
pub use async_io::AsyncIo;

mod audience;
pub use audience::Audience;
mod bind;
pub use bind::Bind;
pub use local::LocalAddress;

mod builder;
mod burst;
pub use builder::Builder;

mod candidate;
pub use candidate::Candidate;

mod clock;
pub use clock::SystemClock;

mod client;
pub use client::Client;
pub use client::builder::ClientBuilder;
pub use client::error::{ConnectError, InvalidOption, Stage};
pub use client::proxy::Proxy;
pub use client::proxy::error::{InvalidProxy, ProxyError};
pub use client::reconnect::Reconnect;
pub use client::redirect::RedirectError;

mod connection;
pub use connection::Connection;

mod delivery;
pub use delivery::{Delivery, SlowReceivers};

mod descriptor;
pub use descriptor::Descriptor;

#[cfg(feature = "http")]
pub mod http;

mod id;
pub use id::{ConnectionId, InvalidConnectionId};

mod incoming;
pub use incoming::{AcceptError, Incoming};

mod events;
pub use events::{Rejected, ServerError, StateChange};

mod load;
pub use load::Load;

mod listeners;
pub use listeners::{ListenerId, ListenerKind};

mod manager;
pub use manager::Manager;

mod outcome;
pub use outcome::Outcome;

mod reader;
pub use reader::MessageReader;

#[cfg(feature = "readiness")]
mod readiness;
#[cfg(feature = "readiness")]
pub use readiness::{Readiness, ReadyListener, ReadyStream};

mod runtime;
pub use runtime::{Address, Certificates, Listener, Runtime, Sleep, Transport};

mod split;
pub use split::{RecvHalf, SendHalf};

#[cfg(feature = "stream")]
mod stream;
#[cfg(feature = "stream")]
pub use stream::MessageStream;

mod server;
pub use server::{Server, Shutdown};

mod upgrade;
pub use upgrade::Upgrade;

mod storage;
pub use storage::choice::{StorageChoice, StorageFactory};
pub use storage::command::StorageCommand;
pub use storage::error::StorageError;
pub use storage::limits::StorageLimits;
pub use storage::memory::MemoryStorage;
pub use storage::reply::StorageReply;
pub use storage::typed::Ttl;
pub use storage::value::StorageValue;
pub use storage::{Storage, StorageFuture};

mod writer;
pub use writer::MessageWriter;

mod topics;
pub use topics::SubscribeError;

#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
pub use tls::{Tls, error::TlsError};

/// What [`Tls`] is made of, in the version that this crate uses.
#[cfg(feature = "tls")]
pub use rustls;

pub use bytes::Bytes;
pub use socket2::Socket;
pub use ws_proto::{
    Accept, Cause, Close, CloseCode, Closed, CommandError, Config, ConfigBuilder, ConfigError,
    Expired, HandshakeError, Headers, Instant, InvalidClose, InvalidHeader, InvalidUrl, Limits,
    Message, MessageKind, OriginPolicy, OriginRequest, Prepared, ProtocolError, RecvBuf, Reject,
    Request, Response, SendError, SendErrorKind, SendStatus, State, SubprotocolPolicy, Timeouts,
    UnknownVersion, Utf8Bytes, Version, Versions,
};
#[cfg(feature = "deflate")]
pub use ws_proto::{Deflate, DeflateParams};
