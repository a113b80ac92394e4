use std::io;
#[cfg(unix)]
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use smol::Async;
#[cfg(unix)]
use ws_net::Descriptor;
use ws_net::{Readiness, ReadyListener, ReadyStream, Socket};

/// A stream socket of smol.
pub(crate) type SmolStream = ReadyStream<SmolSocket>;

/// A listening socket of smol.
pub(crate) type SmolListener = ReadyListener<SmolSocket>;

/// A socket that the reactor of async-io watches.
#[derive(Debug)]
pub struct SmolSocket(Async<Socket>);

impl Readiness for SmolSocket {
    fn register(socket: Socket) -> io::Result<Self> {
        Async::new(socket).map(Self)
    }

    fn socket(&self) -> &Socket {
        self.0.get_ref()
    }

    #[cfg(unix)]
    #[expect(unsafe_code, reason = "it is a promise, and all of it in this crate")]
    fn descriptor(&self) -> Option<Descriptor<Self>> {
        // SAFETY: the socket is closed when it is dropped, and is never replaced.
        Some(unsafe { Descriptor::new(self.socket().as_fd()) })
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_readable(cx)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_writable(cx)
    }
}
