//! An echo server over async-tungstenite on smol, one thread.

use std::io;

use async_tungstenite::{
    accept_async,
    tungstenite::{Error, Message},
};
use serverkit::Options;
use smol::{
    LocalExecutor,
    net::{TcpListener, TcpStream},
};

fn main() -> io::Result<()> {
    let options = Options::from_args();
    let executor = LocalExecutor::new();
    smol::block_on(executor.run(async {
        let listener = TcpListener::bind(options.listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            executor
                .spawn(async move {
                    // A generator that closes is no news.
                    let _ = echo(stream, options.batch).await;
                })
                .detach();
        }
    }))
}

async fn echo(stream: TcpStream, batch: bool) -> Result<(), Error> {
    let socket = accept_async(stream).await?;
    let is_data = |message: &Message| message.is_text() || message.is_binary();
    if batch {
        serverkit::echo_in_batches(socket, is_data).await
    } else {
        serverkit::echo(socket, is_data).await
    }
}
