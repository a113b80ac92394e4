//! Ours on async-std.

use std::io;

use serverkit::Options;
use ws_async_std::{Server, block_on};

fn main() -> io::Result<()> {
    let options = Options::from_args().only(&["broadcast", "deflate", "tls"]);
    let server: Server = ours::server(&options)?;
    block_on(options.threads, ours::serve(&server, &options))?
}
