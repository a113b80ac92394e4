//! What draft75 and draft76 share: an answer that repeats the client's origin and URL, which the
//! client compares byte for byte.

use alloc::string::String;
use alloc::sync::Arc;

use super::authority::{Authority, location};
use super::client_request::ClientRequest;
use super::request::Request;
use crate::HandshakeError;
use crate::http::Headers;
use crate::http::grammar::{excerpt, is_printable};

/// Checks that a subprotocol, one text and not a list, can be echoed.
pub(super) fn check_subprotocol(
    headers: &Headers,
    name: &'static str,
) -> Result<(), HandshakeError> {
    match headers.single(name)? {
        Some(value) if !is_printable(value) => {
            Err(HandshakeError::InvalidSubprotocol(excerpt(value)))
        }
        _ => Ok(()),
    }
}

/// The URL that the client used, as the client writes it. The host was checked.
pub(super) fn url(request: &Request, secure: bool) -> String {
    Authority::parse(request.host())
        .map(|authority| location(secure, &authority, request.resource()))
        .unwrap_or_default()
}

/// Checks that a header is in the answer once and says what the client expects.
pub(super) fn check_echo(
    headers: &Headers,
    header: &'static str,
    expected: &str,
) -> Result<(), HandshakeError> {
    let answered = headers.required(header)?;
    if answered == expected.as_bytes() {
        return Ok(());
    }
    Err(HandshakeError::WrongEcho {
        header,
        expected: excerpt(expected.as_bytes()),
        answered: excerpt(answered),
    })
}

/// Checks the subprotocol of an answer. One that was not asked for is not looked at.
pub(super) fn check_answered_subprotocol(
    headers: &Headers,
    header: &'static str,
    request: &ClientRequest,
) -> Result<Option<Arc<str>>, HandshakeError> {
    match request.subprotocols().first() {
        None => Ok(None),
        Some(asked) => {
            check_echo(headers, header, asked)?;
            Ok(Some(Arc::clone(asked)))
        }
    }
}
