use std::io;
use std::task::{Context, Poll};

use async_io::Async;
use ws_net::{Readiness, ReadyListener, ReadyStream, Socket};

/// A stream socket of async-std.
pub(crate) type AsyncStdStream = ReadyStream<AsyncStdSocket>;

/// A listening socket of async-std.
pub(crate) type AsyncStdListener = ReadyListener<AsyncStdSocket>;

/// A socket that the reactor of async-io watches.
#[derive(Debug)]
pub struct AsyncStdSocket(Async<Socket>);

impl Readiness for AsyncStdSocket {
    fn register(socket: Socket) -> io::Result<Self> {
        Async::new(socket).map(Self)
    }

    fn socket(&self) -> &Socket {
        self.0.get_ref()
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_readable(cx)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_writable(cx)
    }
}
