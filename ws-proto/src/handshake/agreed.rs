use alloc::sync::Arc;

use crate::Version;
use crate::deflate::DeflateParams;

/// What both sides know at the end of a handshake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Agreed {
    pub(crate) version: Version,
    pub(crate) subprotocol: Option<Arc<str>>,
    pub(crate) deflate: Option<DeflateParams>,
}
