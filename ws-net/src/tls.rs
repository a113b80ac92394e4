use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;

use crate::waiters::lock;

pub(crate) mod error;
pub(crate) mod files;
pub(crate) mod provider;
pub(crate) mod stream;

use error::TlsError;
use files::{ClientAuth, Files};

/// What is negotiated inside TLS (RFC 7301), for clients that ask: all versions begin as
/// HTTP/1.1.
pub(crate) const PROTOCOL: &[u8] = b"http/1.1";

/// The certificate of a server and everything else that TLS needs to know.
///
/// Cheap to clone; every clone means the same, so a certificate that is
/// [reloaded](Self::reload) is reloaded for all.
#[derive(Clone)]
pub struct Tls {
    parts: Arc<Parts>,
}

struct Parts {
    files: Option<Files>,
    config: Mutex<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads a chain of certificates, the server's own first, and its private key (PKCS #8, PKCS #1
    /// or SEC 1), both as PEM. Speaks TLS 1.2 and 1.3 with the safe defaults of rustls.
    ///
    /// Reads files, which may take a moment.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it.
    pub fn from_pem_files(
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, TlsError> {
        let (certificates, key) = (certificates.into(), key.into());
        Self::from_files(Files { certificates, key, clients: None })
    }

    /// Asks clients for a certificate that one of the authorities in the PEM file `roots` has
    /// signed. Clients without one are served all the same; one that is wrong ends the handshake.
    ///
    /// See [`Connection::peer_certificates`](crate::Connection::peer_certificates).
    ///
    /// # Errors
    /// As [`from_pem_files`](Self::from_pem_files), whose files are read again. A `Tls` that was
    /// made in another way has no files: say what clients need in its configuration.
    pub fn request_client_certificates(self, roots: impl Into<PathBuf>) -> Result<Self, TlsError> {
        self.with_clients(ClientAuth { roots: roots.into(), required: false })
    }

    /// As [`request_client_certificates`](Self::request_client_certificates), and nobody is served
    /// without one.
    ///
    /// # Errors
    /// The same.
    pub fn require_client_certificates(self, roots: impl Into<PathBuf>) -> Result<Self, TlsError> {
        self.with_clients(ClientAuth { roots: roots.into(), required: true })
    }

    fn from_files(files: Files) -> Result<Self, TlsError> {
        let config = files.load()?;
        Ok(Self::new(Some(files), config))
    }

    fn with_clients(self, clients: ClientAuth) -> Result<Self, TlsError> {
        let files = self.parts.files.clone().ok_or(TlsError::NoFiles)?;
        Self::from_files(Files { clients: Some(clients), ..files })
    }

    fn new(files: Option<Files>, config: ServerConfig) -> Self {
        let config = Mutex::new(finished(config));
        Self { parts: Arc::new(Parts { files, config }) }
    }

    /// Reads the files again. Handshakes that begin from now on use what they hold; connections
    /// that are open keep what they have.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it; everything stays as it was then.
    pub fn reload(&self) -> Result<(), TlsError> {
        let files = self.parts.files.as_ref().ok_or(TlsError::NoFiles)?;
        self.set(files.load()?);
        Ok(())
    }

    /// Takes another configuration for the handshakes that begin from now on, until the next
    /// [`reload`](Self::reload).
    pub fn replace(&self, config: impl Into<Arc<ServerConfig>>) {
        self.set(Arc::unwrap_or_clone(config.into()));
    }

    /// What the next handshake uses.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&lock(&self.parts.config))
    }

    fn set(&self, config: ServerConfig) {
        let config = finished(config);
        // What it holds may be code of users.
        let old = std::mem::replace(&mut *lock(&self.parts.config), config);
        drop(old);
    }
}

/// A configuration of rustls. Its protocols of ALPN become HTTP/1.1, for nothing else is spoken.
impl From<ServerConfig> for Tls {
    fn from(config: ServerConfig) -> Self {
        Self::new(None, config)
    }
}

/// A configuration of rustls. Its protocols of ALPN become HTTP/1.1, for nothing else is spoken.
impl From<Arc<ServerConfig>> for Tls {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self::new(None, Arc::unwrap_or_clone(config))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.parts.files).finish_non_exhaustive()
    }
}

fn finished(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.alpn_protocols = vec![PROTOCOL.into()];
    Arc::new(config)
}
