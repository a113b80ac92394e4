use super::grammar::is_token_byte;
use super::headers::Headers;
use crate::{HandshakeError, Limits};

/// The first line of a head, read byte by byte so that a wrong byte fails at once.
pub(crate) trait FirstLine: Copy + Default {
    /// Takes the byte at offset `at`; answers whether it was the last of the line.
    fn take(&mut self, byte: u8, at: usize, limits: &Limits) -> Result<bool, HandshakeError>;

    /// The same for a usual line that `head` has whole, and its length. `None` decides nothing.
    fn whole(_head: &[u8], _limits: &Limits) -> Option<(Self, usize)> {
        None
    }
}

/// `METHOD SP target SP HTTP/d.d CRLF`, exactly (RFC 9112 section 3).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RequestLine {
    part: Part,
    /// How many bytes in front are those of `HEAD` and the blank behind it.
    like_head: u8,
    /// Where the method ends.
    pub(super) method_end: u32,
    /// Where the target ends; it starts one byte behind the method.
    pub(super) target_end: u32,
    pub(crate) http: HttpVersion,
}

#[derive(Clone, Copy, Debug, Default)]
enum Part {
    #[default]
    Method,
    Target,
    /// The version and the line end, with the offset in it.
    Rest(u8),
}

/// The method whose answers have no content, up to where it is sure to be that.
const HEAD: &[u8] = b"HEAD ";

/// Longer than any registered method.
const MAX_METHOD: usize = 32;

/// The first byte of a TLS connection: a record that carries a handshake message.
const TLS_HANDSHAKE: u8 = 0x16;

impl FirstLine for RequestLine {
    fn take(&mut self, byte: u8, at: usize, limits: &Limits) -> Result<bool, HandshakeError> {
        if usize::from(self.like_head) == at && HEAD.get(at) == Some(&byte) {
            self.like_head += 1;
        }
        let good = match self.part {
            Part::Method if at == 0 && byte == TLS_HANDSHAKE => return Err(HandshakeError::Tls),
            Part::Method if at > 0 && byte == b' ' => {
                self.method_end = at as u32;
                self.part = Part::Target;
                true
            }
            Part::Method => is_token_byte(byte) && at < MAX_METHOD,
            Part::Target if byte == b' ' => {
                self.target_end = at as u32;
                self.part = Part::Rest(0);
                at > self.target_start()
            }
            Part::Target if at - self.target_start() >= limits.max_uri => {
                return Err(HandshakeError::UriTooLong(limits.max_uri));
            }
            Part::Target => byte.is_ascii_graphic(),
            Part::Rest(8) if byte == b'\r' => {
                self.part = Part::Rest(9);
                true
            }
            Part::Rest(9) if byte == b'\n' => return Ok(true),
            Part::Rest(offset) => {
                self.part = Part::Rest(offset + 1);
                self.http.take(byte, offset.into())?
            }
        };
        if good { Ok(false) } else { Err(HandshakeError::RequestLine { at, byte }) }
    }

    fn whole(head: &[u8], limits: &Limits) -> Option<(Self, usize)> {
        const METHOD: &[u8] = b"GET";
        const REST: &[u8] = b" HTTP/1.1\r\n";
        let behind = head.strip_prefix(METHOD)?.strip_prefix(b" ")?;
        let target = behind.iter().position(|byte| !byte.is_ascii_graphic())?;
        if target == 0 || target > limits.max_uri || !behind.get(target..)?.starts_with(REST) {
            return None;
        }
        let target_end = METHOD.len() + 1 + target;
        let line = Self {
            part: Part::Rest(9),
            like_head: 0,
            method_end: METHOD.len() as u32,
            target_end: target_end as u32,
            http: HttpVersion { major: 1, minor: 1 },
        };
        Some((line, target_end + REST.len()))
    }
}

impl RequestLine {
    /// Whether the method is HEAD, as far as the line was read.
    pub(crate) fn is_head(&self) -> bool {
        usize::from(self.like_head) == HEAD.len()
    }

    /// The target in the head that begins with this line.
    pub(crate) fn target<'a>(&self, headers: &'a Headers) -> &'a [u8] {
        headers.head().get(self.target_start()..self.target_end as usize).unwrap_or_default()
    }

    fn target_start(&self) -> usize {
        self.method_end as usize + 1
    }
}

/// `HTTP/d.d SP ddd [SP phrase] CRLF` (RFC 9112 section 4).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StatusLine {
    cr: bool,
    pub(crate) http: HttpVersion,
    pub(crate) status: u16,
}

impl FirstLine for StatusLine {
    fn take(&mut self, byte: u8, at: usize, _: &Limits) -> Result<bool, HandshakeError> {
        let good = match at {
            ..=7 => self.http.take(byte, at)?,
            8 => byte == b' ',
            9..=11 => {
                self.status = self.status * 10 + u16::from(byte.wrapping_sub(b'0'));
                byte.is_ascii_digit()
            }
            _ if self.cr => byte == b'\n',
            12 => matches!(byte, b' ' | b'\r'),
            _ => !byte.is_ascii_control() || matches!(byte, b'\t' | b'\r'),
        };
        let end = self.cr;
        self.cr = at >= 12 && byte == b'\r';
        if good { Ok(end) } else { Err(HandshakeError::StatusLine { at, byte }) }
    }
}

/// The digits of `HTTP/d.d`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HttpVersion {
    major: u8,
    pub(crate) minor: u8,
}

