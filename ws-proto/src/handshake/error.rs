use alloc::string::String;

/// A rule of the handshake that the peer broke. Each variant knows its HTTP status and its clause.
///
/// What the peer sent is cut to 64 characters, and shown escaped.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The client speaks TLS to a port that does not.
    #[error("the client speaks TLS to a plain port: use ws://, or end TLS before this port")]
    Tls,
    /// The request line is not `METHOD target HTTP/1.1`, with one blank between each.
    #[error(
        "byte {byte:#04x} at offset {at} of the request line is wrong there: \
         send `GET /path HTTP/1.1`"
    )]
    RequestLine {
        /// Offset of the byte.
        at: usize,
        /// The byte.
        byte: u8,
    },
    /// The status line is not `HTTP/1.1 101 phrase`.
    #[error(
        "byte {byte:#04x} at offset {at} of the status line is wrong there: \
         is this an HTTP server?"
    )]
    StatusLine {
        /// Offset of the byte.
        at: usize,
        /// The byte.
        byte: u8,
    },
    /// A version of HTTP without a way to upgrade. HTTP/1.0 is answered as any request that does not
    /// ask for one is, with 426: its `Upgrade` is to be ignored (RFC 9110 section 7.8).
    #[error("HTTP/{major}.{minor} has no upgrade to WebSocket: send HTTP/1.1")]
    HttpVersion {
        /// The x of HTTP/x.y.
        major: u8,
        /// The y of HTTP/x.y.
        minor: u8,
    },
    /// A header line without a carriage return before its line feed.
    #[error("a header line ends in a bare line feed: end it with CR LF")]
    BareLineFeed,
    /// A header line that goes on in the next one.
    #[error("a header is folded over two lines: put it on one")]
    FoldedHeader,
    /// A header line without a token and a colon in front.
    #[error("the header line {0:?} does not begin with a name and a colon")]
    HeaderName(String),
    /// A header value with a control byte; the name is given.
    #[error("the value of the header {0:?} has a control byte")]
    HeaderValue(String),
    /// The head is over [`Limits::max_head`](crate::Limits::max_head).
    #[error("the head is longer than {0} bytes: send fewer headers or smaller cookies")]
    HeadTooLong(usize),
    /// The target is over [`Limits::max_uri`](crate::Limits::max_uri).
    #[error("the request target is longer than {0} bytes: send less in the query")]
    UriTooLong(usize),
    /// The fields are over [`Limits::max_headers`](crate::Limits::max_headers).
    #[error("the head has more than {0} headers: send fewer")]
    TooManyHeaders(usize),

    /// A request for something else than a WebSocket.
    #[error("this is a WebSocket server: send `Upgrade: websocket`")]
    NoUpgrade,
    /// The method is not GET.
    #[error("the method {0:?} opens no WebSocket: use GET")]
    Method(String),
    /// A WebSocket is asked for, but not which version.
    #[error("the request names no WebSocket version: send Sec-WebSocket-Version and -Key")]
    NoVersion,
    /// A version that is not spoken, or not known at all.
    #[error("the client asks for WebSocket version {0:?}, which is not spoken here")]
    UnsupportedVersion(String),
    /// WebSocket headers without the upgrade they belong to, as proxies leave them.
    #[error("`Upgrade: websocket` is missing: if a proxy is in between, let it pass Upgrade on")]
    UpgradeMissing,
    /// `Connection` does not name `Upgrade`.
    #[error("`Connection: Upgrade` is missing: if a proxy is in between, let it send this")]
    ConnectionMissing,
    /// A header that must be there is not.
    #[error("the header {0} is missing")]
    Missing(&'static str),
    /// A header that may be there once is there again.
    #[error("the header {0} is there more than once")]
    Duplicate(&'static str),
    /// The target is neither a path nor a URL of the host that `Host` names.
    #[error("the request target {0:?} is no path of this host")]
    InvalidTarget(String),
    /// `Host` is not a host with an optional port.
    #[error("the Host {0:?} is not `host` or `host:port`")]
    InvalidHost(String),
    /// `Origin` has bytes that no origin has.
    #[error("the Origin {0:?} is not printable ASCII")]
    InvalidOrigin(String),
    /// `Sec-WebSocket-Key` is not the base64 of 16 bytes.
    #[error("Sec-WebSocket-Key {0:?} is not the base64 of 16 bytes")]
    InvalidKey(String),
    /// draft76: a key without a digit.
    #[error("{0} has no digit")]
    KeyWithoutDigits(&'static str),
    /// draft76: a key without a blank, by which its number would be divided.
    #[error("{0} has no blank in it")]
    KeyWithoutSpaces(&'static str),
    /// draft76: the digits of a key make a number over 4,294,967,295.
    #[error("the number in {0} does not fit in 32 bits")]
    KeyTooLarge(&'static str),
    /// draft76: the number of a key is not a multiple of its blanks.
    #[error("the number in {0} is not a multiple of the blanks in it")]
    KeyNotDivisible(&'static str),
    /// A request with a body.
    #[error(
        "a request for a WebSocket has no body: leave out Content-Length and Transfer-Encoding"
    )]
    Body,
    /// The origin policy refuses this origin.
    #[error(
        "the origin {0:?} may not connect: add it to the origin policy if it should, and let a \
         proxy, if there is one, pass Host on"
    )]
    OriginRefused(String),
    /// The origin policy wants an origin.
    #[error("a request without Origin may not connect: the origin policy requires one")]
    OriginRequired,
    /// `Sec-WebSocket-Protocol` is not a list of tokens, or in the drafts not printable ASCII.
    #[error("the subprotocol {0:?} has bytes that no subprotocol has")]
    InvalidSubprotocol(String),
    /// `Sec-WebSocket-Extensions` is not a list of extensions with parameters; the first that is
    /// wrong is given.
    #[error("the extension {0:?} is not written as `name; parameter=value`")]
    InvalidExtensions(String),
    /// The subprotocol policy wants one of its subprotocols offered.
    #[error("the client offers none of the subprotocols that are required here")]
    SubprotocolRequired,
    /// A draft75 or draft76 client asks for a subprotocol that is not spoken, and would give up
    /// when its answer does not have it.
    #[error("the client asks for the subprotocol {0:?}, which is not spoken here")]
    SubprotocolNotSpoken(String),

    /// The server refuses, and not for the version.
    #[error("the server answered with status {0} and not with 101: check the URL and the origin")]
    Status(u16),
    /// The server sends the client elsewhere. `location` is whole, and as long as the head may be.
    #[error("the server answered with status {status} and not with 101: it points to {location:?}")]
    Redirect {
        /// The status of the answer: 301, 302, 303, 307 or 308.
        status: u16,
        /// Its `Location`: a URL, or a reference relative to the one that was asked for.
        location: String,
    },
    /// The server refuses and lists the versions it speaks.
    #[error("the server answered with status {status}: it speaks WebSocket versions {versions:?}")]
    VersionRefused {
        /// The status of the answer.
        status: u16,
        /// Its `Sec-WebSocket-Version`.
        versions: String,
    },
    /// draft75: the answer does not begin with the bytes that the draft fixes.
    #[error("the answer does not begin as draft75 has it: does the server speak another version?")]
    WrongPreamble,
    /// draft76: `Upgrade` or `Connection` in the answer is not the one value that the draft allows.
    #[error("the {header} of a draft76 answer is {value:?} and not {wanted:?}")]
    NotAsDraft76 {
        /// The name of the header.
        header: &'static str,
        /// What it says, shortened.
        value: String,
        /// What it has to say.
        wanted: &'static str,
    },
    /// hybi and RFC 6455: `Upgrade` in the answer is not `websocket`.
    #[error("the answer upgrades to {0:?} and not to WebSocket")]
    WrongUpgrade(String),
    /// hybi and RFC 6455: `Connection` in the answer does not say Upgrade.
    #[error("the Connection of the answer is {0:?} and does not say Upgrade")]
    WrongConnection(String),
    /// `Sec-WebSocket-Accept` was not made from the key that was sent.
    #[error("Sec-WebSocket-Accept does not fit the key: is this an old answer from a cache?")]
    WrongAccept,
    /// draft76: the 16 bytes behind the answer were not made from the keys that were sent.
    #[error("the 16 bytes behind the answer do not fit the keys")]
    WrongChallenge,
    /// draft75 and draft76: a header of the answer does not repeat what the client asked for.
    #[error("the answer has {header} {answered:?}, but {expected:?} was asked for")]
    WrongEcho {
        /// The name of the header.
        header: &'static str,
        /// What it has to be.
        expected: String,
        /// What it is.
        answered: String,
    },
    /// The answer names a subprotocol that was not offered.
    #[error("the answer has the subprotocol {0:?}, which was not offered")]
    SubprotocolNotOffered(String),
    /// The answer names an extension that was not offered.
    #[error("the answer has the extension {0:?}, which was not offered")]
    ExtensionNotOffered(String),
    /// The answer takes the offer of permessage-deflate in a way that it does not allow.
    #[error("Sec-WebSocket-Extensions of the answer: {parameter:?} {problem}")]
    DeflateAnswer {
        /// The parameter that is wrong, or the whole element.
        parameter: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl HandshakeError {
    /// The status that the client is told, or `None` for a fault that only an answer can have. A
    /// request that is refused for such a one all the same is answered with 500.
    pub const fn status(&self) -> Option<u16> {
        Some(match self {
            Self::OriginRefused(_) | Self::OriginRequired => 403,
            Self::Method(_) => 405,
            Self::UriTooLong(_) => 414,
            Self::NoUpgrade
            | Self::NoVersion
            | Self::UnsupportedVersion(_)
            | Self::HttpVersion { major: 1, .. } => 426,
            Self::HeadTooLong(_) | Self::TooManyHeaders(_) => 431,
            Self::HttpVersion { .. } => 505,
            Self::StatusLine { .. }
            | Self::Status(_)
            | Self::Redirect { .. }
            | Self::VersionRefused { .. }
            | Self::WrongPreamble
            | Self::NotAsDraft76 { .. }
            | Self::WrongUpgrade(_)
            | Self::WrongConnection(_)
            | Self::WrongAccept
            | Self::WrongChallenge
            | Self::WrongEcho { .. }
            | Self::SubprotocolNotOffered(_)
            | Self::ExtensionNotOffered(_)
            | Self::DeflateAnswer { .. } => return None,
            _ => 400,
        })
    }

    /// The clause that the peer broke, as `document section`.
    pub fn clause(&self) -> &'static str {
        match self {
            Self::Tls => "RFC 6455 section 3",
            Self::RequestLine { .. } => "RFC 9112 section 3",
            Self::StatusLine { .. } => "RFC 9112 section 4",
            Self::BareLineFeed => "RFC 9112 section 2.2",
            Self::FoldedHeader => "RFC 9112 section 5.2",
            Self::HeaderName(_) => "RFC 9112 section 5.1",
            Self::HeaderValue(_) => "RFC 9110 section 5.5",
            Self::HeadTooLong(_) | Self::TooManyHeaders(_) => "RFC 6585 section 5",
            Self::UriTooLong(_) => "RFC 9110 section 15.5.15",
            Self::NoUpgrade => "RFC 9110 section 15.5.22",
            Self::InvalidHost(_) => "RFC 9112 section 3.2",
            Self::InvalidTarget(_) => "RFC 9112 section 3.2.2",
            Self::InvalidOrigin(_) => "RFC 6454 section 7",
            Self::OriginRefused(_) | Self::OriginRequired => "RFC 6455 section 10.2",
            Self::NoVersion | Self::UnsupportedVersion(_) => "RFC 6455 section 4.4",
            Self::InvalidExtensions(_) => "RFC 6455 section 9.1",
            Self::KeyWithoutDigits(_)
            | Self::KeyWithoutSpaces(_)
            | Self::KeyTooLarge(_)
            | Self::KeyNotDivisible(_) => "draft-hixie-76 section 5.2",
            Self::WrongPreamble => "draft-hixie-75 section 3.1",
            Self::SubprotocolNotSpoken(_)
            | Self::WrongChallenge
            | Self::WrongEcho { .. }
            | Self::NotAsDraft76 { .. } => "draft-hixie-76 section 4.1",
            Self::HttpVersion { .. }
            | Self::Method(_)
            | Self::UpgradeMissing
            | Self::ConnectionMissing
            | Self::InvalidKey(_)
            | Self::Body
            | Self::InvalidSubprotocol(_)
            | Self::SubprotocolRequired => "RFC 6455 section 4.2.1",
            Self::Missing(header) | Self::Duplicate(header) => clause_of(header),
            Self::Status(_)
            | Self::Redirect { .. }
            | Self::VersionRefused { .. }
            | Self::WrongUpgrade(_)
            | Self::WrongConnection(_)
            | Self::WrongAccept
            | Self::SubprotocolNotOffered(_)
            | Self::ExtensionNotOffered(_) => "RFC 6455 section 4.1",
            Self::DeflateAnswer { parameter, .. } => clause_of_parameter(parameter),
        }
    }
}

/// Which clause says what a parameter of permessage-deflate means.
fn clause_of_parameter(parameter: &str) -> &'static str {
    const CLAUSES: [(&str, &str); 4] = [
        ("server_no_context_takeover", "RFC 7692 section 7.1.1.1"),
        ("client_no_context_takeover", "RFC 7692 section 7.1.1.2"),
        ("server_max_window_bits", "RFC 7692 section 7.1.2.1"),
        ("client_max_window_bits", "RFC 7692 section 7.1.2.2"),
    ];
    let of = CLAUSES.iter().find(|(name, _)| parameter.starts_with(name));
    of.map_or("RFC 7692 section 7.1", |(_, clause)| clause)
}

/// Which document says that a header is there exactly once.
fn clause_of(header: &str) -> &'static str {
    match header {
        "Host" => "RFC 9112 section 3.2",
        "Content-Length" => "RFC 9110 section 8.6",
        "Origin" => "RFC 6454 section 7.3",
        "WebSocket-Origin" | "WebSocket-Location" | "WebSocket-Protocol" => {
            "draft-hixie-75 section 3.1"
        }
        "Sec-WebSocket-Key1" | "Sec-WebSocket-Key2" => "draft-hixie-76 section 5.2",
        "Sec-WebSocket-Location" => "draft-hixie-76 section 4.1",
        _ => "RFC 6455 section 11.3",
    }
}
