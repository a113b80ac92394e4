//! An echo server over soketto, as its example for the Autobahn suite shows one.

use std::io;

use futures::io::{BufReader, BufWriter};
use serverkit::Options;
use soketto::{
    BoxedError, Data, Incoming,
    handshake::{Server, server::Response},
};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncReadCompatExt as _;

fn main() -> io::Result<()> {
    serverkit::serve(Options::from_args(), |stream| async move {
        // A generator that closes is no news.
        let _ = echo(stream).await;
    })
}

async fn echo(stream: TcpStream) -> Result<(), BoxedError> {
    let mut server = Server::new(BufReader::new(BufWriter::new(stream.compat())));
    let key = server.receive_request().await?.key();
    server.send_response(&Response::Accept { key, protocol: None }).await?;
    let (mut sender, mut receiver) = server.into_builder().finish();
    let mut message = Vec::new();
    loop {
        message.clear();
        match receiver.receive(&mut message).await? {
            Incoming::Data(Data::Text(_)) => {
                sender.send_text(std::str::from_utf8(&message)?).await?;
            }
            Incoming::Data(Data::Binary(_)) => sender.send_binary_mut(&mut message).await?,
            Incoming::Pong(_) => continue,
            Incoming::Closed(_) => return Ok(()),
        }
        sender.flush().await?;
    }
}
