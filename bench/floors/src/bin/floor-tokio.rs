//! A raw TCP echo on tokio, as one would write it first: read into a buffer, write all of it.
//! Every ratio is a ratio to this one; with `--tls` it is a raw TLS echo.

use std::io;

use serverkit::{Options, Service, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn main() -> io::Result<()> {
    let options = Options::from_args().only(&["tls"]);
    serverkit::serve(options, &Echo { buffer: options.buffer })
}

#[derive(Clone)]
struct Echo {
    buffer: usize,
}

impl Service for Echo {
    async fn handle(self, stream: impl Stream) {
        // A generator that closes is no news.
        let _ = echo(stream, self.buffer).await;
    }
}

async fn echo(mut stream: impl Stream, size: usize) -> io::Result<()> {
    let mut buffer = vec![0; size];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
        // What TLS holds back is written as well.
        stream.flush().await?;
    }
}
