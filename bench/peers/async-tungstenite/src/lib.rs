//! An echo and broadcast server over async-tungstenite, the same on both of its runtimes.

use async_tungstenite::{
    WebSocketStream, accept_async,
    tungstenite::{Error, Message},
};
use futures::io::{AsyncRead, AsyncWrite};
use serverkit::{Options, Room};

/// Handles one connection.
pub async fn handle(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    options: Options,
    room: Room<Message>,
) -> Result<(), Error> {
    let socket: WebSocketStream<_> = accept_async(stream).await?;
    let is_data = |message: &Message| message.is_text() || message.is_binary();
    if options.broadcast {
        serverkit::visit(room, socket, is_data).await
    } else if options.batch {
        serverkit::echo_in_batches(socket, is_data).await
    } else {
        serverkit::echo(socket, is_data).await
    }
}
