use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use ws_proto::RecvBuf;

use crate::Descriptor;
use crate::boxed::BoxStream;
use crate::runtime::{Certificates, Transport};
#[cfg(feature = "tls")]
use crate::tls::{Tls, stream::TlsStream};

/// What a connection's bytes go through: the socket itself, or something else.
///
/// The plain way costs one branch that is always taken the same way.
pub(crate) enum Link<S> {
    /// The socket.
    Plain(S),
    /// TLS on top of it, or a stream that the application has opened. One variant for both, so that
    /// the task of a connection without is no larger for them.
    Other(BoxStream),
}

/// What the clients of one listening socket have to speak.
#[derive(Clone, Debug)]
pub(crate) enum Security {
    /// Nothing but HTTP and what it is upgraded to.
    Plain,
    /// TLS, too.
    #[cfg(feature = "tls")]
    Tls(Tls),
}

impl Security {
    /// A stream that was accepted just now.
    ///
    /// # Errors
    /// When the configuration of TLS cannot be used.
    #[cfg_attr(
        not(feature = "tls"),
        expect(clippy::unnecessary_wraps, reason = "only TLS can fail")
    )]
    pub(crate) fn wrap<S: Transport>(&self, socket: S) -> io::Result<Link<S>> {
        match self {
            Self::Plain => Ok(Link::Plain(socket)),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => Ok(Link::Other(Box::new(TlsStream::server(socket, tls.config())?))),
        }
    }

    /// Whether addresses begin with `wss://`.
    pub(crate) fn is_secure(&self) -> bool {
        !matches!(self, Self::Plain)
    }
}

impl<S: Transport> Transport for Link<S> {
    #[inline]
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_read(cx, buf),
            Self::Other(stream) => stream.poll_read(cx, buf),
        }
    }

    #[inline]
    fn poll_fill(&mut self, cx: &mut Context<'_>, input: &mut RecvBuf) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_fill(cx, input),
            Self::Other(stream) => stream.poll_fill(cx, input),
        }
    }

    #[inline]
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_write_vectored(cx, bufs),
            Self::Other(stream) => stream.poll_write_vectored(cx, bufs),
        }
    }

    #[inline]
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_flush(cx),
            Self::Other(stream) => stream.poll_flush(cx),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_shutdown(cx),
            Self::Other(stream) => stream.poll_shutdown(cx),
        }
    }

    fn descriptor(&self) -> Option<Descriptor<Self>> {
        match self {
            Self::Plain(socket) => socket.descriptor().map(Descriptor::within),
            Self::Other(_) => None,
        }
    }

    fn peer_certificates(&self) -> Option<Certificates> {
        match self {
            Self::Plain(socket) => socket.peer_certificates(),
            Self::Other(stream) => stream.peer_certificates(),
        }
    }

    fn is_secure(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_secure(),
            Self::Other(stream) => stream.is_secure(),
        }
    }
}
