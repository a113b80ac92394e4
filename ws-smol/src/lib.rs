//! WebSocket servers and clients on smol, from draft75 to RFC 6455.
//!
//! ```no_run
//! use ws_smol::Server;
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
//! This crate implements [`Runtime`] for smol and exports `ws-net` with it filled in. Everything
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
pub use runtime::{Smol, block_on};

#[doc(inline)]
pub use ws_net::*;

/// A WebSocket server on smol.
pub type Server = ws_net::Server<Smol>;

/// The options of a [`Server`] on smol.
pub type Builder = ws_net::Builder<Smol>;

/// Connects to WebSocket servers on smol.
pub type Client = ws_net::Client<Smol>;

/// The options of a [`Client`] on smol.
pub type ClientBuilder = ws_net::ClientBuilder<Smol>;

/// Connections one after the other, see [`Client::reconnect`].
pub type Reconnect = ws_net::Reconnect<Smol>;

/// Connects to a `ws://` or `wss://` URL with the default options, see [`Client::connect`].
///
/// # Errors
/// [`ConnectError`] names who is at fault and which part.
pub async fn connect(url: &str) -> Result<Connection, ConnectError> {
    Client::default().connect(url).await
}
