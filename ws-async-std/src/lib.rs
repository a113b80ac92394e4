//! WebSocket servers and clients on async-std, from draft75 to RFC 6455.
//!
//! async-std is discontinued (RUSTSEC-2025-0052). This crate is for programs that run on it;
//! newcomers take `ws-smol`, which has the same reactor and exports the same names.
//!
//! ```no_run
//! use ws_async_std::Server;
//!
//! # async fn example() -> std::io::Result<()> {
//! let server = Server::bind("127.0.0.1:8080").await?;
//! server
//!     .serve(|connection| async move {
//!         while let Some(Ok(message)) = connection.recv().await {
//!             if connection.send(message).await.is_err() {
//!                 break;
//!             }
//!         }
//!     })
//!     .await
//! # }
//! ```
//!
//! [What is where](ws_net#what-is-where) leads from tasks to items, and `docs/guide.md` in the
//! repository has a program for most of them.
//!
//! This crate implements [`Runtime`] for async-std and exports `ws-net` with it filled in. Everything
//! else is the same on every runtime, and lives there.
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
#![deny(unsafe_code)]

mod io;

mod runtime;
pub use runtime::{AsyncStd, block_on};

#[doc(inline)]
pub use ws_net::*;

/// A WebSocket server on async-std.
pub type Server = ws_net::Server<AsyncStd>;

/// The options of a [`Server`] on async-std.
pub type Builder = ws_net::Builder<AsyncStd>;

/// Connects to WebSocket servers on async-std.
pub type Client = ws_net::Client<AsyncStd>;

/// The options of a [`Client`] on async-std.
pub type ClientBuilder = ws_net::ClientBuilder<AsyncStd>;

/// Connections one after the other, see [`Client::reconnect`].
pub type Reconnect = ws_net::Reconnect<AsyncStd>;

/// Connects to a `ws://` or `wss://` URL with the default options, see [`Client::connect`].
///
/// # Errors
/// [`ConnectError`] names who is at fault and which part.
pub async fn connect(url: &str) -> Result<Connection, ConnectError> {
    Client::default().connect(url).await
}
