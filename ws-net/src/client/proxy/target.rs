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
