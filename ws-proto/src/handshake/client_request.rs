use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::authority::Origin;
use super::extra_headers::{ExtraHeaders, InvalidHeader};
use super::url::{InvalidUrl, Url, encode_loose};
use crate::Version;
use crate::http::grammar::{excerpt, is_token};
use crate::http::write_field;

/// What a client asks of a server: a URL, a version, and what goes with it.
///
/// ```
/// use ws_proto::{ClientRequest, Version};
///
/// let request = ClientRequest::new("ws://localhost:8080/chat")?
///     .version(Version::Draft76)
///     .subprotocol("chat")?
///     .header("Cookie", "seat=7")?;
/// assert_eq!((request.host(), request.port(), request.is_secure()), ("localhost", 8080, false));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientRequest {
    url: Url,
    version: Version,
    origin: Option<String>,
    subprotocols: Vec<Arc<str>>,
    headers: ExtraHeaders,
}

impl ClientRequest {
    /// A request for this `ws://` or `wss://` URL (RFC 6455 section 3), over RFC 6455.
    ///
    /// # Errors
    /// [`InvalidUrl`] names the part of the URL that is wrong. [`encode`](Self::encode) mends some.
    pub fn new(url: &str) -> Result<Self, InvalidUrl> {
        Ok(Self {
            url: Url::parse(url)?,
            version: Version::Rfc6455,
            origin: None,
            subprotocols: Vec::new(),
            headers: ExtraHeaders::default(),
        })
    }

    /// `url` with the visible characters percent-encoded that people write into paths and queries
    /// although no URL has them: quotation marks, angle brackets, braces, `\`, `^`, `|`, the grave
    /// accent, and a percent sign that encodes nothing (RFC 3986 appendix A and section 2.1).
    /// Blanks, control characters and other alphabets stay, which [`new`](Self::new) refuses.
    ///
    /// ```
    /// use ws_proto::ClientRequest;
    ///
    /// let url = ClientRequest::encode("ws://localhost/a|b?q={x}&r=100%&s=%20");
    /// assert_eq!(url, "ws://localhost/a%7Cb?q=%7Bx%7D&r=100%25&s=%20");
    /// ```
    #[must_use]
    pub fn encode(url: &str) -> String {
        encode_loose(url)
    }

    /// The version to speak. A server that does not know it refuses; no other one is tried.
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// The web page in whose name the client connects, as `scheme://host[:port]`, or `null`.
    /// Without this no page is named; draft75 and draft76, which must name one, name the server's.
    ///
    /// # Errors
    /// [`InvalidHeader::Origin`] for any other text.
    pub fn origin(mut self, origin: &str) -> Result<Self, InvalidHeader> {
        if origin != "null" && Origin::parse(origin).is_none() {
            return Err(InvalidHeader::Origin(excerpt(origin.as_bytes())));
        }
        self.origin = Some(origin.to_ascii_lowercase());
        Ok(self)
    }

    /// Offers a subprotocol, behind those offered before. draft75 and draft76 can offer one: the
    /// first.
    ///
    /// # Errors
    /// [`InvalidHeader::Subprotocol`] when the name is no token.
    pub fn subprotocol(mut self, name: &str) -> Result<Self, InvalidHeader> {
        if !is_token(name.as_bytes()) {
            return Err(InvalidHeader::Subprotocol(excerpt(name.as_bytes())));
        }
        if !self.subprotocols.iter().any(|offered| **offered == *name) {
            self.subprotocols.push(name.into());
        }
        Ok(self)
    }

    /// Adds a header, such as `Cookie` or `Authorization`.
    ///
    /// # Errors
    /// [`InvalidHeader`] when it could be read as something else, or is one of those that
    /// [`Accept::header`](crate::Accept::header) names as reserved.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.headers.push(name, value)?;
        Ok(self)
    }

    /// Whether the connection goes over TLS, as `wss://` says.
    pub fn is_secure(&self) -> bool {
        self.url.secure
    }

    /// The host to connect to, in lower case: a name or an address, an IPv6 address without its
    /// brackets.
    pub fn host(&self) -> &str {
        self.url.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.url.port
    }

    /// The URL, with its host in lower case and without a default port.
    pub fn url(&self) -> String {
        self.url.location()
    }
}

/// What the dialects write and compare.
impl ClientRequest {
    pub(super) fn asked_version(&self) -> Version {
        self.version
    }

    pub(super) fn subprotocols(&self) -> &[Arc<str>] {
        &self.subprotocols
    }

    pub(super) fn extra_headers(&self) -> &ExtraHeaders {
        &self.headers
    }

    /// The page that the client names, if any.
    pub(super) fn named_page(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// The page for versions that must name one.
    pub(super) fn page(&self) -> Cow<'_, str> {
        let server = || {
            let scheme = if self.url.secure { "https" } else { "http" };
            format!("{scheme}://{}", self.authority())
        };
        self.named_page().map_or_else(|| server().into(), Cow::Borrowed)
    }

    pub(super) fn write_request_line(&self, out: &mut Vec<u8>) {
        for part in ["GET ", &self.url.resource, " HTTP/1.1\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    pub(super) fn write_host(&self, out: &mut Vec<u8>) {
        write_field(out, "Host", self.authority().as_bytes());
    }

    /// The host, with the port unless it is the default one.
    fn authority(&self) -> String {
        self.url.authority().normalised(self.url.secure)
    }
}
