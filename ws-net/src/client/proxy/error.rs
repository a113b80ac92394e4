use std::io;

/// A proxy that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the proxy {url:?} {problem}")]
pub struct InvalidProxy {
    pub(super) url: String,
    pub(super) problem: &'static str,
}

/// What a proxy did instead of passing the connection on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The stream to it failed or ended.
    #[error("broke off: {0}")]
    Io(#[from] io::Error),
    /// An HTTP proxy answered with another status than 200.
    #[error("refuses with status {status} {reason:?}{}", credentials_hint(*.status == 407))]
    Status {
        /// The status.
        status: u16,
        /// Its phrase, cut to 64 characters.
        reason: String,
    },
    /// A SOCKS proxy refused (RFC 1928 section 6).
    #[error("refuses with SOCKS reply {code}: {}", reply(*.code))]
    Reply {
        /// The code of the reply.
        code: u8,
    },
    /// A SOCKS proxy accepts none of the ways to identify oneself that were offered (RFC 1928
    /// section 3).
    #[error("accepts none of the offered ways to identify oneself: set or check the credentials")]
    NoMethod,
    /// A SOCKS proxy does not know the user or the password (RFC 1929 section 2).
    #[error("does not accept the user and the password")]
    Credentials,
    /// The server's name is too long for SOCKS.
    #[error("takes no host name over 255 bytes")]
    NameTooLong,
    /// The answer is no answer of such a proxy.
    #[error("does not speak {protocol}: {problem}")]
    Nonsense {
        /// What it should speak.
        protocol: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
}

impl ProxyError {
    /// Whether the same attempt may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Io(_) => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            // General failure, unreachable network or host, refused, time to live.
            Self::Reply { code } => matches!(code, 1 | 3..=6),
            _ => false,
        }
    }
}

fn credentials_hint(wanted: bool) -> &'static str {
    if wanted { ": set or check the credentials" } else { "" }
}

/// What reply codes mean (RFC 1928 section 6).
fn reply(code: u8) -> &'static str {
    match code {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "time to live expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "unknown reply",
    }
}
