//! An echo server over yawc, as its example `echo_server` shows one: hyper reads the request. In
//! batches it has the buffers that its authors measure with. Compression is that of its feature
//! `zlib`, the faster of its two. Broadcast is a channel to each connection.

use std::{future::ready, io};

use futures::StreamExt as _;
use http_body_util::Empty;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serverkit::{Options, Room, Service, Stream, Takeover};
use tokio::task;
use yawc::{Frame, OpCode, Options as YawcOptions, Result, UpgradeFut, WebSocket};

fn main() -> io::Result<()> {
    let options = Options::from_args().only(&["broadcast", "deflate", "tls"]);
    serverkit::serve(options, &Peer { options, room: Room::default() })
}

#[derive(Clone)]
struct Peer {
    options: Options,
    room: Room<Frame>,
}

impl Service for Peer {
    async fn handle(self, stream: impl Stream) {
        let service = service_fn(move |request| ready(self.clone().upgrade(request)));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // A generator that closes is no news.
        let _ = connection.with_upgrades().await;
    }
}

impl Peer {
    fn upgrade(self, mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>> {
        // The default limits refuse messages of 1 MiB.
        let mut options = YawcOptions::default().with_utf8().with_limits(16 << 20, 32 << 20);
        options = match self.options.deflate {
            None => options.without_compression(),
            Some(Takeover::On) => options.with_balanced_compression(),
            Some(Takeover::Off) => options
                .with_balanced_compression()
                .server_no_context_takeover()
                .client_no_context_takeover(),
        };
        if self.options.batch {
            options =
                options.with_read_buffer_capacity(128 * 1024).with_backpressure_boundary(64 * 1024);
        }
        let (response, socket) = WebSocket::upgrade_with_options(&mut request, options)?;
        task::spawn(async move {
            let _ = self.answer(socket).await;
        });
        Ok(response)
    }

    async fn answer(self, socket: UpgradeFut) -> Result<()> {
        let socket = socket.await?.map(Ok);
        let is_data = |frame: &Frame| matches!(frame.opcode(), OpCode::Text | OpCode::Binary);
        if self.options.broadcast {
            serverkit::visit(self.room, socket, is_data).await
        } else if self.options.batch {
            serverkit::echo_in_batches(socket, is_data).await
        } else {
            serverkit::echo(socket, is_data).await
        }
    }
}
