use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
#[cfg(unix)]
use std::path::{Path, PathBuf};
use std::sync::Arc;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::acceptor::Bound;
use crate::door::{Listen, Serve};
use crate::link::Security;
use crate::local::LocalAddress;
use crate::runtime::Runtime;
use crate::server::Server;
#[cfg(feature = "tls")]
use crate::tls::{Tls, error::TlsError};
#[cfg(unix)]
use crate::unix;
use crate::{Connection, Outcome};

/// How many clients the system queues until they are accepted, unless it is set to fewer.
const BACKLOG: i32 = 4096;

/// One place where a server listens, and what is spoken there; see [`Server::add`].
#[derive(Debug)]
pub struct Bind {
    place: io::Result<Place>,
    security: Option<Security>,
    reuse_port: bool,
    proxied: bool,
}

#[derive(Debug)]
enum Place {
    Addresses(Vec<SocketAddr>),
    Tcp(TcpListener),
    #[cfg(unix)]
    Path(PathBuf),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Bind {
    /// The first of these addresses that can be bound; port 0 is any free port.
    ///
    /// A name is looked up here and blocks the thread for as long as the system takes, whatever the
    /// runtime. A [`SocketAddr`], or a text that is one, such as `"127.0.0.1:9001"`, is not looked
    /// up.
    pub fn tcp(address: impl ToSocketAddrs) -> Self {
        Self::new(address.to_socket_addrs().map(|found| Place::Addresses(found.collect())))
    }

    /// A listening socket that was made elsewhere.
    pub fn adopt(socket: TcpListener) -> Self {
        Self::new(Ok(Place::Tcp(socket)))
    }

    /// A Unix socket whose file is made here, and removed when the server closes. The file must
    /// not exist. Who may connect is decided by the permissions of its folder.
    #[cfg(unix)]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::new(Ok(Place::Path(path.into())))
    }

    /// A listening Unix socket that was made elsewhere. Its file, if it has one, stays.
    #[cfg(unix)]
    pub fn adopt_unix(socket: UnixListener) -> Self {
        Self::new(Ok(Place::Unix(socket)))
    }

    /// Lets other sockets listen on the same address, if all of them ask for it (`SO_REUSEPORT`);
    /// the system then deals clients out to them. Each thread can so have a runtime, a socket and
    /// connections of its own, while all of them share one server, with
    /// [`Server::serve_on`] or [`Server::run_on`], or have one each. Default: no, since two programs
    /// could share a port by mistake. Nothing but [`tcp`](Self::tcp) heeds it.
    ///
    /// Windows and Solaris have no such sockets: there it makes no difference.
    #[must_use]
    pub fn reuse_port(self) -> Self {
        Self { reuse_port: true, ..self }
    }

    /// Says that all who connect here are proxies that tell, in front of everything else, whom they
    /// speak for: by the PROXY protocol, version 1 or 2, as `haproxy` (`send-proxy`), nginx's `stream`
    /// (`proxy_protocol on`) and the load balancers of clouds do. Default: no.
    ///
    /// The client's address is then what [`Connection::peer_addr`], the log and
    /// [`Builder::max_connections_per_ip`](crate::Builder::max_connections_per_ip) go by, and
    /// [`Connection::is_secure`] also tells of TLS between the client and the proxy, where version 2
    /// says so. A proxy that speaks for itself, as to see whether the server lives, keeps its own
    /// address. A stream that begins otherwise is dropped; the deadline of the handshake holds for the
    /// header, too. A header has 8 KiB at most.
    ///
    /// Whoever reaches this place can claim any address: see to it that only the proxies do.
    #[must_use]
    pub fn proxy_protocol(self) -> Self {
        Self { proxied: true, ..self }
    }

    /// Speaks no TLS here, whatever the rest of the server does.
    #[must_use]
    pub fn plain(self) -> Self {
        Self { security: Some(Security::Plain), ..self }
    }

    /// Speaks TLS here, whatever the rest of the server does.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(self, tls: impl Into<Tls>) -> Self {
        Self { security: Some(Security::Tls(tls.into())), ..self }
    }

    fn new(place: io::Result<Place>) -> Self {
        Self { place, security: None, reuse_port: false, proxied: false }
    }
}

impl<R: Runtime> Server<R> {
    /// Listens in one more place, and answers where that is. Call it before the server serves or
    /// runs; one that [accepts](Self::accept) does so there from now on.
    ///
    /// # Errors
    /// What the system says, with the address or the file. When the server is
    /// [closed](Self::close), and when it serves or runs already: nobody would accept from the
    /// socket, so it is closed again. Use [`serve_on`](Self::serve_on) or [`run_on`](Self::run_on)
    /// then.
    pub fn add(&self, bind: Bind) -> io::Result<LocalAddress> {
        let bound = self.make(bind)?;
        let address = bound.address.clone();
        self.take(bound)?;
        Ok(address)
    }

    /// Adds a listening socket that was made elsewhere, see [`Bind::adopt`], as [`add`](Self::add)
    /// does.
    ///
    /// # Errors
    /// As there, and when the system or the runtime refuses the socket.
    pub fn adopt(&self, socket: TcpListener) -> io::Result<()> {
        self.add(Bind::adopt(socket)).map(drop)
    }

