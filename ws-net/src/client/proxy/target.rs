use std::fmt;

/// Where a proxy is asked to connect to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// A name or an address, an IPv6 address without brackets.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
}

/// `host:port`, an IPv6 address in brackets.
impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Who asks. There is no `Debug`, so that no log shows it.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

/// A URL for errors: `***` stands for whatever may be a user and a password, written well or badly.
pub(crate) fn without_credentials(url: &str) -> String {
    let Some(at) = url.rfind('@') else { return url.to_owned() };
    let scheme = url.split_inclusive("://").next().filter(|scheme| !scheme.contains('@'));
    let before = scheme.unwrap_or_default();
    let (_, behind) = url.split_at(at);
    [before, "***", behind].concat()
}
