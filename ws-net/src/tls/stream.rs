use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use crate::runtime::{Certificates, Transport};

/// What is read at a time for a handshake that a write waits for.
const CHUNK: usize = 4 << 10;

/// Reads within one call that bring no byte for the reader, before other tasks get their turn.
const FRUITLESS: usize = 16;

/// What somebody is told who speaks plain HTTP.
const HINT: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Content-Length: 58\r\nConnection: close\r\n\r\n\
    This port speaks TLS: reach it with https:// and wss:// .\n";

/// TLS over a stream, in either role.
///
/// The handshake happens inside reads and writes, so whoever limits the time until the first bytes
/// limits the handshake, too. At most 64 KiB that were taken wait for the socket, and at most one
/// record that was received waits for its reader.
pub(crate) struct TlsStream<S> {
    socket: S,
    session: Connection,
    /// Nothing has come yet: the first byte tells TLS from plain HTTP.
    unseen: bool,
}

impl<S: Transport> TlsStream<S> {
    /// The side that was connected to.
    ///
    /// # Errors
    /// When `config` cannot be used.
    pub(crate) fn server(socket: S, config: Arc<ServerConfig>) -> io::Result<Self> {
        let session = ServerConnection::new(config).map_err(broken)?;
        Ok(Self { socket, session: session.into(), unseen: true })
    }

    /// The side that connected, and expects a certificate for `name`.
    ///
    /// # Errors
    /// When `config` cannot be used.
    pub(crate) fn client(
        socket: S,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        let session = ClientConnection::new(config, name).map_err(broken)?;
        Ok(Self { socket, session: session.into(), unseen: false })
    }
}

impl<S: Transport> Transport for TlsStream<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        for _ in 0..FRUITLESS {
            match self.session.reader().read(buf) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Poll::Ready(Err(cut_off("without a TLS goodbye (close_notify)")));
                }
                read => return Poll::Ready(read),
            }
            let sent = self.poll_send(cx);
            if self.session.is_handshaking() {
                ready!(sent)?;
            }
            // Later, what could not be sent is the business of whoever writes.
            let received = ready!(self.poll_receive(cx, buf))?;
            if received > 0 {
                return Poll::Ready(Ok(received));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Nothing is taken while records wait, so there are never many of them.
        ready!(self.poll_handshake(cx))?;
        let taken = self.session.writer().write_vectored(bufs)?;
        match self.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        self.socket.poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It is queued once.
        self.session.send_close_notify();
        ready!(self.poll_flush(cx))?;
        self.socket.poll_shutdown(cx)
    }

    fn peer_certificates(&self) -> Option<Certificates> {
        let chain = self.session.peer_certificates()?.iter();
        Some(chain.map(|certificate| Bytes::copy_from_slice(certificate)).collect())
    }

    fn is_secure(&self) -> bool {
        true
    }
}

impl<S: Transport> TlsStream<S> {
    /// Sends the records that wait.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.wants_write() {
            let socket = &mut self.socket;
            match self.session.write_tls(&mut Blocking { socket, cx }) {
                Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends the records that wait, and does its part of the handshake until that is over.
    pub(crate) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_send(cx))?;
            if !self.session.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            let mut chunk = [0; CHUNK];
            let n = ready!(self.poll_fetch(cx, &mut chunk))?;
            let mut records = chunk.get(..n).unwrap_or_default();
            while self.decrypt(cx, &mut records)? {}
        }
    }

    /// Reads records once, into `buf`, and answers how many bytes in `buf` were received by them:
    /// none is no end.
    ///
    /// What is decrypted takes the place of what was read before it, so reads are as long as those
    /// of a plain stream. At most one record is left behind: the one that had begun before.
    fn poll_receive(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        // What failed once fails again; it may have been put off.
        self.session.process_new_packets().map_err(broken)?;
        let n = ready!(self.poll_fetch(cx, buf))?;
        let (mut used, mut received) = (0, 0);
        while used < n {
            let mut records = buf.get(used..n).unwrap_or_default();
            let decrypted = self.decrypt(cx, &mut records);
            used = n - records.len();
            let free = buf.get_mut(received..used).unwrap_or_default();
            received += self.session.reader().read(free).unwrap_or_default();
            match decrypted {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) if received > 0 => break,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(received))
    }

    /// Reads once from the socket. Zero is its end, which the session knows then.
    fn poll_fetch(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let n = ready!(self.socket.poll_read(cx, buf))?;
        if n == 0 {
            self.session.read_tls(&mut io::empty())?;
            if self.session.is_handshaking() {
                return Poll::Ready(Err(cut_off("in the middle of the TLS handshake")));
            }
        } else if std::mem::take(&mut self.unseen)
            && buf.first().is_some_and(u8::is_ascii_uppercase)
        {
            // A courtesy: what the socket does not take at once is not said.
            let _ = self.socket.poll_write_vectored(cx, &[IoSlice::new(HINT)]);
            let _ = self.socket.poll_shutdown(cx);
            let text = "the client speaks plain HTTP to a port that speaks TLS";
            return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, text)));
        }
        Poll::Ready(Ok(n))
    }

    /// Takes some of `records`; `false` when there is nothing to take any more, also behind the
    /// peer's goodbye.
    fn decrypt(&mut self, cx: &mut Context<'_>, records: &mut &[u8]) -> io::Result<bool> {
        if records.is_empty() {
            return Ok(false);
        }
        let shaking = self.session.is_handshaking();
        let taken = self.session.read_tls(records)?;
        if let Err(error) = self.session.process_new_packets() {
            // The peer is told why, if the socket takes it.
            let _ = self.poll_send(cx);
            return Err(broken(error));
        }
        if shaking && !self.session.is_handshaking() {
            // Reads and writes may both have waited for it, and only one of them is woken.
            cx.waker().wake_by_ref();
        }
        Ok(taken > 0)
    }
}

/// A transport as rustls wants it: what is not possible now is an error.
struct Blocking<'a, 'b, S> {
    socket: &'a mut S,
    cx: &'a mut Context<'b>,
}

impl<S: Transport> Write for Blocking<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.socket.poll_write_vectored(self.cx, bufs) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

fn cut_off(how: &str) -> io::Error {
    let text = format!("the peer ended the stream {how}");
    io::Error::new(ErrorKind::UnexpectedEof, text)
}

#[cfg(test)]
mod tests;
