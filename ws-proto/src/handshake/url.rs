use alloc::string::String;
use core::fmt::Write as _;

use super::authority::{Authority, default_port, location};
use crate::http::grammar::excerpt;

/// A `ws:` or `wss:` URL (RFC 6455 section 3), normalised as the drafts compare it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Url {
    pub(crate) secure: bool,
    /// In lower case, an IPv6 address in its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The path with its query, as it was written.
    pub(crate) resource: String,
}

impl Url {
    pub(crate) fn parse(url: &str) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
        let secure = scheme.eq_ignore_ascii_case("wss");
        // What is wrong elsewhere is shown, and a password must not be.
        if scheme.contains('@') {
            return Err(InvalidUrl::UserInfo);
        }
        if !secure && !scheme.eq_ignore_ascii_case("ws") {
            return Err(InvalidUrl::Scheme(excerpt(scheme.as_bytes())));
        }
        let path = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, resource) = rest.split_at_checked(path).unwrap_or((rest, ""));
        if resource.contains('#') {
            return Err(InvalidUrl::Fragment);
        }
        if let Some(wrong) = wrong_character(resource) {
            return Err(InvalidUrl::Character(wrong));
        }
        let hide = |error| if rest.contains('@') { InvalidUrl::UserInfo } else { error };
        let Authority { host, port } = parse_authority(authority).map_err(hide)?;
        let slash = if resource.starts_with('/') { "" } else { "/" };
        Ok(Self {
            secure,
            host: host.to_ascii_lowercase(),
            port: port.unwrap_or(default_port(secure)),
            resource: [slash, resource].concat(),
        })
    }

    pub(crate) fn authority(&self) -> Authority<'_> {
        Authority { host: &self.host, port: Some(self.port) }
    }

    /// The URL without a default port.
    pub(crate) fn location(&self) -> String {
        location(self.secure, &self.authority(), &self.resource)
    }
}

/// The first character that has to be percent-encoded in a path or a query (RFC 3986 sections 3.3
/// and 3.4), or a percent sign that encodes nothing (section 2.1). Square brackets are let pass:
/// many queries have lists such as `a[]=1`, and nobody encodes them.
fn wrong_character(resource: &str) -> Option<char> {
    let is_wrong = |(at, c): &(usize, char)| !c.is_ascii_graphic() || is_loose(resource, *at, *c);
    resource.char_indices().find(is_wrong).map(|(_, c)| c)
}

/// `url` with the loose characters in it percent-encoded.
pub(super) fn encode_loose(url: &str) -> String {
    let mut encoded = String::with_capacity(url.len());
    for (at, c) in url.char_indices() {
        if is_loose(url, at, c) {
            let _ = write!(encoded, "%{:02X}", u32::from(c));
        } else {
            encoded.push(c);
        }
    }
    encoded
}

/// Whether `c`, which is at `at`, is one of the visible characters that stand for themselves in no
/// URL (RFC 3986 appendix A), or a percent sign that encodes nothing.
fn is_loose(text: &str, at: usize, c: char) -> bool {
    let encodes = || {
        let digits = text.as_bytes().get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    match c {
        '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' => true,
        '%' => !encodes(),
        _ => false,
    }
}

fn parse_authority(text: &str) -> Result<Authority<'_>, InvalidUrl> {
    if text.contains('@') {
        return Err(InvalidUrl::UserInfo);
    }
    if let Some(authority) = Authority::parse(text) {
        return Ok(authority);
    }
    let before_port = text.rsplit_once(':').and_then(|(host, _)| Authority::parse(host));
    Err(match before_port {
        Some(Authority { port: None, .. }) => InvalidUrl::Port(excerpt(text.as_bytes())),
        _ => InvalidUrl::Host(excerpt(text.as_bytes())),
    })
}

