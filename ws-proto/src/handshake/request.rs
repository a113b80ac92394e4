use alloc::borrow::Cow;
use core::fmt;

use super::authority::is_scheme;
use crate::Version;
use crate::http::first_line::RequestLine;
use crate::http::{Head, Headers};

/// A request for a WebSocket that passed every check of its version and of the configuration.
///
/// Cloning shares it. A connection keeps its request for as long as it lives.
#[derive(Clone)]
pub struct Request {
    /// With the version as its mark, so that a request is one allocation. What else is known about
    /// it is read again, by the few who ask.
    headers: Headers,
}

impl Request {
    pub(crate) fn new(head: Head<RequestLine>, version: Version) -> Self {
        let mut headers = head.headers;
        headers.set_mark(version as u8);
        Self { headers }
    }

    /// The version that is spoken once the request is accepted.
    pub fn version(&self) -> Version {
        Version::ALL.get(usize::from(self.headers.mark())).copied().unwrap_or(Version::Rfc6455)
    }

    /// The header fields as they were received.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The target of the request line as it was received: a path with its query, or a whole URL.
    pub fn target(&self) -> &str {
        let behind_method = self.headers.head().get(b"GET ".len()..).unwrap_or_default();
        text(behind_method.split(|byte| *byte == b' ').next().unwrap_or_default())
    }

    /// The path, without the query and still percent-encoded.
    pub fn path(&self) -> &str {
        match self.resource().split_once('?') {
            // A URL without a path means this one (RFC 3986 section 6.2.3).
            Some(("", _)) => "/",
            Some((path, _)) => path,
            None => self.resource(),
        }
    }

    /// The query without its question mark, or `None` when there is no question mark.
    pub fn query(&self) -> Option<&str> {
        self.resource().split_once('?').map(|(_, query)| query)
    }

    /// The pairs of the query in order, decoded as browsers encode forms: `+` and `%20` are blanks,
    /// a pair without `=` has an empty value, and bytes that are not UTF-8 become U+FFFD.
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        form_urlencoded::parse(self.query().unwrap_or_default().as_bytes())
    }

    /// The cookies in order, as name and value; a name may be there more than once.
    ///
    /// Read as leniently as RFC 6265 section 5.4 lets clients write them: every `Cookie` header
    /// counts, quotes around a value are taken off, nothing is decoded, and what is not UTF-8 or
    /// has no `=` is left out.
    pub fn cookies(&self) -> impl Iterator<Item = (&str, &str)> {
        let crumbs = self.headers().get_all("Cookie").flat_map(|line| line.split(|b| *b == b';'));
        crumbs.filter_map(|crumb| crumb_of(str::from_utf8(crumb).ok()?))
    }

    /// The value of the first cookie with this name. Case counts.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies().find(|cookie| cookie.0 == name).map(|cookie| cookie.1)
    }

    /// `Host`: a host with an optional port, as the client wrote it.
    pub fn host(&self) -> &str {
        self.printable("Host").unwrap_or_default()
    }

    /// The web page that asks, or `None` when no web page does.
    ///
    /// For hybi 7 and 8 this is `Sec-WebSocket-Origin` and only without it `Origin`: scripts can
    /// set neither, and some clients of draft hybi-11 and later send both.
    pub fn origin(&self) -> Option<&str> {
        let renamed = matches!(self.version(), Version::Hybi07 | Version::Hybi08);
        let first = if renamed { self.printable("Sec-WebSocket-Origin") } else { None };
        first.or_else(|| self.printable("Origin"))
    }

    /// The subprotocols that the client offers, in its order of preference.
    ///
    /// draft75 and draft76 clients offer one at most, which is a text of any printable characters.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        let (name, list) = match self.version() {
            Version::Draft75 => ("WebSocket-Protocol", false),
            Version::Draft76 => ("Sec-WebSocket-Protocol", false),
            Version::Hybi07 | Version::Hybi08 | Version::Rfc6455 => {
                ("Sec-WebSocket-Protocol", true)
            }
        };
        let members = self
            .headers()
            .get_all(name)
            .flat_map(move |value| value.split(move |byte| list && *byte == b','));
        members.map(|member| text(member.trim_ascii())).filter(|member| !member.is_empty())
    }

    /// The path with its query, also when the target is a whole URL. One without a path begins with
    /// the question mark.
    pub(crate) fn resource(&self) -> &str {
        split_target(self.target()).1
    }

    /// A value that was checked to be printable ASCII.
    fn printable(&self, name: &str) -> Option<&str> {
        self.headers().text(name)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("version", &self.version())
            .field("target", &self.target())
            .field("headers", self.headers())
            .finish()
    }
}

