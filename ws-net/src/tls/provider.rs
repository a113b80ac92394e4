use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

/// The cryptography that is used where a configuration does not bring its own.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
