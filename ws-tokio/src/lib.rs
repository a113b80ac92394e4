//! WebSocket servers and clients on Tokio, from draft75 to RFC 6455.
//!
//! ```no_run
//! use ws_tokio::Server;
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
//! This crate implements [`Runtime`] for Tokio and exports `ws-net` with it filled in. Everything
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
//! | `axum` | no | `axum::Upgrade`, an extractor for the routes of axum 0.8 |
//!
//! # SIGPIPE
//!
//! Tokio writes several pieces at once in a way that raises SIGPIPE when the peer is gone. Programs
//! of Rust ignore that signal; a program of another language that uses this as a library has to.
#![deny(unsafe_code)]

mod io;

mod runtime;
pub use runtime::{Tokio, block_on};

#[cfg(feature = "axum")]
pub mod axum;

mod stream;
pub use stream::AsyncIo;

#[doc(inline)]
pub use ws_net::*;

/// A WebSocket server on Tokio.
pub type Server = ws_net::Server<Tokio>;

/// The options of a [`Server`] on Tokio.
pub type Builder = ws_net::Builder<Tokio>;

/// Connects to WebSocket servers on Tokio.
pub type Client = ws_net::Client<Tokio>;

/// The options of a [`Client`] on Tokio.
pub type ClientBuilder = ws_net::ClientBuilder<Tokio>;

/// Connections one after the other, see [`Client::reconnect`].
pub type Reconnect = ws_net::Reconnect<Tokio>;

/// Connects to a `ws://` or `wss://` URL with the default options, see [`Client::connect`].
///
/// # Errors
/// [`ConnectError`] names who is at fault and which part.
pub async fn connect(url: &str) -> Result<Connection, ConnectError> {
    Client::default().connect(url).await
}
