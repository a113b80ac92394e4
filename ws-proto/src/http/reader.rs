use alloc::vec::Vec;

use memchr::memchr;

use super::first_line::{FirstLine, RequestLine};
use super::grammar::{excerpt, is_value, token_len, value_len};
use super::headers::Headers;
use super::lines::{Index, Place, Starts};
use crate::{HandshakeError, Limits, RecvBuf};

/// A complete head.
#[derive(Debug)]
pub(crate) struct Head<L> {
    pub(crate) line: L,
    pub(crate) headers: Headers,
    /// Which of them is where.
    index: Index,
}

impl<L> Head<L> {
    /// As [`Headers::single`], and faster.
    pub(crate) fn single(&self, name: &'static str) -> Result<Option<&[u8]>, HandshakeError> {
        match self.index.find(name) {
            Place::Nowhere => Ok(None),
            Place::At(index) => Ok(self.headers.at(index, name)),
            Place::Anywhere => self.headers.single(name),
        }
    }

    /// As [`Headers::required`], and faster.
    pub(crate) fn required(&self, name: &'static str) -> Result<&[u8], HandshakeError> {
        self.single(name)?.ok_or(HandshakeError::Missing(name))
    }

    /// As [`Headers::get_all`], and faster.
    pub(crate) fn get_all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let (first, all) = match self.index.find(name) {
            Place::Nowhere => (None, None),
            Place::At(index) => (self.headers.at(index, name), None),
            Place::Anywhere => (None, Some(self.headers.get_all(name))),
        };
        first.into_iter().chain(all.into_iter().flatten())
    }

    /// As [`Headers::contains`], and faster.
    pub(crate) fn contains(&self, name: &str) -> bool {
        match self.index.find(name) {
            Place::Nowhere => false,
            Place::At(index) => self.headers.at(index, name).is_some(),
            Place::Anywhere => self.headers.contains(name),
        }
    }
}

impl Head<RequestLine> {
    pub(crate) fn method(&self) -> &[u8] {
        self.headers.head().get(..self.line.method_end as usize).unwrap_or_default()
    }

    pub(crate) fn target(&self) -> &[u8] {
        self.line.target(&self.headers)
    }

    /// Makes the head of a request that was read elsewhere, under the same rules.
    pub(crate) fn from_parts<'a>(
        method: &str,
        target: &str,
        minor: u8,
        fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        limits: &Limits,
    ) -> Result<Self, HandshakeError> {
        let first = alloc::format!("{method} {target} HTTP/1.{minor}\r\n");
        let mut head = first.into_bytes();
        for (name, value) in fields {
            let start = head.len();
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            // Before the line end is there, so that no value can hold one.
            check_field(head.get(start..).unwrap_or_default())?;
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        let mut parser = Parser::<RequestLine>::default();
        let end = parser.parse(&head, limits)?;
        let RequestLine { method_end, target_end, .. } = parser.line;
        let first_line = (method_end as usize, target_end as usize);
        // A method or target with a blank or a line end in it would make the lines others.
        if first_line != (method.len(), method.len() + 1 + target.len()) || end != Some(head.len())
        {
            return Err(HandshakeError::RequestLine { at: first_line.0, byte: b' ' });
        }
        Ok(parser.finish(&head))
    }
}

/// Collects a head from reads of any size. The work is linear in the bytes, however they are cut.
#[derive(Debug, Default)]
pub(crate) struct HeadReader<L> {
    /// What was taken from the input so far; empty when the head comes in one piece.
    held: Vec<u8>,
    parser: Parser<L>,
}

impl<L: FirstLine> HeadReader<L> {
    /// Reads on. Bytes behind the head stay in the input.
    pub(crate) fn poll(
        &mut self,
        input: &mut RecvBuf,
        limits: &Limits,
    ) -> Result<Option<Head<L>>, HandshakeError> {
        let before = self.held.len();
        let unread = input.unread();
        let taken = unread.len();
        // The usual head comes whole and is parsed where it is.
        let head = if before == 0 {
            unread
        } else {
            self.held.extend_from_slice(unread);
            &self.held
        };
        if let Some(len) = self.parser.parse(head, limits)? {
            let head = self.parser.finish(head.get(..len).unwrap_or_default());
            input.consume(len - before);
            return Ok(Some(head));
        }
        if before == 0 {
            self.held.extend_from_slice(unread);
        }
        input.consume(taken);
        Ok(None)
    }

