//! What stands in for permessage-deflate without the feature `deflate`: types without values, so
//! that callers need no conditions and nothing of it is built.

use alloc::boxed::Box;
use alloc::string::String;

use bytes::Bytes;

use crate::http::Headers;
use crate::{ConfigError, HandshakeError, ProtocolError, Role};

/// Options that nobody can set.
#[derive(Clone, Debug)]
pub(crate) enum Deflate {}

impl Deflate {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match *self {}
    }

    pub(crate) fn offer(&self) -> String {
        match *self {}
    }

    pub(crate) fn choose(&self, _: &Headers) -> Option<DeflateParams> {
        match *self {}
    }

    pub(crate) fn check_answer(&self, _: &[u8]) -> Result<Option<DeflateParams>, HandshakeError> {
        match *self {}
    }
}

/// Parameters that nobody agreed to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DeflateParams {}

impl core::fmt::Display for DeflateParams {
    fn fmt(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {}
    }
}

#[derive(Debug)]
pub(crate) enum Inflater {}

pub(crate) type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), ProtocolError> + 'a;

impl Inflater {
    pub(crate) fn new(params: DeflateParams, _: Role) -> Self {
        match params {}
    }

    pub(crate) fn inflate(&mut self, _: &[u8], _: &mut Sink<'_>) -> Result<(), ProtocolError> {
        match *self {}
    }

    pub(crate) fn inflate_some(
        &mut self,
        _: &[u8],
        _: &mut Sink<'_>,
    ) -> Result<usize, ProtocolError> {
        match *self {}
    }

    pub(crate) fn inflate_last(&mut self, _: &[u8], _: &mut Sink<'_>) -> Result<(), ProtocolError> {
        match *self {}
    }

    pub(crate) fn finish(&mut self, _: &mut Sink<'_>) -> Result<(), ProtocolError> {
        match *self {}
    }
}

#[derive(Debug)]
pub(crate) enum Deflater {}

impl Deflater {
    pub(crate) fn new(_: &Deflate, params: DeflateParams, _: Role) -> Option<Box<Self>> {
        match params {}
    }

    pub(crate) fn twin(&self) -> Option<Self> {
        match *self {}
    }

    pub(crate) fn deflate<T>(&mut self, _: &[u8], _: impl FnOnce(&[u8]) -> T) -> Option<T> {
        match *self {}
    }

    pub(crate) fn deflate_part(&mut self, _: &[u8], _: bool) -> Bytes {
        match *self {}
    }

    pub(crate) fn deflate_shared(&mut self, _: &[u8], _: &Forms) -> Option<Bytes> {
        match *self {}
    }

    pub(crate) fn settings(&self) -> Option<Settings> {
        match *self {}
    }

    pub(crate) fn forget(&mut self) {
        match *self {}
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Settings {}

impl Settings {
    pub(crate) fn deflate_shared(self, _: &[u8], _: &Forms) -> Option<Bytes> {
        match self {}
    }
}

/// The compressed forms of a message for many: none.
#[derive(Debug, Default)]
pub(crate) struct Forms(());