    /// Listens in one more place, and [serves](Self::serve) it with what else is not yet served.
    ///
    /// As this is one step, threads that share a server can each serve a socket of their own: after
    /// [`add`](Self::add) the first that serves takes the sockets of all. A server that serves
    /// already can so serve one place more. Waits as `serve` does; dropping the future stops accepting
    /// in these places.
    ///
    /// # Errors
    /// What the system says, with the address or the file.
    pub async fn serve_on<F, H>(&self, bind: Bind, handler: F) -> io::Result<()>
    where
        F: Fn(Connection) -> H + Send + Sync + 'static,
        H: Future<Output: Outcome> + Send + 'static,
    {
        self.open(Some(self.make(bind)?), Serve(Arc::new(handler))).await
    }

    /// Listens in one more place, and [runs](Self::run) there and where else nobody accepts yet, as
    /// [`serve_on`](Self::serve_on) serves. Waits as `run` does; dropping the future stops accepting
    /// in these places.
    ///
    /// # Errors
    /// What the system says, with the address or the file.
    pub async fn run_on(&self, bind: Bind) -> io::Result<()> {
        self.open(Some(self.make(bind)?), Listen).await
    }

    /// Binds `address`, too, and [runs](Self::run). A name blocks the thread, see [`Bind::tcp`].
    ///
    /// # Errors
    /// What the system says, with the address.
    pub async fn listen(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        self.run_on(Bind::tcp(address)).await
    }

    /// Makes a Unix socket, too, see [`Bind::unix`], and [runs](Self::run).
    ///
    /// # Errors
    /// What the system says, with the file.
    #[cfg(unix)]
    pub async fn listen_unix(&self, path: impl Into<PathBuf>) -> io::Result<()> {
        self.run_on(Bind::unix(path)).await
    }

    /// Reads the certificate that was given to the builder again, see
    /// [`Tls::reload`](crate::Tls::reload), which others may be reloaded with.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it; the old certificate stays then.
    #[cfg(feature = "tls")]
    pub fn reload_tls(&self) -> Result<(), TlsError> {
        match self.security() {
            Security::Plain => Err(TlsError::Off),
            Security::Tls(tls) => tls.reload(),
        }
    }

    /// The first internet address that was bound, with the port that the system chose.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local_addrs().iter().find_map(LocalAddress::socket_addr)
    }

    /// Makes the socket.
    fn make(&self, bind: Bind) -> io::Result<Bound<R::Listener>> {
        let Bind { place, security, reuse_port, proxied } = bind;
        let security = security.unwrap_or_else(|| self.security().clone());
        let bound = match place? {
            Place::Addresses(addresses) => {
                self.make_tcp(bind_first(&addresses, reuse_port)?, security)?
            }
            Place::Tcp(socket) => self.make_tcp(socket, security)?,
            #[cfg(unix)]
            Place::Path(path) => {
                let (socket, file) = unix::bind(&path, BACKLOG)?;
                self.make_unix(socket, Some(file), LocalAddress::Unix(path), security)?
            }
            #[cfg(unix)]
            Place::Unix(socket) => {
                let address = socket.local_addr()?;
                let path = address.as_pathname().map(Path::to_path_buf);
                let address = path.map_or(LocalAddress::Unnamed, LocalAddress::Unix);
                self.make_unix(socket, None, address, security)?
            }
        };
        Ok(Bound { proxied, ..bound })
    }

    fn make_tcp(&self, socket: TcpListener, security: Security) -> io::Result<Bound<R::Listener>> {
        socket.set_nonblocking(true)?;
        // The streams that it accepts have it from here, on Linux and the BSDs.
        SockRef::from(&socket).set_tcp_nodelay(true)?;
        let address = LocalAddress::Tcp(socket.local_addr()?);
        let listener = self.runtime().listen(socket)?;
        Ok(Bound {
            listener,
            address,
            security,
            proxied: false,
            #[cfg(unix)]
            file: None,
        })
    }

    #[cfg(unix)]
    fn make_unix(
        &self,
        socket: UnixListener,
        file: Option<unix::SocketFile>,
        address: LocalAddress,
        security: Security,
    ) -> io::Result<Bound<R::Listener>> {
        socket.set_nonblocking(true)?;
        let listener = self.runtime().listen_unix(socket)?;
        Ok(Bound { listener, address, security, proxied: false, file })
    }
}

fn bind_first(addresses: &[SocketAddr], reuse_port: bool) -> io::Result<TcpListener> {
    let mut failure = None;
    for address in addresses {
        match listen(*address, reuse_port) {
            Ok(socket) => return Ok(socket),
            Err(error) => {
                let text = format!("cannot listen on {address}: {error}");
                failure = Some(io::Error::new(error.kind(), text));
            }
        }
    }
    Err(failure.unwrap_or_else(|| io::Error::other("the name of the host has no address")))
}

/// A listening socket.
fn listen(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Elsewhere it would let two servers share a port.
    if cfg!(unix) {
        socket.set_reuse_address(true)?;
    }
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
    socket.set_reuse_port(reuse_port)?;
    #[cfg(not(all(unix, not(any(target_os = "solaris", target_os = "illumos")))))]
    let _ = reuse_port;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Builder;
    use crate::toy::Toy;

    #[test]
    fn sockets_from_elsewhere_send_small_pieces_at_once() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let same = socket.try_clone().unwrap();
        assert!(!SockRef::from(&same).tcp_nodelay().unwrap());
        let server = Builder::new(Toy::default()).build().unwrap();
        server.adopt(socket).unwrap();
        assert!(SockRef::from(&same).tcp_nodelay().unwrap());
    }
}