    /// The first line, as far as it was read.
    pub(crate) fn line(&self) -> &L {
        &self.parser.line
    }
}

/// Reads the lines of a head that grows, each byte once.
#[derive(Debug, Default)]
struct Parser<L> {
    line: L,
    /// Whether the first line is complete.
    begun: bool,
    /// Where the current line starts.
    start: usize,
    /// Up to where its end was looked for.
    scanned: usize,
    /// Where the lines behind the first one start.
    starts: Starts,
    index: Index,
}

impl<L: FirstLine> Parser<L> {
    /// Takes the head as far as it is there; answers its length when it is complete.
    ///
    /// A head longer than the limit is looked at up to the limit, so that what comes of it does
    /// not depend on how it was cut.
    fn parse(&mut self, head: &[u8], limits: &Limits) -> Result<Option<usize>, HandshakeError> {
        let max_head = limits.max_head.min(u32::MAX as usize);
        let head = head.get(..max_head).unwrap_or(head);
        if !self.begun {
            self.first_line(head, limits)?;
        }
        while self.begun {
            let line = head.get(self.start..).unwrap_or_default();
            if line.starts_with(b"\r\n") {
                self.starts.push(self.start);
                return Ok(Some(self.start + 2));
            }
            // What was looked at before is not all there.
            let whole = if self.scanned == self.start { whole_field(line) } else { None };
            let (name, end) = match whole {
                Some((name, len)) => (name, self.start + len),
                // Nor is this, or it is another kind of line.
                None => match self.scan(head)? {
                    None => break,
                    Some(field) => field,
                },
            };
            if self.starts.len() == limits.max_headers {
                return Err(HandshakeError::TooManyHeaders(limits.max_headers));
            }
            self.index.add(name, self.starts.len());
            self.starts.push(self.start);
            (self.start, self.scanned) = (end, end);
        }
        if head.len() == max_head {
            return Err(HandshakeError::HeadTooLong(max_head));
        }
        Ok(None)
    }

    /// Looks for the end of the line, and at what is in it then: answers the name of the field, and
    /// where the next line starts.
    #[inline(never)]
    fn scan<'a>(&mut self, head: &'a [u8]) -> Result<Option<(&'a [u8], usize)>, HandshakeError> {
        let unscanned = head.get(self.scanned..).unwrap_or_default();
        let Some(at) = memchr(b'\n', unscanned) else {
            self.scanned = head.len();
            return Ok(None);
        };
        let end = self.scanned + at;
        let line = head.get(self.start..end).unwrap_or_default();
        let Some(line) = line.strip_suffix(b"\r") else {
            return Err(HandshakeError::BareLineFeed);
        };
        Ok(Some((check_field(line)?, end + 1)))
    }

    fn first_line(&mut self, head: &[u8], limits: &Limits) -> Result<(), HandshakeError> {
        if self.scanned == 0
            && let Some((line, len)) = L::whole(head, limits)
        {
            self.line = line;
            self.begin(len);
            return Ok(());
        }
        for byte in head.get(self.scanned..).unwrap_or_default() {
            let at = self.scanned;
            self.scanned += 1;
            if self.line.take(*byte, at, limits)? {
                self.begin(self.scanned);
                break;
            }
        }
        Ok(())
    }

    /// The first line ends before `start`.
    fn begin(&mut self, start: usize) {
        self.begun = true;
        (self.start, self.scanned) = (start, start);
    }

    fn finish(&mut self, head: &[u8]) -> Head<L> {
        let Self { line, starts, index, .. } = core::mem::take(self);
        self.line = line;
        Head { line, headers: Headers::new(head, &starts), index }
    }
}

