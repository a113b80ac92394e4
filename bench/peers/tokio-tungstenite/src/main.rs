//! An echo server over tokio-tungstenite as its README shows one, and a broadcast server as its
//! example `server` shows one.

use std::io;

use serverkit::{Options, Room, Service, Stream};
use tokio_tungstenite::tungstenite::{Error, Message};

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
        // A generator that closes is no news.
        let _ = self.answer(stream).await;
    }
}

impl Peer {
    async fn answer(self, stream: impl Stream) -> Result<(), Error> {
        let socket = tokio_tungstenite::accept_async(stream).await?;
        let is_data = |message: &Message| message.is_text() || message.is_binary();
        if self.options.broadcast {
            serverkit::visit(self.room, socket, is_data).await
        } else if self.options.batch {
            serverkit::echo_in_batches(socket, is_data).await
        } else {
            serverkit::echo(socket, is_data).await
        }
    }
}
