use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::Version;
use crate::deflate::DeflateParams;

/// What both sides know at the end of a handshake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Agreed {
    pub(crate) version: Version,
    /// Boxed, since every connection has room for it and few have it.
    options: Option<Box<Options>>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Options {
    subprotocol: Option<Arc<str>>,
    deflate: Option<DeflateParams>,
}

impl Agreed {
    pub(crate) fn new(
        version: Version,
        subprotocol: Option<Arc<str>>,
        deflate: Option<DeflateParams>,
    ) -> Self {
        let some = subprotocol.is_some() || deflate.is_some();
        Self { version, options: some.then(|| Box::new(Options { subprotocol, deflate })) }
    }

    pub(crate) fn subprotocol(&self) -> Option<&str> {
        self.options.as_ref()?.subprotocol.as_deref()
    }

    pub(crate) fn deflate(&self) -> Option<DeflateParams> {
        self.options.as_ref()?.deflate
    }
}
