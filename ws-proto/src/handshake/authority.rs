use alloc::format;
use alloc::string::String;
use core::net::Ipv6Addr;

use memchr::memchr;

/// `host` or `host:port`, as in `Host`, origins and URLs (RFC 3986 section 3.2). An empty port is
/// none (section 3.2.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Authority<'a> {
    /// A name, an IPv4 address, or an IPv6 address in its brackets.
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Takes letters, digits and `-._~%` as a name: what is left out of RFC 3986 is in no host
    /// that a client reaches, and this text is echoed.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (host, port) = split_port(text)?;
        match host.strip_prefix('[') {
            Some(address) => {
                address.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?;
            }
            None if !is_name(host) => return None,
            None => {}
        }
        let port = match port {
            None | Some("") => None,
            Some(digits) => Some(parse_port(digits)?),
        };
        Some(Self { host, port })
    }

    /// The same host, and the same port when `default` stands for a port that is left out.
    pub(crate) fn same_as(&self, other: &Self, default: u16) -> bool {
        self.host.eq_ignore_ascii_case(other.host)
            && self.port.unwrap_or(default) == other.port.unwrap_or(default)
    }

    /// The host in lower case, with the port unless it is the default one.
    pub(crate) fn normalised(&self, secure: bool) -> String {
        let host = self.host.to_ascii_lowercase();
        match self.port {
            Some(port) if port != default_port(secure) => format!("{host}:{port}"),
            _ => host,
        }
    }
}

/// The port that `ws` and `http` (80) or `wss` and `https` (443) mean.
pub(crate) const fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// The scheme, host and port of a web page (RFC 6454 section 6.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Origin<'a> {
    pub(crate) scheme: &'a str,
    pub(crate) authority: Authority<'a>,
}

/// RFC 3986 section 3.1.
pub(crate) fn is_scheme(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

impl<'a> Origin<'a> {
    /// Takes `scheme://host[:port]` and nothing else: no path, and not `null`.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        Self::new(scheme, authority)
    }

    pub(crate) fn new(scheme: &'a str, authority: &'a str) -> Option<Self> {
        if !is_scheme(scheme) {
            return None;
        }
        Some(Self { scheme, authority: Authority::parse(authority)? })
    }

    /// The port that is meant when none is written; 0 for schemes without one.
    pub(crate) fn default_port(&self) -> u16 {
        let is = |scheme| self.scheme.eq_ignore_ascii_case(scheme);
        if is("http") || is("ws") {
            80
        } else if is("https") || is("wss") {
            443
        } else {
            0
        }
    }
}

/// `ws[s]://host[:port]/path`, as draft75 and draft76 compare it. A path that is left out is `/`.
pub(crate) fn location(secure: bool, authority: &Authority<'_>, resource: &str) -> String {
    let scheme = if secure { "wss" } else { "ws" };
    let slash = if resource.starts_with('/') { "" } else { "/" };
    format!("{scheme}://{}{slash}{resource}", authority.normalised(secure))
}

/// Splits at the colon before the port, which is not one inside of brackets.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    let end = if text.starts_with('[') { memchr(b']', text.as_bytes()) } else { None };
    let (inside, rest) = text.split_at_checked(end.map_or(0, |at| at + 1))?;
    match memchr(b':', rest.as_bytes()) {
        None => Some((text, None)),
        Some(at) => Some((text.get(..inside.len() + at)?, rest.get(at + 1..))),
    }
}

fn is_name(host: &str) -> bool {
    !host.is_empty()
        && host.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%')
        })
}

/// `None` for what is no port; the standard parser would take a sign.
fn parse_port(digits: &str) -> Option<u16> {
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|port| all_digits && *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        for (text, host, port) in [
            ("example.org", "example.org", None),
            ("example.org:8080", "example.org", Some(8080)),
            ("127.0.0.1:1", "127.0.0.1", Some(1)),
            ("my_host", "my_host", None),
            ("example.org:", "example.org", None),
            ("[::1]:", "[::1]", None),
        ] {
            assert_eq!(Authority::parse(text), Some(Authority { host, port }), "{text}");
        }
    }

    #[test]
    fn an_ipv6_literal_keeps_its_brackets() {
        let authority = Authority::parse("[2001:DB8::1]:8080").unwrap();
        assert_eq!(authority, Authority { host: "[2001:DB8::1]", port: Some(8080) });
        assert_eq!(Authority::parse("[::1]").unwrap(), Authority { host: "[::1]", port: None });
        assert_eq!(location(false, &authority, "/c?x"), "ws://[2001:db8::1]:8080/c?x");
        assert_eq!(location(false, &authority, "?x"), "ws://[2001:db8::1]:8080/?x");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            ":80",
            "a b",
            "a,b",
            "a/b",
            "user@host",
            ":",
            "a::",
            "a:0",
            "a:+1",
            "a:65536",
            "a:1:2",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]]",
            "[1.2.3.4]",
            "[fe80::1%25eth0]",
            "ex\u{e4}mple",
            "a\"",
            "x[::1]",
            "[]",
        ] {
            assert_eq!(Authority::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_default_port_is_not_written() {
        for (host, secure, expected) in [
            ("A.example:80", false, "ws://a.example/"),
            ("a.example:443", false, "ws://a.example:443/"),
            ("a.example:443", true, "wss://a.example/"),
            ("a.example:80", true, "wss://a.example:80/"),
        ] {
            assert_eq!(location(secure, &Authority::parse(host).unwrap(), "/"), expected);
        }
    }

    #[test]
    fn origins_are_scheme_host_and_port_only() {
        let origin = Origin::parse("https://Example.org:8443").unwrap();
        assert_eq!((origin.scheme, origin.default_port()), ("https", 443));
        for text in ["null", "", "example.org", "http://", "http://a/", "://a", "1a://b", "a b://c"]
        {
            assert_eq!(Origin::parse(text), None, "{text}");
        }
    }
}
