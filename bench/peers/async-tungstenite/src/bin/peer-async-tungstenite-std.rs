//! async-tungstenite on async-std, as many threads as `ASYNC_STD_THREAD_COUNT` says.

use std::io;

use async_std::{net::TcpListener, task};
use serverkit::{Options, Room};

fn main() -> io::Result<()> {
    let options = Options::from_args().only(&["broadcast"]);
    let room = Room::default();
    task::block_on(async {
        let listener = TcpListener::bind(options.listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let room = room.clone();
            task::spawn(async move {
                // A generator that closes is no news.
                let _ = peer_async_tungstenite::handle(stream, options, room).await;
            });
        }
    })
}
