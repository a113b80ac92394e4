use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use crate::runtime::Transport;
use crate::tls::PROTOCOL;
use crate::tls::error::TlsError;
use crate::tls::files;
use crate::tls::provider::provider;
use crate::tls::stream::TlsStream;

/// Which certificates a client believes.
#[derive(Clone, Default)]
pub(super) enum Trust {
    /// Those that the authorities of the operating system signed.
    #[default]
    Platform,
    /// What a configuration says.
    Config(Arc<ClientConfig>),
}

impl Trust {
    /// Those that the authorities in a PEM file signed.
    pub(super) fn roots(path: &Path) -> Result<Self, TlsError> {
        let config = believing(files::roots(path)?);
        Ok(Self::from(config.map_err(|error| files::invalid(path, &error))?))
    }

    fn config(&self) -> io::Result<Arc<ClientConfig>> {
        /// Read once; the files are a few hundred kilobytes.
        static PLATFORM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
        match self {
            Self::Config(config) => Ok(Arc::clone(config)),
            Self::Platform => remember(&PLATFORM, platform)
                .map_err(|text| io::Error::new(ErrorKind::NotFound, text)),
        }
    }
}

/// Whom the operating system believes.
fn platform() -> Result<Arc<ClientConfig>, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some authorities of some systems cannot be read, which concerns nobody else.
    let (read, _) = roots.add_parsable_certificates(found.certs);
    if read == 0 {
        let why = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
        return Err(format!("the system has no authorities to believe{why}"));
    }
    let config = believing(roots).map_err(|error| error.to_string())?;
    Ok(finished(config))
}

/// What `cell` holds, or what `load` answers now. A failure is not kept: the next one may succeed.
fn remember<T: Clone, E>(cell: &OnceLock<T>, load: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    if let Some(value) = cell.get() {
        return Ok(value.clone());
    }
    let value = load()?;
    Ok(cell.get_or_init(|| value).clone())
}

impl From<ClientConfig> for Trust {
    fn from(config: ClientConfig) -> Self {
        Self::Config(finished(config))
    }
}

/// Shakes hands over `stream`, whose other end has to prove that it is `host`.
pub(super) async fn secure<S: Transport>(
    stream: S,
    trust: &Trust,
    host: &str,
) -> io::Result<TlsStream<S>> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
    let mut stream = TlsStream::client(stream, trust.config()?, name)?;
    poll_fn(|cx| stream.poll_handshake(cx)).await?;
    Ok(stream)
}

fn believing(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Every version begins as HTTP/1.1.
fn finished(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![PROTOCOL.into()];
    Arc::new(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_success_is_remembered() {
        let cell = OnceLock::new();
        assert_eq!(remember(&cell, || Err("no file")), Err("no file"));
        assert_eq!(remember(&cell, || Ok::<_, &str>(1)), Ok(1));
        assert_eq!(remember(&cell, || Err("no file")), Ok(1));
    }
}
