//! async-tungstenite on smol, one thread.

use std::io;

use serverkit::{Options, Room};
use smol::{LocalExecutor, net::TcpListener};

fn main() -> io::Result<()> {
    let options = Options::from_args().only(&["broadcast"]);
    let room = Room::default();
    let executor = LocalExecutor::new();
    smol::block_on(executor.run(async {
        let listener = TcpListener::bind(options.listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let room = room.clone();
            executor
                .spawn(async move {
                    // A generator that closes is no news.
                    let _ = peer_async_tungstenite::handle(stream, options, room).await;
                })
                .detach();
        }
    }))
}
