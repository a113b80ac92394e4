//! An echo server over sockudo-ws, as its example `simple_echo` shows one, and a broadcast server
//! over its own publish and subscribe, as its example `pubsub_echo` shows one.

use std::{io, sync::Arc};

use bytes::BytesMut;
use serverkit::{Options, Service, Stream, Takeover};
use sockudo_ws::{
    CompressedWebSocketStream, Config, Error, WebSocketStream,
    deflate::{DeflateConfig, negotiate_server_deflate},
    handshake::{build_response, generate_accept_key, parse_request},
    protocol::Message,
    pubsub::PubSub,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
};

const TOPIC: &str = "all";

fn main() -> io::Result<()> {
    let options = Options::from_args().only(&["broadcast", "deflate", "tls"]);
    serverkit::serve(options, &Peer { options, room: Arc::new(PubSub::new()) })
}

#[derive(Clone)]
struct Peer {
    options: Options,
    room: Arc<PubSub>,
}

impl Service for Peer {
    async fn handle(self, stream: impl Stream) {
        // A generator that closes is no news.
        let _ = self.answer(stream).await;
    }
}

impl Peer {
    async fn answer(self, mut stream: impl Stream) -> Result<(), Error> {
        let deflate = shake_hands(&mut stream, self.options.deflate).await?;
        let is_data = |message: &Message| matches!(message, Message::Text(_) | Message::Binary(_));
        if let Some(deflate) = deflate {
            let socket = CompressedWebSocketStream::server(stream, Config::default(), deflate);
            return if self.options.batch {
                serverkit::echo_in_batches(socket, is_data).await
            } else {
                serverkit::echo(socket, is_data).await
            };
        }
        let socket = WebSocketStream::server(stream, Config::default());
        if self.options.broadcast {
            visit(&self.room, socket).await
        } else if self.options.batch {
            serverkit::echo_in_batches(socket, is_data).await
        } else {
            serverkit::echo(socket, is_data).await
        }
    }
}

async fn visit(room: &PubSub, socket: WebSocketStream<impl Stream>) -> Result<(), Error> {
    let (mut reader, mut writer) = socket.split();
    let (sender, mut heard) = mpsc::unbounded_channel();
    let id = room.create_subscriber(sender);
    room.subscribe(id, TOPIC);
    loop {
        tokio::select! {
            message = reader.next() => match message {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    room.publish_excluding(id, TOPIC, message);
                }
                Some(Ok(Message::Close(_))) | None => break,
                Some(result) => drop(result?),
            },
            Some(message) = heard.recv() => writer.send(message).await?,
        }
    }
    room.remove_subscriber(id);
    Ok(())
}

async fn shake_hands(
    stream: &mut impl Stream,
    takeover: Option<Takeover>,
) -> Result<Option<DeflateConfig>, Error> {
    let mut request = BytesMut::with_capacity(4096);
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Err(Error::ConnectionClosed);
        }
        if let Some((head, _)) = parse_request(&request)? {
            let alone = takeover == Some(Takeover::Off);
            let policy = DeflateConfig {
                server_no_context_takeover: alone,
                client_no_context_takeover: alone,
                ..DeflateConfig::default()
            };
            let offers = takeover.and(head.extensions);
            let agreed = offers.and_then(|offers| negotiate_server_deflate(offers, &policy));
            let extensions =
                agreed.as_ref().map(sockudo_ws::deflate::DeflateNegotiation::to_response_header);
            let key = generate_accept_key(head.key);
            stream.write_all(&build_response(&key, None, extensions.as_deref())).await?;
            stream.flush().await?;
            return Ok(agreed.map(|agreed| agreed.config));
        }
    }
}
