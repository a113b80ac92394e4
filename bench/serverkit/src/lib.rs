//! What all servers under test share, so that they differ only in what is compared: the command
//! line, the runtime (tokio, one thread unless more are asked for), the accept loop, TLS,
//! `TCP_NODELAY`, and the loops that every library with a `Stream` and a `Sink` can run.

mod echo;
mod options;
mod room;

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    thread,
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    runtime::{Builder, Runtime},
    task,
};
use tokio_rustls::TlsAcceptor;

pub use echo::{echo, echo_in_batches};
pub use options::{Options, Takeover};
pub use room::{Room, visit};

const BACKLOG: i32 = 4096;

/// A TCP stream, or TLS over it.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// What a server does with each connection.
pub trait Service: Clone + Send + Sync + 'static {
    /// Handles one connection from its first byte on.
    fn handle(self, stream: impl Stream) -> impl Future<Output = ()> + Send;
}

/// Handles every connection until the process is killed.
///
/// # Errors
/// The address cannot be listened on, or the certificate cannot be used.
pub fn serve(options: Options, service: &impl Service) -> io::Result<()> {
    let tls = options.tls.map(|(certificate, key)| acceptor(certificate, key)).transpose()?;
    if !options.reuse_port {
        let mut builder = match options.threads {
            1 => Builder::new_current_thread(),
            _ => Builder::new_multi_thread(),
        };
        let runtime = builder.worker_threads(options.threads).enable_all().build()?;
        return run(&runtime, listen(options.listen, false)?, tls.as_ref(), service);
    }
    thread::scope(|scope| {
        let start = |_| {
            let tls = tls.as_ref();
            scope.spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build()?;
                run(&runtime, listen(options.listen, true)?, tls, service)
            })
        };
        let threads: Vec<_> = (0..options.threads).map(start).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| io::Error::other("a panic"))?)
    })
}

fn run(
    runtime: &Runtime,
    listener: StdListener,
    tls: Option<&TlsAcceptor>,
    service: &impl Service,
) -> io::Result<()> {
    let accept = async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let service = service.clone();
            match tls.cloned() {
                None => task::spawn(service.handle(stream)),
                Some(tls) => task::spawn(async move {
                    // A generator that closes is no news.
                    if let Ok(stream) = tls.accept(stream).await {
                        service.handle(stream).await;
                    }
                }),
            };
        }
    };
    runtime.block_on(accept)
}

fn listen(address: SocketAddr, reuse_port: bool) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn acceptor(certificate: &str, key: &str) -> io::Result<TlsAcceptor> {
    let chain = vec![CertificateDer::from_pem_file(certificate).map_err(io::Error::other)?];
    let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