/// Splits a target into the scheme and the authority of a whole URL, if it is one, and the path with
/// its query (RFC 9112 section 3.2).
pub(crate) fn split_target(target: &str) -> (Option<(&str, &str)>, &str) {
    if target.starts_with('/') {
        return (None, target);
    }
    let Some((scheme, rest)) = target.split_once("://").filter(|(scheme, _)| is_scheme(scheme))
    else {
        return (None, target);
    };
    let path = rest.find(['/', '?']).unwrap_or(rest.len());
    match rest.split_at_checked(path) {
        Some((authority, "")) => (Some((scheme, authority)), "/"),
        Some((authority, resource)) => (Some((scheme, authority)), resource),
        None => (None, target),
    }
}

/// The name and the value of one cookie.
fn crumb_of(crumb: &str) -> Option<(&str, &str)> {
    let (name, value) = crumb.split_once('=')?;
    let value = value.trim();
    let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    Some((name.trim(), unquoted.unwrap_or(value)))
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::Config;

    fn request(target: &str, cookies: &[&[u8]]) -> Request {
        let fixed = [
            ("Host", &b"a"[..]),
            ("Upgrade", b"websocket"),
            ("Connection", b"Upgrade"),
            ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", b"13"),
        ];
        let headers = fixed.into_iter().chain(cookies.iter().map(|line| ("cookie", *line)));
        Request::from_parts("GET", target, 1, headers, &Config::default()).unwrap()
    }

    #[test]
    fn queries_are_decoded() {
        let request = request("/x?a=1+2&b=%C3%A9%26&&c&a=%FF=", &[]);
        let pairs: Vec<_> = request.query_pairs().collect();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(pairs, [("a", "1 2"), ("b", "é&"), ("c", ""), ("a", "\u{FFFD}=")]);
        assert_eq!(self::request("/x", &[]).query_pairs().count(), 0);
    }

    #[test]
    fn cookies_are_read_leniently() {
        let lines: [&[u8]; 3] = [b"a=1;b = \"x y\" ; ;junk; c==;", b"\xFF=1; d=\xC3\xA9", b"a=2"];
        let request = request("/", &lines);
        let cookies: Vec<_> = request.cookies().collect();
        assert_eq!(cookies, [("a", "1"), ("b", "x y"), ("c", "="), ("d", "é"), ("a", "2")]);
        assert_eq!((request.cookie("a"), request.cookie("A")), (Some("1"), None));
    }

    #[test]
    fn a_request_is_one_allocation() {
        assert_eq!(size_of::<Request>(), 2 * size_of::<usize>());
        let mut request = request("/x", &[]);
        for version in Version::ALL {
            request.headers.set_mark(version as u8);
            assert_eq!((request.version(), request.target()), (version, "/x"));
        }
    }

    #[test]
    fn targets_are_paths_or_urls() {
        for (target, authority, resource) in [
            ("/a?b", None, "/a?b"),
            ("//a://b", None, "//a://b"),
            ("ws://a:1/b?c=http://d/", Some(("ws", "a:1")), "/b?c=http://d/"),
            ("http://a", Some(("http", "a")), "/"),
            ("http://a?b", Some(("http", "a")), "?b"),
            ("b/c?d://a/e", None, "b/c?d://a/e"),
            ("?://a/b", None, "?://a/b"),
            ("://a/b", None, "://a/b"),
            ("*", None, "*"),
            ("", None, ""),
        ] {
            assert_eq!(split_target(target), (authority, resource), "{target}");
        }
    }
}
