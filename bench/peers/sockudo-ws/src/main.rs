//! An echo server over sockudo-ws, as its example `simple_echo` shows one.

use std::io;

use bytes::BytesMut;
use serverkit::Options;
use sockudo_ws::{
    Config, Error, WebSocketStream,
    handshake::{build_response, generate_accept_key, parse_request},
    protocol::Message,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

fn main() -> io::Result<()> {
    let options = Options::from_args();
    serverkit::serve(options, move |stream| async move {
        // A generator that closes is no news.
        let _ = echo(stream, options.batch).await;
    })
}

async fn echo(mut stream: TcpStream, batch: bool) -> Result<(), Error> {
    shake_hands(&mut stream).await?;
    let socket = WebSocketStream::server(stream, Config::default());
    let is_data = |message: &Message| matches!(message, Message::Text(_) | Message::Binary(_));
    if batch {
        serverkit::echo_in_batches(socket, is_data).await
    } else {
        serverkit::echo(socket, is_data).await
    }
}

async fn shake_hands(stream: &mut TcpStream) -> Result<(), Error> {
    let mut request = BytesMut::with_capacity(4096);
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Err(Error::ConnectionClosed);
        }
        if let Some((head, _)) = parse_request(&request)? {
            let response = build_response(&generate_accept_key(head.key), None, None);
            stream.write_all(&response).await?;
            return Ok(());
        }
    }
}
