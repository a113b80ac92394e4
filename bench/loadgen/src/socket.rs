use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::{AsFd, AsRawFd as _, BorrowedFd},
    sync::{Arc, LazyLock},
};

use nix::sys::socket::{MsgFlags, recv};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// A TCP stream, perhaps with TLS over it.
#[derive(Debug)]
pub(crate) enum Socket {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

/// A TLS session and its stream; unlike `rustls::Stream` it reads while it cannot write.
#[derive(Debug)]
pub(crate) struct Tls {
    stream: TcpStream,
    session: ClientConnection,
}

static CONFIG: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers for all versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    Arc::new(config)
});

impl Socket {
    /// Connects, blocking, and shakes hands when TLS is spoken.
    pub(crate) fn connect(address: SocketAddr, tls: bool) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        if !tls {
            return Ok(Self::Plain(stream));
        }
        let name = ServerName::try_from("localhost").expect("it is a name");
        let mut session =
            ClientConnection::new(Arc::clone(&CONFIG), name).map_err(io::Error::other)?;
        session.set_buffer_limit(None);
        let mut tls = Tls { stream, session };
        while tls.session.is_handshaking() {
            tls.session.complete_io(&mut tls.stream)?;
        }
        Ok(Self::Tls(Box::new(tls)))
    }

    pub(crate) fn set_nonblocking(&self) -> io::Result<()> {
        self.stream().set_nonblocking(true)
    }

    /// Whether what comes can be thrown away inside the kernel.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Writes some of `bytes`; the rest when the socket is writable again.
    pub(crate) fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(tls) => tls.session.writer().write(bytes),
        }
    }

    /// Sends what TLS has encrypted, as far as the socket takes it.
    pub(crate) fn flush_some(&mut self) -> io::Result<()> {
        let Self::Tls(tls) = self else { return Ok(()) };
        while tls.session.wants_write() {
            match tls.session.write_tls(&mut tls.stream) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                result => result?,
            };
        }
        Ok(())
    }

    /// Reads plain bytes; with `MSG_TRUNC` on a plain socket, throws them away.
    pub(crate) fn read_some(&mut self, buffer: &mut [u8], flags: MsgFlags) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => Ok(recv(stream.as_raw_fd(), buffer, flags)?),
            Self::Tls(tls) => tls.read(buffer),
        }
    }

    fn stream(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(tls) => &tls.stream,
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream().as_fd()
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(buffer, MsgFlags::empty())
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.write_some(bytes)?;
        self.flush_some()?;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Tls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
            if self.session.read_tls(&mut self.stream)? == 0 {
                return Ok(0);
            }
            self.session.process_new_packets().map_err(io::Error::other)?;
        }
    }
}

/// Believes everybody: servers under test have certificates that were made a moment ago.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