/// A field that `lines` begin with, if it is there with its line end and nothing is wrong with it:
/// its name and the length of the line.
fn whole_field(lines: &[u8]) -> Option<(&[u8], usize)> {
    let (name, rest) = lines.split_at_checked(token_len(lines))?;
    let value = rest.strip_prefix(b":").filter(|_| !name.is_empty())?;
    let end = value_len(value);
    let ends = value.get(end..)?.starts_with(b"\r\n");
    ends.then(|| (name, name.len() + 1 + end + 2))
}

/// `name ":" value` without a blank before the colon and without folding (RFC 9112 section 5).
/// Answers the name.
fn check_field(line: &[u8]) -> Result<&[u8], HandshakeError> {
    match line.split_at_checked(token_len(line)) {
        Some((name @ [_, ..], [b':', value @ ..])) if is_value(value) => Ok(name),
        Some((name @ [_, ..], [b':', ..])) => Err(HandshakeError::HeaderValue(excerpt(name))),
        _ => Err(no_name(line)),
    }
}

/// What is wrong in front of the colon.
#[cold]
fn no_name(line: &[u8]) -> HandshakeError {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return HandshakeError::FoldedHeader;
    }
    let name = memchr(b':', line).and_then(|colon| line.get(..colon));
    HandshakeError::HeaderName(excerpt(name.unwrap_or(line)))
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString};

    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "GET /chat?x HTTP/1.1\r\nHost: example.org\r\nX-Empty:\r\ncookie: a=1 \r\n\
                        X-Raw:  \t two \r\nCookie:\tb=2\r\n\r\n";

    const NAMES: [&str; 7] =
        ["Host", "Origin", "ORIGIN", "Accept-Encoding", "Accept-Language", "Cookie", "X"];

    type HeadAndRest = (Head<RequestLine>, Vec<u8>);

    /// Feeds the bytes in pieces that end at `cuts`; answers the head and what is left.
    fn read_cut(
        bytes: &[u8],
        cuts: &[usize],
        limits: &Limits,
    ) -> Result<Option<HeadAndRest>, HandshakeError> {
        let mut reader = HeadReader::default();
        let mut input = RecvBuf::with_capacity(bytes.len());
        let mut start = 0;
        for end in cuts.iter().copied().chain([bytes.len()]) {
            let piece = bytes.get(start..end).unwrap_or_default();
            assert_eq!(input.feed(piece), piece.len());
            start = start.max(end);
            if let Some(head) = reader.poll(&mut input, limits)? {
                return Ok(Some((head, [input.unread(), &bytes[start..]].concat())));
            }
        }
        Ok(None)
    }

    fn read(bytes: &str, limits: &Limits) -> Result<Head<RequestLine>, HandshakeError> {
        let every_byte: Vec<_> = (0..bytes.len()).collect();
        let [whole, cut] = [&[][..], &every_byte]
            .map(|cuts| read_cut(bytes.as_bytes(), cuts, limits).map(|head| head.map(|(h, _)| h)));
        assert_eq!(format!("{whole:?}"), format!("{cut:?}"), "{bytes:?}");
        whole.map(|head| head.expect("the head is complete"))
    }

    fn wrong(bytes: &str) -> HandshakeError {
        read(bytes, &Limits::default()).unwrap_err()
    }

    #[test]
    fn heads_keep_order_case_and_raw_values() {
        let head = read(HEAD, &Limits::default()).unwrap();
        assert_eq!((head.method(), head.target()), (b"GET".as_slice(), b"/chat?x".as_slice()));
        let headers = &head.headers;
        let fields: Vec<_> = headers.iter().collect();
        assert_eq!(fields[2], ("cookie", b"a=1".as_slice()));
        assert_eq!((headers.len(), fields.len()), (5, 5));
        assert_eq!(headers.get("COOKIE"), Some(b"a=1".as_slice()));
        assert_eq!(headers.get_all("Cookie").collect::<Vec<_>>(), [b"a=1", b"b=2"]);
        assert_eq!(headers.text("x-empty"), Some(""));
        assert_eq!(headers.raw("X-RAW").next(), Some(b"  \t two ".as_slice()));
        assert!(!headers.contains("Cook") && !headers.contains("Cookie:") && !headers.contains(""));
        assert_eq!(headers.single("Cookie"), Err(HandshakeError::Duplicate("Cookie")));
        assert_eq!(headers.required("Via"), Err(HandshakeError::Missing("Via")));
    }

    #[test]
    fn lines_that_two_parsers_could_read_differently_are_refused() {
        let first = "GET / HTTP/1.1\r\n";
        for (lines, error) in [
            ("Host: a\nX: b\r\n\r\n", HandshakeError::BareLineFeed),
            ("\n", HandshakeError::BareLineFeed),
            ("Host: a\r\n b\r\n\r\n", HandshakeError::FoldedHeader),
            ("\tHost: a\r\n\r\n", HandshakeError::FoldedHeader),
            ("Host : a\r\n\r\n", HandshakeError::HeaderName("Host ".into())),
            (": a\r\n\r\n", HandshakeError::HeaderName(String::new())),
            ("Host\r\n\r\n", HandshakeError::HeaderName("Host".into())),
            ("H\u{f6}st: a\r\n\r\n", HandshakeError::HeaderName("H\u{f6}st".into())),
            ("Host: a\rX: b\r\n\r\n", HandshakeError::HeaderValue("Host".into())),
            ("Host: a\0\r\n\r\n", HandshakeError::HeaderValue("Host".into())),
            ("Host: a\r\r\n\r\n", HandshakeError::HeaderValue("Host".into())),
        ] {
            assert_eq!(wrong(&[first, lines].concat()), error, "{lines:?}");
        }
    }

    #[test]
    fn every_limit_is_inclusive() {
        let limits =
            Limits { max_head: HEAD.len(), max_headers: 5, max_uri: 7, ..Limits::default() };
        assert!(read(HEAD, &limits).is_ok());
        let short = Limits { max_head: HEAD.len() - 1, ..limits.clone() };
        assert_eq!(read(HEAD, &short).unwrap_err(), HandshakeError::HeadTooLong(HEAD.len() - 1));
        let few = Limits { max_headers: 4, ..limits.clone() };
        assert_eq!(read(HEAD, &few).unwrap_err(), HandshakeError::TooManyHeaders(4));
        let narrow = Limits { max_uri: 6, ..limits };
        assert_eq!(read(HEAD, &narrow).unwrap_err(), HandshakeError::UriTooLong(6));
    }

    #[test]
    fn a_line_without_end_is_refused_at_the_limit() {
        let limits = Limits { max_head: 64, ..Limits::default() };
        for endless in ["GET / HTTP/1.1\r\nX: ", "GET / HTTP/1.1\r\nX"] {
            let head = format!("{endless}{}", "a".repeat(64));
            assert_eq!(read(&head, &limits).unwrap_err(), HandshakeError::HeadTooLong(64));
        }
    }

    #[test]
    fn an_ever_longer_head_is_read_once() {
        let mut reader = HeadReader::<RequestLine>::default();
        let mut input = RecvBuf::default();
        let endless = b"GET / HTTP/1.1\r\nA: b\r\nX: ".iter().chain([b'a'; 99].iter().cycle());
        for (index, byte) in endless.enumerate() {
            input.feed(&[*byte]);
            if let Err(error) = reader.poll(&mut input, &Limits::default()) {
                assert_eq!(error, HandshakeError::HeadTooLong(index + 1));
                return;
            }
            assert_eq!(reader.parser.scanned, index + 1, "nothing is looked at again");
        }
    }

    #[test]
    fn parts_make_the_head_that_they_came_from() {
        let read = read(HEAD, &Limits::default()).unwrap();
        let fields: Vec<_> = read.headers.iter().collect();
        let limits = Limits::default();
        let made = Head::from_parts("GET", "/chat?x", 1, fields, &limits).unwrap();
        assert_eq!(format!("{:?}", made.headers), format!("{:?}", read.headers));
        assert_eq!((made.method(), made.target()), (read.method(), read.target()));
    }

    #[test]
    fn parts_cannot_smuggle_lines() {
        let limits = Limits::default();
        let make = |method: &str, target: &str, name: &str, value: &str| {
            let fields = [(name, value.as_bytes())];
            Head::from_parts(method, target, 1, fields, &limits).map(|head| head.headers.len())
        };
        assert_eq!(make("GET", "/", "Host", "a"), Ok(1));
        for (method, target, name, value) in [
            ("GET / HTTP/1.1\r\nX:", "/", "Host", "a"),
            ("GET / HTTP/1.1\r\n\r\n", "/", "Host", "a"),
            ("GET /", "/", "Host", "a"),
            ("GET", "/ HTTP/1.1\r\nX: ", "Host", "a"),
            ("GET", "/ /", "Host", "a"),
            ("GET", "", "Host", "a"),
            ("GET", "/", "Host", "a\r\nX: b"),
            ("GET", "/", "Host", "a\r\n\r\n"),
            ("GET", "/", "Host: a\r\nX", "b"),
            ("GET", "/", "", "b"),
        ] {
            assert!(make(method, target, name, value).is_err(), "{method} {target} {name} {value}");
        }
    }

    /// Heads that are nearly right, so that many end in an error.
    fn heads() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            8 => "[A-Za-z-]{1,8}: ?[ -~]{0,20}\r\n",
            1 => "[ -~\\t\\r\\n\\x00]{0,12}\r\n",
        ];
        let method = prop_oneof![Just("GET".to_string()), "[A-Z ]{1,4}"];
        (method, "/[!-~]{0,12}", prop::collection::vec(line, 0..8)).prop_map(
            |(method, target, lines)| {
                format!("{method} {target} HTTP/1.1\r\n{}\r\nbehind", lines.concat())
            },
        )
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            head in heads(),
            mut cuts in prop::collection::vec(0_usize..200, 0..12),
            (max_head, max_uri, max_headers) in (40_usize..200, 4_usize..16, 1_usize..8),
        ) {
            cuts.sort_unstable();
            cuts.retain(|cut| *cut < head.len());
            let limits = Limits { max_head, max_uri, max_headers, ..Limits::default() };
            let whole = read_cut(head.as_bytes(), &[], &limits);
            let cut = read_cut(head.as_bytes(), &cuts, &limits);
            prop_assert_eq!(format!("{whole:?}"), format!("{cut:?}"));
        }

        /// `Origin` and `ORIGIN` are in one group, and so are `Accept-Encoding` and `Accept-Language`.
        #[test]
        fn what_is_found_fast_is_what_a_search_finds(
            fields in prop::collection::vec((0..NAMES.len(), "[ \t]{0,2}[a-z,\t ]{0,9}"), 0..40),
        ) {
            let lines: Vec<_> =
                fields.iter().map(|(name, value)| format!("{}:{value}\r\n", NAMES[*name])).collect();
            let text = format!("GET / HTTP/1.1\r\n{}\r\n", lines.concat());
            let head = read(&text, &Limits::default()).unwrap();
            for name in NAMES {
                prop_assert_eq!(head.single(name), head.headers.single(name));
                prop_assert_eq!(head.required(name), head.headers.required(name));
                prop_assert_eq!(head.contains(name), head.headers.contains(name));
                let found: Vec<_> = head.get_all(name).collect();
                prop_assert_eq!(found, head.headers.get_all(name).collect::<Vec<_>>());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            cut in 0_usize..300,
        ) {
            let limits = Limits { max_head: 200, ..Limits::default() };
            let whole = read_cut(&bytes, &[], &limits);
            let halves = read_cut(&bytes, &[cut.min(bytes.len())], &limits);
            prop_assert_eq!(format!("{whole:?}"), format!("{halves:?}"));
        }
    }
}
