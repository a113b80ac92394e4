//! An echo server over fastwebsockets, as its examples show one: hyper reads the request. For a
//! broadcast the socket is split, as in its example `echo_server_split`, with a channel to each
//! connection.

use std::{future::ready, io};

use fastwebsockets::{
    FragmentCollector, FragmentCollectorRead, Frame, OpCode, Payload, WebSocketError,
    WebSocketWrite, upgrade,
};
use futures::{
    StreamExt as _,
    channel::mpsc::UnboundedReceiver,
    future::{self, Either},
    pin_mut,
};
use http_body_util::Empty;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serverkit::{Options, Room, Service, Stream};
use tokio::{io::AsyncWrite, task};

/// Whether it is text, and its payload.
type Message = (bool, Bytes);

fn main() -> io::Result<()> {
    let options = Options::from_args().only(&["broadcast", "tls"]);
    serverkit::serve(options, &Peer { options, room: Room::default() })
}

#[derive(Clone)]
struct Peer {
    options: Options,
    room: Room<Message>,
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
    fn upgrade(
        self,
        mut request: Request<Incoming>,
    ) -> Result<Response<Empty<Bytes>>, WebSocketError> {
        let (response, socket) = upgrade::upgrade(&mut request)?;
        task::spawn(task::unconstrained(async move {
            let _ = if self.options.broadcast {
                visit(self.room, socket).await
            } else {
                echo(socket).await
            };
        }));
        Ok(response)
    }
}

async fn echo(socket: upgrade::UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(socket.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn visit(room: Room<Message>, socket: upgrade::UpgradeFut) -> Result<(), WebSocketError> {
    let (place, heard) = room.join();
    let (reader, writer) = socket.await?.split(tokio::io::split);
    let mut reader = FragmentCollectorRead::new(reader);
    let hear = async {
        loop {
            // Nobody pings here, so nothing has to be answered.
            let mut answer = |_| ready(Ok::<_, WebSocketError>(()));
            let frame = reader.read_frame(&mut answer).await?;
            match frame.opcode {
                OpCode::Close => return Ok(()),
                OpCode::Text | OpCode::Binary => {
                    let text = frame.opcode == OpCode::Text;
                    place.say(&(text, Bytes::copy_from_slice(&frame.payload)));
                }
                _ => {}
            }
        }
    };
    let tell = tell(writer, heard);
    pin_mut!(hear, tell);
    match future::select(hear, tell).await {
        Either::Left((result, _)) | Either::Right((result, _)) => result,
    }
}

async fn tell(
    mut writer: WebSocketWrite<impl AsyncWrite + Unpin>,
    mut heard: UnboundedReceiver<Message>,
) -> Result<(), WebSocketError> {
    while let Some((text, payload)) = heard.next().await {
        let opcode = if text { OpCode::Text } else { OpCode::Binary };
        let frame = Frame::new(true, opcode, None, Payload::Borrowed(&payload));
        writer.write_frame(frame).await?;
    }
    Ok(())
}
