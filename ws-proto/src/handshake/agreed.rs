use alloc::sync::Arc;

use crate::Version;

/// What both sides know at the end of a handshake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Agreed {
    pub(crate) version: Version,
    pub(crate) subprotocol: Option<Arc<str>>,
}
