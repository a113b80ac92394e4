//! An echo server over soketto, as its example for the Autobahn suite shows one, and a broadcast
//! server with a channel to each connection.

use std::io;

use futures::{
    StreamExt as _,
    channel::mpsc::UnboundedReceiver,
    future::{self, Either},
    io::{BufReader, BufWriter},
    pin_mut,
};
use serverkit::{Options, Room, Service, Stream};
use soketto::{
    BoxedError, Data, Incoming, Receiver, Sender,
    handshake::{Server, server::Response},
};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

type Buffered<S> = BufReader<BufWriter<Compat<S>>>;

fn main() -> io::Result<()> {
    let options = Options::from_args().only(&["broadcast", "tls"]);
    serverkit::serve(options, &Peer { options, room: Room::default() })
}

#[derive(Clone)]
struct Peer {
    options: Options,
    room: Room<bytes::Bytes>,
}

impl Service for Peer {
    async fn handle(self, stream: impl Stream) {
        // A generator that closes is no news.
        let _ = self.answer(stream).await;
    }
}

impl Peer {
    async fn answer(self, stream: impl Stream) -> Result<(), BoxedError> {
        let mut server = Server::new(BufReader::new(BufWriter::new(stream.compat())));
        let key = server.receive_request().await?.key();
        server.send_response(&Response::Accept { key, protocol: None }).await?;
        let (sender, receiver) = server.into_builder().finish();
        if self.options.broadcast {
            visit(self.room, sender, receiver).await
        } else {
            echo(sender, receiver).await
        }
    }
}

async fn echo<S: Stream>(
    mut sender: Sender<Buffered<S>>,
    mut receiver: Receiver<Buffered<S>>,
) -> Result<(), BoxedError> {
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

async fn visit<S: Stream>(
    room: Room<bytes::Bytes>,
    sender: Sender<Buffered<S>>,
    mut receiver: Receiver<Buffered<S>>,
) -> Result<(), BoxedError> {
    let (place, heard) = room.join();
    let hear = async {
        loop {
            let mut message = Vec::new();
            match receiver.receive(&mut message).await? {
                Incoming::Data(_) => place.say(&message.into()),
                Incoming::Pong(_) => {}
                Incoming::Closed(_) => return Ok(()),
            }
        }
    };
    let tell = tell(sender, heard);
    pin_mut!(hear, tell);
    match future::select(hear, tell).await {
        Either::Left((result, _)) | Either::Right((result, _)) => result,
    }
}

/// Sends what is said, and flushes when nothing more is at hand.
async fn tell<S: Stream>(
    mut sender: Sender<Buffered<S>>,
    mut heard: UnboundedReceiver<bytes::Bytes>,
) -> Result<(), BoxedError> {
    while let Some(message) = heard.next().await {
        sender.send_binary(&message).await?;
        while let Ok(message) = heard.try_recv() {
            sender.send_binary(&message).await?;
        }
        sender.flush().await?;
    }
    Ok(())
}
