use std::fmt;
use std::sync::Arc;

use crate::{ConfigError, ConnectionId, MemoryStorage, Request, Storage, StorageLimits};

/// Which store the connections of a server get. Default: each one in memory, with the default
/// [`StorageLimits`]. A store is made when its connection first asks for it, so that those which
/// never do hold none.
///
/// ```
/// use std::sync::Arc;
///
/// use ws_net::{MemoryStorage, Storage, StorageChoice};
///
/// // One store for all connections of a user, another for everybody else.
/// let ada: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
/// let choice = StorageChoice::factory(move |_id, request| match request.query() {
///     Some("user=ada") => ada.clone(),
///     _ => Arc::new(MemoryStorage::new()),
/// });
/// # let _ = choice;
/// ```
#[derive(Clone)]
pub enum StorageChoice {
    /// No store: `connection.storage()` is `None`.
    Off,
    /// A store in memory for each connection, which is dropped when the connection closes.
    Memory(StorageLimits),
    /// This store for all connections. It is not cleared when one of them closes.
    Shared(Arc<dyn Storage>),
    /// For each connection what the closure answers.
    Factory(Arc<StorageFactory>),
}

/// Makes the store of a connection, from its name and its request.
pub type StorageFactory = dyn Fn(ConnectionId, &Request) -> Arc<dyn Storage> + Send + Sync;

impl StorageChoice {
    /// For each connection what `make` answers. It is called in the connection's task and must
    /// not block.
    pub fn factory(
        make: impl Fn(ConnectionId, &Request) -> Arc<dyn Storage> + Send + Sync + 'static,
    ) -> Self {
        Self::Factory(Arc::new(make))
    }

    /// Names the first limit that makes no sense.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if let Self::Memory(limits) = self { limits.check() } else { Ok(()) }
    }

    /// The store of a connection, if there is to be one. Runs code of users.
    pub(crate) fn open(&self, id: ConnectionId, request: &Request) -> Option<Arc<dyn Storage>> {
        match self {
            Self::Off => None,
            Self::Memory(limits) => Some(Arc::new(MemoryStorage::bounded(*limits))),
            Self::Shared(store) => Some(Arc::clone(store)),
            Self::Factory(make) => Some(make(id, request)),
        }
    }
}

impl Default for StorageChoice {
    fn default() -> Self {
        Self::Memory(StorageLimits::default())
    }
}

/// `true`: in memory with the default limits; `false`: off.
impl From<bool> for StorageChoice {
    fn from(on: bool) -> Self {
        if on { Self::default() } else { Self::Off }
    }
}

impl From<StorageLimits> for StorageChoice {
    fn from(limits: StorageLimits) -> Self {
        Self::Memory(limits)
    }
}

impl From<Arc<dyn Storage>> for StorageChoice {
    fn from(store: Arc<dyn Storage>) -> Self {
        Self::Shared(store)
    }
}

/// One store of this type for all connections.
impl<S: Storage + 'static> From<Arc<S>> for StorageChoice {
    fn from(store: Arc<S>) -> Self {
        Self::Shared(store)
    }
}

impl fmt::Debug for StorageChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("Off"),
            Self::Memory(limits) => f.debug_tuple("Memory").field(limits).finish(),
            Self::Shared(_) => f.debug_tuple("Shared").finish_non_exhaustive(),
            Self::Factory(_) => f.debug_tuple("Factory").finish_non_exhaustive(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ws_proto::Config;

    use super::*;

    fn request() -> Request {
        let fields: [(&str, &[u8]); 5] = [
            ("Host", b"a.example"),
            ("Upgrade", b"websocket"),
            ("Connection", b"Upgrade"),
            ("Sec-WebSocket-Version", b"13"),
            ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        Request::from_parts("GET", "/chat?user=ada", 1, fields, &Config::default()).unwrap()
    }

    fn open(choice: impl Into<StorageChoice>) -> Option<Arc<dyn Storage>> {
        let id = "49152-17".parse().unwrap();
        choice.into().open(id, &request())
    }

    #[test]
    fn options_may_be_short() {
        assert!(open(false).is_none());
        let [one, other] = [open(true), open(true)].map(Option::unwrap);
        assert!(!Arc::ptr_eq(&one, &other));
        let shared: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        assert!(Arc::ptr_eq(&open(Arc::clone(&shared)).unwrap(), &shared));
        assert!(open(Arc::new(MemoryStorage::new())).is_some());
        assert!(StorageChoice::default().check().is_ok());
    }

    #[test]
    fn factories_see_the_connection() {
        let shared: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let given = Arc::clone(&shared);
        let choice = StorageChoice::factory(move |id, request| {
            assert_eq!((id.port(), request.query()), (49152, Some("user=ada")));
            Arc::clone(&given)
        });
        assert!(Arc::ptr_eq(&open(choice).unwrap(), &shared));
    }

    #[test]
    fn limits_of_zero_are_named() {
        let limits = StorageLimits { max_bytes: 0, ..StorageLimits::default() };
        let error = StorageChoice::from(limits).check().unwrap_err();
        assert_eq!(error.option, "storage.max_bytes");
    }
}