/// Which part of a URL keeps a client from connecting to it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUrl {
    /// Neither `ws` nor `wss`.
    #[error("the URL begins with {0:?}: use ws:// or wss://")]
    Scheme(String),
    /// A name or password before the host, which RFC 6455 section 3 has no place for.
    #[error("the URL has a user or password: send them in an Authorization header")]
    UserInfo,
    /// The host is not a name of ASCII letters, digits and `-._~%`, nor an address.
    #[error("{0:?} is no host: write other alphabets as xn-- names and IPv6 addresses in [ ]")]
    Host(String),
    /// The port is not from 1 to 65535.
    #[error("the port in {0:?} is no number from 1 to 65535")]
    Port(String),
    /// A `#`, which RFC 6455 section 3 forbids.
    #[error("the URL has a fragment: leave out what begins with #, or write it as %23")]
    Fragment,
    /// The path or the query has a character that no URL has (RFC 3986 appendix A), or a percent
    /// sign without two hexadecimal digits behind it.
    #[error("the URL has the character {0:?}: percent-encode it")]
    Character(char),
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn urls_are_normalised() {
        for (url, location, host, port) in [
            ("ws://Example.org", "ws://example.org/", "example.org", 80),
            ("WSS://example.org:443/a?b=c", "wss://example.org/a?b=c", "example.org", 443),
            ("ws://example.org:/", "ws://example.org/", "example.org", 80),
            ("wss://[::1]:", "wss://[::1]/", "[::1]", 443),
            ("ws://example.org:443?b", "ws://example.org:443/?b", "example.org", 443),
            (
                "ws://[2001:DB8::1]:8080/A%20b",
                "ws://[2001:db8::1]:8080/A%20b",
                "[2001:db8::1]",
                8080,
            ),
        ] {
            let parsed = Url::parse(url).unwrap();
            assert_eq!(parsed.location(), location);
            assert_eq!((parsed.host.as_str(), parsed.port), (host, port));
        }
    }

    #[test]
    fn a_client_asks_for_valid_uris_only() {
        for wrong in "\"<>\\^`{|}".chars() {
            for url in [format!("ws://a/x{wrong}"), format!("ws://a/?x={wrong}y")] {
                assert_eq!(Url::parse(&url), Err(InvalidUrl::Character(wrong)), "{url}");
            }
        }
        let every = "/-._~!$&'()*+,;=:@/?[]%c3%A9%25";
        assert_eq!(Url::parse(&format!("ws://a{every}")).unwrap().resource, every);
    }

    #[test]
    fn the_wrong_part_of_a_url_is_named() {
        for (url, error) in [
            ("http://example.org/", InvalidUrl::Scheme("http".into())),
            ("example.org:80", InvalidUrl::Scheme("example.org:80".into())),
            ("ws:example.org", InvalidUrl::Scheme("ws:example.org".into())),
            ("ws://me:pw@example.org/", InvalidUrl::UserInfo),
            ("ws://me:p/w@example.org/", InvalidUrl::UserInfo),
            ("me:pw@example.org", InvalidUrl::UserInfo),
            ("ws://", InvalidUrl::Host(String::new())),
            ("ws:///path", InvalidUrl::Host(String::new())),
            ("ws://a b/", InvalidUrl::Host("a b".into())),
            ("ws://b\u{fc}cher.example/", InvalidUrl::Host("b\u{fc}cher.example".into())),
            ("ws://::1/", InvalidUrl::Host("::1".into())),
            ("ws://a:0/", InvalidUrl::Port("a:0".into())),
            ("ws://[::1]:99999/", InvalidUrl::Port("[::1]:99999".into())),
            ("ws://a/#top", InvalidUrl::Fragment),
            ("ws://a#top", InvalidUrl::Fragment),
            ("ws://a/%", InvalidUrl::Character('%')),
            ("ws://a/?x=100%", InvalidUrl::Character('%')),
            ("ws://a/%4", InvalidUrl::Character('%')),
            ("ws://a/%4g", InvalidUrl::Character('%')),
            ("ws://a/%\u{e9}", InvalidUrl::Character('%')),
            ("ws://a?{", InvalidUrl::Character('{')),
            ("ws://a/ b", InvalidUrl::Character(' ')),
            ("ws://a/\r\nX: y", InvalidUrl::Character('\r')),
            ("ws://a/\u{e9}", InvalidUrl::Character('\u{e9}')),
        ] {
            assert_eq!(Url::parse(url), Err(error), "{url}");
        }
    }
}
