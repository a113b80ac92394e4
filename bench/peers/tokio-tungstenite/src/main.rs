//! An echo server over tokio-tungstenite, as its README shows one.

use std::io;

use serverkit::Options;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};

fn main() -> io::Result<()> {
    let options = Options::from_args();
    serverkit::serve(options, move |stream| async move {
        // A generator that closes is no news.
        let _ = echo(stream, options.batch).await;
    })
}

async fn echo(stream: TcpStream, batch: bool) -> Result<(), Error> {
    let socket = tokio_tungstenite::accept_async(stream).await?;
    let is_data = |message: &Message| message.is_text() || message.is_binary();
    if batch {
        serverkit::echo_in_batches(socket, is_data).await
    } else {
        serverkit::echo(socket, is_data).await
    }
}
