use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{Error, RootCertStore, ServerConfig};

use super::error::TlsError;
use super::provider::provider;

/// Where a certificate and its key lie.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) certificates: PathBuf,
    pub(super) key: PathBuf,
    pub(super) clients: Option<ClientAuth>,
}

/// Whose certificates clients have to show.
#[derive(Clone, Debug)]
pub(super) struct ClientAuth {
    pub(super) roots: PathBuf,
    pub(super) required: bool,
}

impl Files {
    /// Reads the files and checks that they fit.
    pub(super) fn load(&self) -> Result<ServerConfig, TlsError> {
        let chain = certificates(&self.certificates)?;
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?)
            .map_err(|error| wrong_pem(&self.key, &error, "private key"))?;
        let verifier = match &self.clients {
            Some(clients) => clients.verifier()?,
            None => WebPkiClientVerifier::no_client_auth(),
        };
        ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid(&self.certificates, &error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                Error::InconsistentKeys(_) => TlsError::Mismatch {
                    key: self.key.clone(),
                    certificates: self.certificates.clone(),
                },
                // Only the key can be unknown to the provider; chains are not judged here.
                Error::General(_) => invalid(&self.key, &error),
                _ => invalid(&self.certificates, &error),
            })
    }
}

impl ClientAuth {
    fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let roots = roots(&self.roots)?.into();
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
        let builder = if self.required { builder } else { builder.allow_unauthenticated() };
        builder.build().map_err(|error| invalid(&self.roots, &error))
    }
}

/// The authorities in a PEM file.
pub(crate) fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| invalid(path, &error))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let expected = "certificate";
    let text = read(path)?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong_pem(path, &error, expected))?;
    if chain.is_empty() {
        return Err(TlsError::Missing { path: path.into(), expected });
    }
    Ok(chain)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Unreadable { path: path.into(), source })
}

fn wrong_pem(path: &Path, error: &pem::Error, expected: &'static str) -> TlsError {
    match error {
        pem::Error::NoItemsFound => TlsError::Missing { path: path.into(), expected },
        error => invalid(path, error),
    }
}

pub(crate) fn invalid(path: &Path, error: &impl ToString) -> TlsError {
    TlsError::Invalid { path: path.into(), problem: error.to_string() }
}
