//! Certificates for tests, made when they are needed, and a blocking TLS client.

use std::fs;
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use ws_net::rustls::crypto::ring;
use ws_net::rustls::pki_types::pem::PemObject;
use ws_net::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use ws_net::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::client::Wire;

/// A folder of its own, removed when it is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new one.
    ///
    /// # Panics
    /// When the system makes none.
    #[expect(clippy::new_without_default, reason = "it touches the disk")]
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ws-tests-{}-{count}", process::id()));
        fs::create_dir_all(&path).expect("a folder for temporary files");
        Self(path)
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An authority, and a folder with what it has signed.
#[derive(Debug)]
pub struct Authority {
    folder: Folder,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one, whose own certificate is in `ca.pem`.
    ///
    /// # Panics
    /// When the files cannot be written.
    #[expect(clippy::new_without_default, reason = "it touches the disk")]
    pub fn new() -> Self {
        let folder = Folder::new();
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        write(&folder.file("ca.pem"), &certificate.pem());
        Self { folder, certificate: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// Signs a certificate for 127.0.0.1 and writes it to `NAME.pem`, its key to `NAME.key`.
    ///
    /// # Panics
    /// When the files cannot be written.
    pub fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let files = (self.file(&format!("{name}.pem")), self.file(&format!("{name}.key")));
        write(&files.0, &certificate.pem());
        write(&files.1, &key.serialize_pem());
        files
    }

    /// A file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.file(name)
    }

    /// A client that trusts this authority and shows the certificate of this name, if any.
    ///
    /// # Panics
    /// When there is no such certificate.
    pub fn client(&self, own: Option<&str>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a certificate");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows them")
            .with_root_certificates(roots);
        Arc::new(match own {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let key = PrivateKeyDer::from_pem_file(self.file(&format!("{name}.key")));
                builder
                    .with_client_auth_cert(vec![self.der(name)], key.expect("a key"))
                    .expect("they fit")
            }
        })
    }

    /// The certificate of this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn der(&self, name: &str) -> CertificateDer<'static> {
        let path = self.file(&format!("{name}.pem"));
        CertificateDer::from_pem_file(path).expect("a certificate")
    }
}

/// TLS over a blocking socket.
pub type TlsSocket = StreamOwned<ClientConnection, TcpStream>;

/// A client of a server at 127.0.0.1 that has not shaken hands yet.
///
/// # Panics
/// When the configuration cannot be used.
pub fn encrypt(socket: TcpStream, config: Arc<ClientConfig>) -> TlsSocket {
    let name = "127.0.0.1".try_into().expect("an address");
    StreamOwned::new(ClientConnection::new(config, name).expect("it fits"), socket)
}

impl Wire for TlsSocket {
    fn end(&mut self) -> io::Result<()> {
        self.conn.send_close_notify();
        self.flush()?;
        self.sock.shutdown(Shutdown::Write)
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
