use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ws_proto::{Closed, ConfigError, HandshakeError, InvalidHeader, InvalidUrl, Response};

use super::proxy::error::{InvalidProxy, ProxyError};
use super::redirect::RedirectError;

/// Why there is no connection. The text names who is at fault, and the part of the URL, the
/// answer or the options that is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is wrong; `problem` says which part of it.
    #[error("{url:?} cannot be connected to: {problem}")]
    Url {
        /// The URL as it was given, with `***` in place of a user and a password.
        url: String,
        /// Which part of it is wrong.
        #[source]
        problem: InvalidUrl,
    },
    /// An option of the client makes no sense.
    #[error(transparent)]
    Option(#[from] InvalidOption),
    /// The operating system has no random bytes for the nonce and the masking keys.
    #[error("the system gives no random bytes: {0}")]
    Entropy(#[source] io::Error),
    /// The host's name has no address.
    #[error("the name {host:?} has no address: {error}")]
    Lookup {
        /// The name that was looked up: the server's, or the proxy's when there is one.
        host: String,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// None of the host's addresses could be connected to.
    #[error("{host} cannot be reached: {}", Failures(failures))]
    Unreachable {
        /// The host, the server's or the proxy's.
        host: String,
        /// What the system says of each address, in the order in which they failed.
        failures: Vec<(SocketAddr, io::Error)>,
    },
    /// The proxy would not or could not pass the connection on.
    #[error("the proxy {proxy} {problem}")]
    Proxy {
        /// The proxy, as `host:port`.
        proxy: String,
        /// What it did.
        #[source]
        problem: ProxyError,
    },
    /// The Unix socket could not be connected to.
    #[error("{} cannot be connected to: {error}", .path.display())]
    Unix {
        /// Where the socket is.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// TLS did not come about: the certificate is not believed, or the other end speaks something
    /// else.
    #[error("TLS with {host} failed: {error}")]
    Tls {
        /// The name or address that the server has to prove.
        host: String,
        /// What is wrong.
        #[source]
        error: io::Error,
    },
    /// A `wss://` URL, and this build has no TLS.
    #[error("{0} needs TLS: build with the feature `tls`, or use ws://")]
    NoTls(String),
    /// The deadline of the handshake, which covers everything from the lookup on.
    #[error("{host}: {stage} was not over within {limit:?}")]
    Timeout {
        /// The server.
        host: String,
        /// What was being done.
        stage: Stage,
        /// The limit, [`Timeouts::handshake`](crate::Timeouts::handshake).
        limit: Duration,
    },
    /// The server answered, but not as it has to; the text ends with the clause.
    #[error("{url}: {error} ({})", .error.clause())]
    Answer {
        /// The URL that was asked for.
        url: String,
        /// The header, status or byte that is wrong.
        #[source]
        error: HandshakeError,
        /// The answer with its header fields, such as `WWW-Authenticate` or `Retry-After`, if its
        /// head could be read. Its body is not read.
        response: Option<Response>,
    },
    /// The server points elsewhere, and this client does not go there.
    #[error("{url} answered with status {status} and points to {location:?}: {problem}")]
    Redirect {
        /// The URL that was asked for.
        url: String,
        /// The status of the answer.
        status: u16,
        /// Its `Location`.
        location: String,
        /// Why it is not followed.
        #[source]
        problem: RedirectError,
        /// The answer with its header fields.
        response: Option<Response>,
    },
    /// The stream ended before the handshake did.
    #[error("{url}: the connection ended before it was open: {closed}")]
    Closed {
        /// The URL that was asked for.
        url: String,
        /// How it ended.
        #[source]
        closed: Arc<Closed>,
    },
}

impl ConnectError {
    /// Whether the same attempt may succeed later: the name, the host or the network was not
    /// there, somebody took too long, or the server was overloaded (408, 425, 429 and 5xx).
    /// Otherwise something has to change first.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Entropy(_)
            | Self::Lookup { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Unix { .. }
            | Self::Closed { .. } => true,
            // What breaks the rules of TLS does so again; a lost stream may not.
            Self::Tls { error, .. } => !matches!(
                error.kind(),
                ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::NotFound
            ),
            Self::Proxy { problem, .. } => problem.is_transient(),
            Self::Answer { error: HandshakeError::Status(status), .. } => {
                matches!(status, 408 | 425 | 429 | 500..=599)
            }
            _ => false,
        }
    }

    /// How long the server asks to be left alone: the `Retry-After` of its answer in whole seconds
    /// (RFC 9110 section 10.2.3). `None` when it does not ask, or names a date instead.
    pub fn retry_after(&self) -> Option<Duration> {
        let Self::Answer { response: Some(response), .. } = self else { return None };
        let seconds = response.headers().text("Retry-After")?;
        // A sign, which `parse` would take, makes it something else.
        if !seconds.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        seconds.parse().ok().map(Duration::from_secs)
    }
}

/// An option of a [`Client`](crate::Client) that makes no sense.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOption {
    /// A limit or a timeout.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A header, the origin or a subprotocol.
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    /// The URL or the credentials of the proxy.
    #[error(transparent)]
    Proxy(#[from] InvalidProxy),
}

/// A step on the way to a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Stage {
    /// The name is looked up.
    Lookup,
    /// The system connects.
    Connect,
    /// The proxy is asked to pass the connection on.
    Proxy,
    /// TLS shakes hands.
    Tls,
    /// WebSocket shakes hands.
    Handshake,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lookup => "looking up the name",
            Self::Connect => "connecting",
            Self::Proxy => "the talk with the proxy",
            Self::Tls => "the TLS handshake",
            Self::Handshake => "the WebSocket handshake",
        })
    }
}

/// Shows each address with its error.
struct Failures<'a>(&'a [(SocketAddr, io::Error)]);

impl fmt::Display for Failures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (address, error)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{address}: {error}")?;
        }
        Ok(())
    }
}
