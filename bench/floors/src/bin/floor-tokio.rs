//! A raw TCP echo on tokio, as one would write it first: read into a buffer, write all of it.
//! Every ratio is a ratio to this one.

use std::io;

use serverkit::Options;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

fn main() -> io::Result<()> {
    let options = Options::from_args();
    serverkit::serve(options, move |stream| async move {
        // A generator that closes is no news.
        let _ = echo(stream, options.buffer).await;
    })
}

async fn echo(mut stream: TcpStream, size: usize) -> io::Result<()> {
    let mut buffer = vec![0; size];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
    }
}
