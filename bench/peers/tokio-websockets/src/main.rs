//! An echo server over tokio-websockets, as its examples show one.

use std::io;

use serverkit::Options;
use tokio::net::TcpStream;
use tokio_websockets::{Config, Error, Limits, Message, ServerBuilder};

fn main() -> io::Result<()> {
    let options = Options::from_args();
    serverkit::serve(options, move |stream| async move {
        // A generator that closes is no news.
        let _ = echo(stream, options.batch).await;
    })
}

async fn echo(stream: TcpStream, batch: bool) -> Result<(), Error> {
    // Without the first, long messages come back in fragments of 4 MiB.
    let config = Config::default().frame_size(usize::MAX);
    let builder = ServerBuilder::new().config(config).limits(Limits::default());
    let (_request, socket) = builder.accept(stream).await?;
    let is_data = |message: &Message| message.is_text() || message.is_binary();
    if batch {
        serverkit::echo_in_batches(socket, is_data).await
    } else {
        serverkit::echo(socket, is_data).await
    }
}
