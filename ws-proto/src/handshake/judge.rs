use super::authority::{Authority, Origin};
use super::request::{Request, split_target};
use super::{draft75, draft76, rfc6455};
use crate::http::Head;
use crate::http::first_line::RequestLine;
use crate::http::grammar::{excerpt, is_printable};
use crate::{Config, HandshakeError, Version};

/// Whether the request asks for a WebSocket of any version, well or badly. In HTTP/1.0 none does:
/// there servers are to ignore `Upgrade` (RFC 9110 section 7.8).
pub(super) fn asks_for_websocket(head: &Head<RequestLine>) -> bool {
    head.line.http.minor > 0 && (rfc6455::has_upgrade(head) || has_own_header(head))
}

/// Whether a header is there that only such requests have.
fn has_own_header(head: &Head<RequestLine>) -> bool {
    [VERSION, KEY].into_iter().chain(draft76::KEYS).any(|name| head.contains(name))
}

/// The one validator for requests of all versions: whatever is refused is refused here.
pub(super) fn judge(head: Head<RequestLine>, config: &Config) -> Result<Request, HandshakeError> {
    let host = check_host(&head)?;
    let has_upgrade = rfc6455::has_upgrade(&head);
    if !has_upgrade && !has_own_header(&head) {
        return Err(HandshakeError::NoUpgrade);
    }
    if head.line.http.minor == 0 {
        return Err(head.line.http.refused());
    }
    if head.method() != b"GET" {
        return Err(HandshakeError::Method(excerpt(head.method())));
    }
    let version = detect(&head)?;
    if !config.versions.contains(version) {
        return Err(HandshakeError::UnsupportedVersion(version.name().into()));
    }
    check_target(&head, host)?;
    check_no_body(&head, version)?;
    check_origin(&head)?;
    match version {
        Version::Draft75 => draft75::check_request(&head.headers)?,
        Version::Draft76 => draft76::check_request(&head.headers)?,
        _ if !has_upgrade => return Err(HandshakeError::UpgradeMissing),
        Version::Hybi07 | Version::Hybi08 | Version::Rfc6455 => {
            rfc6455::check_request(&head, version)?;
        }
    }
    let has_origin = ORIGINS.iter().any(|name| head.contains(name));
    let request = Request::new(head, version);
    if has_origin || !config.origin.passes_without() {
        config.origin.judge(&request)?;
    }
    config.subprotocols.judge(&request)?;
    Ok(request)
}

const VERSION: &str = "Sec-WebSocket-Version";
const KEY: &str = "Sec-WebSocket-Key";
const ORIGINS: [&str; 2] = ["Origin", "Sec-WebSocket-Origin"];

/// Tells the version by the headers that only it has. A request that has some of a later version
/// is never taken for an older one.
fn detect(head: &Head<RequestLine>) -> Result<Version, HandshakeError> {
    if let Some(number) = head.single(VERSION)? {
        let unsupported = || HandshakeError::UnsupportedVersion(excerpt(number));
        return rfc6455::version(number).ok_or_else(unsupported);
    }
    if head.contains(KEY) {
        return Err(HandshakeError::NoVersion);
    }
    // hybi 2 and 3 have the keys of draft76 and other frames.
    if let Some(draft) = head.headers.get("Sec-WebSocket-Draft") {
        return Err(HandshakeError::UnsupportedVersion(excerpt(draft)));
    }
    if draft76::KEYS.into_iter().any(|name| head.contains(name)) {
        return Ok(Version::Draft76);
    }
    let is_draft75 = draft75::is_request(&head.headers);
    if is_draft75 { Ok(Version::Draft75) } else { Err(HandshakeError::NoVersion) }
}

/// `Host` is there once and names a host; HTTP/1.0 may leave it out (RFC 9112 section 3.2). That
/// holds for requests of any kind, also for those that others serve.
pub(super) fn check_host(
    head: &Head<RequestLine>,
) -> Result<Option<Authority<'_>>, HandshakeError> {
    let Some(host) = head.single("Host")? else {
        let may_lack = head.line.http.minor == 0;
        return if may_lack { Ok(None) } else { Err(HandshakeError::Missing("Host")) };
    };
    let authority = Authority::parse(str::from_utf8(host).unwrap_or_default());
    authority.map(Some).ok_or_else(|| HandshakeError::InvalidHost(excerpt(host)))
}

/// The target is a path, or a URL of this host. RFC 9112 section 3.2.2 would have the URL win over
/// another `Host`; but whoever routed or filtered the request on its way may have read the other
/// one, so which host is meant must not be left open.
fn check_target(
    head: &Head<RequestLine>,
    host: Option<Authority<'_>>,
) -> Result<(), HandshakeError> {
    let target = str::from_utf8(head.target()).unwrap_or_default();
    let good = match (split_target(target), host) {
        ((None, resource), _) => resource.starts_with('/'),
        ((Some((scheme, authority)), _), Some(host)) => is_same_host(scheme, authority, &host),
        ((Some(_), _), None) => false,
    };
    if !good || target.contains('#') {
        return Err(HandshakeError::InvalidTarget(excerpt(head.target())));
    }
    Ok(())
}

/// Whether the URL and `Host` mean the same host and port. A port that is left out is that of the
/// scheme (RFC 3986 section 6.2.3).
fn is_same_host(scheme: &str, authority: &str, host: &Authority<'_>) -> bool {
    let url = Origin::new(scheme, authority);
    url.is_some_and(|url| url.authority.same_as(host, url.default_port()))
}

/// A body would be read as frames. Some clients count the 8 bytes of draft76 as one.
fn check_no_body(head: &Head<RequestLine>, version: Version) -> Result<(), HandshakeError> {
    match head.single("Content-Length")? {
        _ if head.contains("Transfer-Encoding") => Err(HandshakeError::Body),
        None | Some(b"0") => Ok(()),
        Some(b"8") if version == Version::Draft76 => Ok(()),
        Some(_) => Err(HandshakeError::Body),
    }
}

/// Origins are compared, echoed and shown, so they are text.
fn check_origin(head: &Head<RequestLine>) -> Result<(), HandshakeError> {
    for name in ORIGINS {
        if let Some(origin) = head.single(name)?
            && !is_printable(origin)
        {
            return Err(HandshakeError::InvalidOrigin(excerpt(origin)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
