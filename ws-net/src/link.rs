use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use crate::runtime::Transport;
#[cfg(feature = "tls")]
use crate::tls::stream::{Certificates, TlsStream};

/// What a connection's bytes go through: the socket itself, or TLS on top of it.
///
/// The plain way costs one branch that is always taken the same way.
pub(crate) enum Link<S> {
    /// The socket.
    Plain(S),
    /// TLS, of which an idle connection without it holds nothing.
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<S>>),
}

#[cfg(feature = "tls")]
impl<S> Link<S> {
    /// The certificates that the peer has shown and this side has checked, its own first. Known
    /// when the TLS handshake is over, so before anything was read.
    pub(crate) fn peer_certificates(&self) -> Option<&Certificates> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.peer_certificates(),
        }
    }
}

impl<S: Transport> Transport for Link<S> {
    #[inline]
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_read(cx, buf),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.poll_read(cx, buf),
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
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.poll_write_vectored(cx, bufs),
        }
    }

    #[inline]
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_flush(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.poll_flush(cx),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_shutdown(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.poll_shutdown(cx),
        }
    }
}
