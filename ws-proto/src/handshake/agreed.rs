use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::deflate::DeflateParams;
use crate::{Response, Version};

/// What both sides know at the end of a handshake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Agreed {
    pub(crate) version: Version,
    /// Boxed, since every connection has room for it and few have it.
    options: Option<Box<Options>>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Options {
    subprotocol: Option<Arc<str>>,
    deflate: Option<DeflateParams>,
    /// Which a client got.
    response: Option<Response>,
}

impl Agreed {
    pub(crate) fn new(
        version: Version,
        subprotocol: Option<Arc<str>>,
        deflate: Option<DeflateParams>,
    ) -> Self {
        let some = subprotocol.is_some() || deflate.is_some();
        let options = || Box::new(Options { subprotocol, deflate, response: None });
        Self { version, options: some.then(options) }
    }

    /// The same with the answer that says it.
    pub(crate) fn with_response(mut self, response: Option<Response>) -> Self {
        self.options.get_or_insert_default().response = response;
        self
    }

    pub(crate) fn subprotocol(&self) -> Option<&str> {
        self.options.as_ref()?.subprotocol.as_deref()
    }

    pub(crate) fn response(&self) -> Option<&Response> {
        self.options.as_ref()?.response.as_ref()
    }

    pub(crate) fn deflate(&self) -> Option<DeflateParams> {
        self.options.as_ref()?.deflate
    }
}
