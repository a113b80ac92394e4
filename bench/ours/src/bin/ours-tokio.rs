//! Ours on tokio: one runtime with all threads, or with `--reuse-port` one for each.

use std::{io, thread};

use serverkit::Options;
use ws_tokio::{Server, block_on};

fn main() -> io::Result<()> {
    let options = Options::from_args().only(&["broadcast", "deflate", "tls"]);
    let server: Server = ours::server(&options)?;
    if !options.reuse_port {
        return block_on(options.threads, ours::serve(&server, &options))?;
    }
    thread::scope(|scope| {
        let start = |_| scope.spawn(|| block_on(1, ours::serve(&server, &options))?);
        let threads: Vec<_> = (0..options.threads).map(start).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| io::Error::other("a panic"))?)
    })
}
