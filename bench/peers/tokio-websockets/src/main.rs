//! An echo server over tokio-websockets, as its examples show one, and a broadcast server with a
//! channel to each connection.

use std::io;

use serverkit::{Options, Room, Service, Stream};
use tokio::task;
use tokio_websockets::{Config, Error, Limits, Message, ServerBuilder};

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
        let _ = task::unconstrained(self.answer(stream)).await;
    }
}

impl Peer {
    async fn answer(self, stream: impl Stream) -> Result<(), Error> {
        // Without the first, long messages come back in fragments of 4 MiB.
        let mut config = Config::default().frame_size(usize::MAX);
        if self.options.batch {
            // By default 8 KiB are written before more is fed.
            config = config.flush_threshold(usize::MAX);
        }
        let builder = ServerBuilder::new().config(config).limits(Limits::default());
        let (_request, socket) = builder.accept(stream).await?;
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