impl HttpVersion {
    /// Takes the byte at `offset` of `HTTP/d.d`; answers whether it may stand there.
    fn take(&mut self, byte: u8, offset: usize) -> Result<bool, HandshakeError> {
        match offset {
            5 => self.major = byte.wrapping_sub(b'0'),
            7 => self.minor = byte.wrapping_sub(b'0'),
            _ => return Ok(b"HTTP/d.".get(offset) == Some(&byte)),
        }
        if !byte.is_ascii_digit() {
            return Ok(false);
        }
        if offset == 7 && self.major != 1 {
            return Err(self.refused());
        }
        Ok(true)
    }

    /// The error that this version deserves where it is not good enough.
    pub(crate) fn refused(self) -> HandshakeError {
        HandshakeError::HttpVersion { major: self.major, minor: self.minor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<L: FirstLine>(line: &[u8]) -> Result<(L, usize), HandshakeError> {
        let limits = Limits { max_uri: 8, ..Limits::default() };
        let mut first = L::default();
        for (at, byte) in line.iter().enumerate() {
            if first.take(*byte, at, &limits)? {
                return Ok((first, at + 1));
            }
        }
        panic!("\"{}\" did not end", line.escape_ascii());
    }

    fn wrong(line: &[u8]) -> HandshakeError {
        read::<RequestLine>(line).map(|(_, end)| end).unwrap_err()
    }

    #[test]
    fn request_lines_are_taken_apart() {
        let (line, end) = read::<RequestLine>(b"GET /12345?7 HTTP/1.0\r\nHost").unwrap();
        assert_eq!((line.method_end, line.target_end, end), (3, 12, 23));
        assert_eq!((line.http.major, line.http.minor), (1, 0));
    }

    #[test]
    fn head_is_known_as_soon_as_it_is_there() {
        for (line, head) in [
            ("HEAD / HTTP/1.1\r\n", true),
            ("HEADS / HTTP/1.1\r\n", false),
            ("HEA / HTTP/1.1\r\n", false),
            ("head / HTTP/1.1\r\n", false),
            ("AHEAD HEAD HTTP/1.1\r\n", false),
            ("GET / HTTP/1.1\r\n", false),
        ] {
            assert_eq!(read::<RequestLine>(line.as_bytes()).unwrap().0.is_head(), head, "{line}");
        }
        let mut begun = RequestLine::default();
        for (at, byte) in b"HEAD ".iter().enumerate() {
            assert!(!begun.is_head());
            begun.take(*byte, at, &Limits::default()).unwrap();
        }
        assert!(begun.is_head());
    }

    #[test]
    fn control_bytes_before_the_request_line_are_refused_not_skipped() {
        for line in ["\r\nGET / HTTP/1.1\r\n", "\0GET / HTTP/1.1\r\n", " GET / HTTP/1.1\r\n"] {
            let byte = line.as_bytes()[0];
            assert_eq!(wrong(line.as_bytes()), HandshakeError::RequestLine { at: 0, byte });
        }
    }

    #[test]
    fn every_deviation_is_named_with_its_place() {
        for (line, at) in [
            ("GET  / HTTP/1.1\r\n", 4),
            ("GET /  HTTP/1.1\r\n", 6),
            ("GET / http/1.1\r\n", 6),
            ("GET / HTTP/1.1\n", 14),
            ("GET / HTTP/1.1 \r\n", 14),
            ("GET / HTTP/1.11\r\n", 14),
            ("GET / HTTP/1.1\r\r\n", 15),
            ("GET / HTTP/1\r\n", 12),
            ("GET /\r\n", 5),
            ("GET\r\n", 3),
            ("GET\t/ HTTP/1.1\r\n", 3),
            ("GET /\x7F HTTP/1.1\r\n", 5),
            ("GET /é HTTP/1.1\r\n", 5),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n", 32),
        ] {
            let byte = line.as_bytes()[at];
            assert_eq!(
                wrong(line.as_bytes()),
                HandshakeError::RequestLine { at, byte },
                "{line:?}"
            );
        }
    }

    #[test]
    fn other_protocols_are_told_at_once() {
        assert_eq!(wrong(&[0x16, 3, 1]), HandshakeError::Tls);
        let http2 = HandshakeError::HttpVersion { major: 2, minor: 0 };
        assert_eq!(wrong(b"PRI * HTTP/2.0"), http2);
    }

    #[test]
    fn the_target_may_be_as_long_as_the_limit() {
        assert!(read::<RequestLine>(b"GET /2345678 HTTP/1.1\r\n").is_ok());
        assert_eq!(wrong(b"GET /23456789"), HandshakeError::UriTooLong(8));
    }

    #[test]
    fn status_lines_are_read() {
        for line in ["HTTP/1.1 101\r\n", "HTTP/1.1 101 \r\n", "HTTP/1.0 101 a \tb\u{e9}\r\n"] {
            let (status, end) = read::<StatusLine>(line.as_bytes()).unwrap();
            assert_eq!((status.status, end), (101, line.len()), "{line:?}");
        }
        for (line, at) in [
            ("HTTP/1.1  101\r\n", 9),
            ("HTTP/1.1 10\r\n", 11),
            ("HTTP/1.1 1010\r\n", 12),
            ("HTTP/1.1 101\n", 12),
            ("HTTP/1.1 101 a\0\r\n", 14),
            ("HTTP/1.1 101 a\rb\r\n", 15),
            ("ICY 101\r\n", 0),
        ] {
            let error = HandshakeError::StatusLine { at, byte: line.as_bytes()[at] };
            assert_eq!(read::<StatusLine>(line.as_bytes()).unwrap_err(), error, "{line:?}");
        }
    }
}
