use std::fmt;

use ws_proto::ClientRequest;

use crate::runtime::Transport;

mod connect;
pub(crate) mod error;
mod socks5;
pub(crate) mod target;

use error::{InvalidProxy, ProxyError};
use target::{Credentials, Target, without_credentials};

/// A proxy that passes connections on: `http://` for one that knows CONNECT (RFC 9110 section
/// 9.3.6), `socks5://` for one that speaks SOCKS 5 (RFC 1928). The proxy looks the server's name
/// up.
///
/// ```
/// use ws_net::Proxy;
///
/// let proxy = Proxy::new("socks5://localhost:9050")?.credentials("me", "secret")?;
/// # Ok::<(), ws_net::InvalidProxy>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    credentials: Option<Credentials>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Http,
    Socks5,
}

impl Proxy {
    /// The proxy with this URL: `http://host[:port]`, by default port 80, or
    /// `socks5://host[:port]`, by default port 1080; `socks5h://` means the same.
    ///
    /// # Errors
    /// [`InvalidProxy`] says what is wrong with the URL.
    pub fn new(url: &str) -> Result<Self, InvalidProxy> {
        let invalid = |problem| InvalidProxy { url: without_credentials(url), problem };
        let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "http" => Kind::Http,
            "socks5" | "socks5h" => Kind::Socks5,
            _ => return Err(invalid("begins with neither http:// nor socks5://")),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains('@') {
            return Err(invalid("has a user or password: set them with credentials()"));
        }
        if authority.contains(['/', '?', '#']) {
            return Err(invalid("has a path: leave it out"));
        }
        // The grammar of hosts and ports is that of the server's URL.
        let parsed = ClientRequest::new(&format!("ws://{authority}"))
            .map_err(|_| invalid("has no valid host and port"))?;
        let has_port = authority.rsplit(']').next().is_some_and(|end| end.contains(':'));
        let port = match kind {
            Kind::Socks5 if !has_port => 1080,
            _ => parsed.port(),
        };
        Ok(Self { kind, host: parsed.host().to_owned(), port, credentials: None })
    }

    /// A name and a password for the proxy, sent in the clear: Basic (RFC 7617) to an HTTP proxy,
    /// RFC 1929 to a SOCKS proxy.
    ///
    /// # Errors
    /// [`InvalidProxy`] when they do not fit: SOCKS takes 1 to 255 bytes each, Basic no colon in
    /// the name and no control characters.
    pub fn credentials(self, user: &str, password: &str) -> Result<Self, InvalidProxy> {
        let problem = match self.kind {
            Kind::Socks5
                if ![user, password].iter().all(|text| (1..=255).contains(&text.len())) =>
            {
                Some("takes a user and a password of 1 to 255 bytes each")
            }
            Kind::Http if user.contains(':') => Some("takes no colon in the name of the user"),
            Kind::Http if [user, password].iter().any(|text| text.contains(char::is_control)) => {
                Some("takes no control characters in credentials")
            }
            _ => None,
        };
        if let Some(problem) = problem {
            return Err(InvalidProxy { url: self.to_string(), problem });
        }
        let credentials = Credentials { user: user.to_owned(), password: password.to_owned() };
        Ok(Self { credentials: Some(credentials), ..self })
    }

    /// Where it is.
    pub(crate) fn address(&self) -> Target<'_> {
        Target { host: &self.host, port: self.port }
    }

    /// Asks the proxy at the other end of `stream` to pass it on to `target`.
    pub(crate) async fn pass_on<S: Transport>(
        &self,
        stream: &mut S,
        target: Target<'_>,
    ) -> Result<(), ProxyError> {
        let credentials = self.credentials.as_ref();
        match self.kind {
            Kind::Http => connect::pass_on(stream, target, credentials).await,
            Kind::Socks5 => socks5::pass_on(stream, target, credentials).await,
        }
    }
}

/// The URL, without credentials.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Socks5 => "socks5",
        };
        write!(f, "{scheme}://{}", self.address())
    }
}

/// The URL, and whether there are credentials.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("url", &format_args!("{self}"))
            .field("credentials", &self.credentials.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_proxies_are_read() {
        for (url, shown) in [
            ("http://Proxy.example", "http://proxy.example:80"),
            ("http://10.0.0.1:3128/", "http://10.0.0.1:3128"),
            ("socks5://localhost", "socks5://localhost:1080"),
            ("SOCKS5H://[::1]", "socks5://[::1]:1080"),
            ("socks5://[::1]:80", "socks5://[::1]:80"),
        ] {
            assert_eq!(Proxy::new(url).unwrap().to_string(), shown);
        }
        for url in
            ["http://me:secret@a", "me:secret@a", "socks5://me:se/cret@a", "http://a:x?secret@"]
        {
            let error = Proxy::new(url).unwrap_err().to_string();
            assert!(error.contains("***@") && !error.contains("cret"), "{error}");
        }
        for (url, part) in [
            ("", "begins with"),
            ("https://a", "begins with"),
            ("http://me:pw@a", "credentials()"),
            ("http://a/b", "path"),
            ("http://", "host"),
            ("socks5://a:0", "host"),
        ] {
            let error = Proxy::new(url).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn credentials_have_to_fit_and_are_not_shown() {
        let http = || Proxy::new("http://a").unwrap();
        let socks = || Proxy::new("socks5://a").unwrap();
        let shown = format!("{:?}", http().credentials("me", "secret").unwrap());
        assert!(shown.contains("credentials: true") && !shown.contains("secret"), "{shown}");
        assert!(http().credentials("m:e", "x").is_err() && http().credentials("me", "\n").is_err());
        assert!(socks().credentials("", "x").is_err());
        assert!(socks().credentials("me", &"x".repeat(256)).is_err());
        assert!(socks().credentials("m:e", &"x".repeat(255)).is_ok());
    }
}
