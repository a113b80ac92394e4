//! draft-hixie-thewebsocketprotocol-76, the same text as draft-ietf-hybi-00: draft75 with a proof
//! that each side reads the other, made of two keys with blanks in them and 8 bytes of body.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use md5::{Digest, Md5};

use super::agreed::Agreed;
use super::client_request::ClientRequest;
use super::hixie;
use super::request::Request;
use crate::http::first_line::StatusLine;
use crate::http::grammar::excerpt;
use crate::http::{Head, Headers, write_field};
use crate::{Entropy, HandshakeError, RecvBuf, Version};

/// Checks what draft76 wants of a request beside what all versions want.
pub(super) fn check_request(headers: &Headers) -> Result<(), HandshakeError> {
    let upgrade = headers.single("Upgrade")?.unwrap_or_default();
    if !upgrade.eq_ignore_ascii_case(b"WebSocket") {
        return Err(HandshakeError::UpgradeMissing);
    }
    let connection = headers.single("Connection")?.unwrap_or_default();
    if !connection.eq_ignore_ascii_case(b"Upgrade") {
        return Err(HandshakeError::ConnectionMissing);
    }
    headers.required("Origin")?;
    hixie::check_subprotocol(headers, "Sec-WebSocket-Protocol")?;
    for name in KEYS {
        let mut values = headers.raw(name);
        let key = values.next().ok_or(HandshakeError::Missing(name))?;
        if values.next().is_some() {
            return Err(HandshakeError::Duplicate(name));
        }
        key_part(key, name)?;
    }
    Ok(())
}

/// What the two keys of a request come to that was checked (section 5.2).
fn key_parts(headers: &Headers) -> [u32; 2] {
    KEYS.map(|name| {
        let key = headers.raw(name).next().unwrap_or_default();
        key_part(key, name).unwrap_or_default()
    })
}

/// The headers with the keys.
pub(super) const KEYS: [&str; 2] = ["Sec-WebSocket-Key1", "Sec-WebSocket-Key2"];

/// Appends the head of the answer that accepts. The 16 bytes of [`Challenge`] go behind it, maybe
/// later: a proxy can hold the client's 8 bytes back until it sees this head.
pub(super) fn write_answer(
    request: &Request,
    subprotocol: Option<&str>,
    extra: &[u8],
    secure: bool,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(
        b"HTTP/1.1 101 WebSocket Protocol Handshake\r\n\
          Upgrade: WebSocket\r\n\
          Connection: Upgrade\r\n",
    );
    write_field(out, "Sec-WebSocket-Location", hixie::url(request, secure).as_bytes());
    write_field(out, "Sec-WebSocket-Origin", request.origin().unwrap_or_default().as_bytes());
    if let Some(name) = subprotocol {
        write_field(out, "Sec-WebSocket-Protocol", name.as_bytes());
    }
    out.extend_from_slice(extra);
    out.extend_from_slice(b"\r\n");
}

/// The server's wait for the 8 bytes behind the request.
#[derive(Debug)]
pub(crate) struct Challenge {
    parts: [u32; 2],
    key3: [u8; 8],
    filled: usize,
}

impl Challenge {
    /// Starts to wait behind a request that was checked.
    pub(crate) fn new(request: &Request) -> Self {
        Self { parts: key_parts(request.headers()), key3: [0; 8], filled: 0 }
    }

    /// Takes of the input what is wanted; answers the 16 bytes that go behind the answer's head
    /// once all 8 are there.
    pub(crate) fn poll(&mut self, input: &mut RecvBuf) -> Option<[u8; 16]> {
        collect(input, &mut self.key3, &mut self.filled).then(|| response(self.parts, self.key3))
    }
}

/// The client's wait for the 16 bytes behind the answer.
#[derive(Debug)]
pub(super) struct Expected {
    wanted: [u8; 16],
    came: [u8; 16],
    filled: usize,
}

impl Expected {
    /// Takes of the input what is wanted; answers `true` once the right 16 bytes are there.
    pub(super) fn poll(&mut self, input: &mut RecvBuf) -> Result<bool, HandshakeError> {
        if !collect(input, &mut self.came, &mut self.filled) {
            return Ok(false);
        }
        if self.came == self.wanted { Ok(true) } else { Err(HandshakeError::WrongChallenge) }
    }
}

/// Appends a request with its fields in random order, so that no server can depend on one
/// (section 4.1); answers what the server has to prove itself with.
pub(super) fn write_request(
    request: &ClientRequest,
    entropy: &mut dyn Entropy,
    out: &mut Vec<u8>,
) -> Expected {
    let mut dice = Dice(entropy);
    let both = KEYS.map(|name| (name, Key::random(&mut dice)));
    let mut key3 = [0; 8];
    dice.0.fill(&mut key3);

    let mut fields = Vec::new();
    write_field(&mut fields, "Upgrade", b"WebSocket");
    write_field(&mut fields, "Connection", b"Upgrade");
    request.write_host(&mut fields);
    write_field(&mut fields, "Origin", request.page().as_bytes());
    if let Some(name) = request.subprotocols().first() {
        write_field(&mut fields, "Sec-WebSocket-Protocol", name.as_bytes());
    }
    for (name, key) in &both {
        write_field(&mut fields, name, key.text.as_bytes());
    }
    fields.extend_from_slice(request.extra_headers().as_bytes());

    request.write_request_line(out);
    let mut lines: Vec<&[u8]> = fields.split_inclusive(|byte| *byte == b'\n').collect();
    while !lines.is_empty() {
        let next = dice.below(lines.len() as u64) as usize;
        out.extend_from_slice(lines.swap_remove(next));
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&key3);
    let wanted = response(both.map(|(_, key)| key.part), key3);
    Expected { wanted, came: [0; 16], filled: 0 }
}

/// Checks the head of the answer to a request (section 4.1).
pub(super) fn check_answer(
    head: &Head<StatusLine>,
    request: &ClientRequest,
) -> Result<Agreed, HandshakeError> {
    let headers = &head.headers;
    let upgrade = headers.required("Upgrade")?;
    if upgrade != b"WebSocket" {
        return Err(not_as_draft76("Upgrade", upgrade, "WebSocket"));
    }
    let connection = headers.required("Connection")?;
    if !connection.eq_ignore_ascii_case(b"Upgrade") {
        return Err(not_as_draft76("Connection", connection, "Upgrade"));
    }
    hixie::check_echo(headers, "Sec-WebSocket-Origin", &request.page())?;
    hixie::check_echo(headers, "Sec-WebSocket-Location", &request.url())?;
    let subprotocol =
        hixie::check_answered_subprotocol(headers, "Sec-WebSocket-Protocol", request)?;
    Ok(Agreed::new(Version::Draft76, subprotocol, None))
}

fn not_as_draft76(header: &'static str, value: &[u8], wanted: &'static str) -> HandshakeError {
    HandshakeError::NotAsDraft76 { header, value: excerpt(value), wanted }
}

/// The number that a key stands for.
///
/// Blanks at the ends count: clients from before 15 April 2010 put some there. So only the one
/// behind the colon is taken off.
fn key_part(raw: &[u8], name: &'static str) -> Result<u32, HandshakeError> {
    let key = raw.strip_prefix(b" ").unwrap_or(raw);
    let (mut number, mut digits, mut spaces) = (0_u64, 0_u32, 0_u32);
    for byte in key {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            digits += 1;
            number = number * 10 + u64::from(digit);
            if number > u64::from(u32::MAX) {
                return Err(HandshakeError::KeyTooLarge(name));
            }
        } else if *byte == b' ' {
            spaces += 1;
        }
    }
    if digits == 0 {
        return Err(HandshakeError::KeyWithoutDigits(name));
    }
    let number = number as u32;
    match (number.checked_rem(spaces), number.checked_div(spaces)) {
        (Some(0), Some(part)) => Ok(part),
        (Some(_), _) => Err(HandshakeError::KeyNotDivisible(name)),
        (None, _) => Err(HandshakeError::KeyWithoutSpaces(name)),
    }
}

/// The 16 bytes that prove that the server read the keys (section 5.2).
fn response(parts: [u32; 2], key3: [u8; 8]) -> [u8; 16] {
    let [first, second] = parts.map(u32::to_be_bytes);
    Md5::new().chain_update(first).chain_update(second).chain_update(key3).finalize().into()
}

/// Takes of the input what `bytes` has room for; answers whether it is full.
fn collect(input: &mut RecvBuf, bytes: &mut [u8], filled: &mut usize) -> bool {
    let free = bytes.get_mut(*filled..).unwrap_or_default();
    let taken = free.iter_mut().zip(input.unread()).map(|(to, from)| *to = *from).count();
    input.consume(taken);
    *filled += taken;
    *filled == bytes.len()
}

/// A key of a client and the number it stands for (section 4.1, points 16 to 24).
struct Key {
    text: String,
    part: u32,
}

impl Key {
    fn random(dice: &mut Dice<'_>) -> Self {
        let spaces = 1 + dice.below(12) as u32;
        let part = dice.below(u64::from(u32::MAX / spaces) + 1) as u32;
        let mut text = (part * spaces).to_string();
        for _ in 0..=dice.below(12) {
            // Everything printable but blanks and digits: 0x21 to 0x2F and 0x3A to 0x7E.
            let noise = match dice.below(84) as u8 {
                low @ ..15 => b'!' + low,
                high => b':' + (high - 15),
            };
            let at = dice.below(text.len() as u64 + 1) as usize;
            text.insert(at, char::from(noise));
        }
        for _ in 0..spaces {
            let at = 1 + dice.below(text.len() as u64 - 1) as usize;
            text.insert(at, ' ');
        }
        Self { text, part }
    }
}

/// Random numbers out of the caller's random bytes.
struct Dice<'a>(&'a mut dyn Entropy);

impl Dice<'_> {
    /// A number below `end`, which is 2^32 at most: with 64 random bits it is even enough.
    fn below(&mut self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes).checked_rem(end).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;

    use super::*;
    use crate::handshake::answer;
    use crate::handshake::testing::{answered, ask, serve_default};
    use crate::{Accept, Config};

    /// key1, key2, key3, the numbers that they come to, and the response.
    const VECTORS: [(&str, &str, &str, [u32; 2], &str); 3] = [
        (
            "4 @1  46546xW%0l 1 5",
            "12998 5 Y3 1  .P00",
            "^n:ds[4U",
            [829_309_203, 259_970_620],
            "8jKS'y:G*Co,Wxa-",
        ),
        (
            "18x 6]8vM;54 *(5:  {   U1]8  z [  8",
            "1_ tx7X d  <  nw  334J702) 7]o}` 0",
            "Tm[K T2u",
            [1_868_545_188 / 12, 1_733_470_270 / 10],
            "fQJ,fN/4F4!~K~MH",
        ),
        (
            "3e6b263  4 17 80",
            "17  9 G`ZD9   2 2b 7X 3 /r90",
            "WjN}|M(6",
            [3_626_341_780 / 4, 1_799_227_390 / 10],
            "n`9eBk9z$R8pOtVb",
        ),
    ];

    fn head(key1: &str, key2: &str) -> String {
        format!(
            "GET /demo HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key2: {key2}\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key1: {key1}\r\n\
             Origin: http://example.com\r\n\r\n"
        )
    }

    fn key_error(key: &str) -> HandshakeError {
        let (_, key2, ..) = VECTORS[0];
        serve_default(head(key, key2)).unwrap_err()
    }

    /// Takes key3 in pieces of `size`, with frames behind it.
    fn response_in_pieces(request: &Request, key3: &str, size: usize) -> [u8; 16] {
        let mut challenge = Challenge::new(request);
        let mut input = RecvBuf::with_capacity(64);
        let bytes = [key3.as_bytes(), b"\x00hi\xFF"].concat();
        for (index, piece) in bytes.chunks(size).enumerate() {
            input.feed(piece);
            if let Some(response) = challenge.poll(&mut input) {
                let rest =
                    [input.unread(), bytes.get((index + 1) * size..).unwrap_or(&[])].concat();
                assert_eq!(rest, b"\x00hi\xFF");
                return response;
            }
            assert!(input.is_idle());
        }
        panic!("key3 is there, its response is not");
    }

    #[test]
    fn key3_may_come_late_and_in_any_cut() {
        for (key1, key2, key3, parts, response) in VECTORS {
            let request = serve_default(head(key1, key2)).unwrap();
            assert_eq!(key_parts(request.headers()), parts);
            for size in 1..=key3.len() + 4 {
                assert_eq!(response_in_pieces(&request, key3, size), response.as_bytes());
            }
        }
    }

    #[test]
    fn the_response_of_the_drafts_client_example() {
        let key3 = [0x47, 0x30, 0x22, 0x2D, 0x5A, 0x3F, 0x47, 0x58];
        assert_eq!(response([777_007_543, 114_997_259], key3), *b"0st3Rl&q-2ZU^weu");
    }

    #[test]
    fn blanks_at_the_ends_of_a_key_count() {
        for (key, part) in [(" 12 ", 6), (" 7", 7), ("12  ", 6), ("1 :,;\"2 ", 6)] {
            let request = serve_default(head(key, "1 0")).unwrap();
            assert_eq!(key_parts(request.headers()), [part, 10], "{key:?}");
        }
        let without_space = head("@", "1 0").replace("Key1: @", "Key1:1 2");
        assert_eq!(key_parts(serve_default(without_space).unwrap().headers()), [12, 10]);
    }

    #[test]
    fn key_without_spaces_is_refused_not_divided() {
        const KEY1: &str = "Sec-WebSocket-Key1";
        assert_eq!(key_error("12"), HandshakeError::KeyWithoutSpaces(KEY1));
        assert_eq!(key_error("0"), HandshakeError::KeyWithoutSpaces(KEY1));
        assert_eq!(key_error("1\t2"), HandshakeError::KeyWithoutSpaces(KEY1));
    }

    #[test]
    fn key_without_digits_is_refused() {
        for key in ["a b", "", " "] {
            let error = HandshakeError::KeyWithoutDigits("Sec-WebSocket-Key1");
            assert_eq!(key_error(key), error, "{key:?}");
        }
    }

    #[test]
    fn number_that_is_no_multiple_of_the_spaces_is_refused() {
        let error = HandshakeError::KeyNotDivisible("Sec-WebSocket-Key1");
        assert_eq!(key_error("1 2 3"), error);
    }

    #[test]
    fn number_above_32_bits_is_refused_not_thrown() {
        assert!(serve_default(head("4294967295 ", "1 0")).is_ok());
        for digits in ["4294967296", "42949672950", "9999999999999999999999"] {
            let error = HandshakeError::KeyTooLarge("Sec-WebSocket-Key1");
            assert_eq!(key_error(&format!("{digits} x")), error, "{digits}");
        }
    }

    #[test]
    fn field_order_and_case_of_names_do_not_matter() {
        let (key1, key2, .., parts, _) = VECTORS[0];
        let request = head(key1, key2).replace("Sec-WebSocket-", "SEC-websocket-");
        assert_eq!(key_parts(serve_default(request).unwrap().headers()), parts);
    }

    #[test]
    fn the_head_of_the_answer_does_not_wait_for_key3() {
        let request = serve_default(head("1 2", "3 4")).unwrap();
        for (secure, location) in
            [(false, "ws://example.com/demo"), (true, "wss://example.com/demo")]
        {
            let config = Config::builder().secure(secure).build().unwrap();
            let mut out = Vec::new();
            answer(&request, &Accept::new(), &config, &mut out).unwrap();
            let expected = format!(
                "HTTP/1.1 101 WebSocket Protocol Handshake\r\nUpgrade: WebSocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Location: {location}\r\n\
                 Sec-WebSocket-Origin: http://example.com\r\n\r\n"
            );
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    fn request() -> ClientRequest {
        let request = ClientRequest::new("ws://example.com/demo").unwrap();
        request.version(Version::Draft76).subprotocol("chat").unwrap()
    }

    /// The answer that fits [`request`].
    fn good_answer() -> Vec<u8> {
        let (_, bytes) = ask(&request());
        let (head, key3) = bytes.split_last_chunk::<8>().unwrap();
        let policy = crate::SubprotocolPolicy::list(["chat"]);
        let config = Config::builder().subprotocols(policy).build().unwrap();
        let request = crate::handshake::testing::serve(head, &config).unwrap();
        let mut out = Vec::new();
        answer(&request, &Accept::new(), &config, &mut out).unwrap();
        out.extend(response(key_parts(request.headers()), *key3));
        out
    }

    #[test]
    fn the_client_takes_a_good_answer_and_no_other() {
        let answer = good_answer();
        let agreed = answered(&request(), &answer).unwrap();
        assert_eq!(agreed.subprotocol(), Some("chat"));

        let (head, proof) = answer.split_last_chunk::<16>().unwrap();
        let head = str::from_utf8(head).unwrap();
        for (from, to) in [
            ("101 WebSocket", "200 WebSocket"),
            ("Location: ws://example.com/demo", "Location: ws://example.com:80/demo"),
            ("Origin: http://example.com", "Origin: http://example.com:80"),
            ("Protocol: chat", "Protocol: Chat"),
            ("Sec-WebSocket-Protocol", "WebSocket-Protocol"),
            ("Upgrade: WebSocket", "Upgrade: WebSocket\r\nupgrade: WebSocket"),
            ("Sec-WebSocket-Origin", "Sec-WebSocket-Origin: x\r\nSec-WebSocket-Origin"),
        ] {
            let changed = head.replace(from, to);
            assert_ne!(changed, head);
            assert!(answered(&request(), changed).is_err(), "{to}");
        }
        for (from, to) in [
            ("Upgrade: WebSocket", "Upgrade: websocket"),
            ("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
        ] {
            let error = answered(&request(), head.replace(from, to)).unwrap_err();
            assert!(matches!(error, HandshakeError::NotAsDraft76 { .. }), "{error}");
            assert_eq!(error.clause(), "draft-hixie-76 section 4.1");
        }
        for at in 0..16 {
            let mut wrong = *proof;
            wrong[at] ^= 1;
            let answer = [head.as_bytes(), &wrong].concat();
            assert_eq!(answered(&request(), answer), Err(HandshakeError::WrongChallenge));
        }
        // Version and phrase are not looked at.
        let other = head.replace("HTTP/1.1 101 WebSocket Protocol Handshake", "HTTP/1.0 101");
        assert!(answered(&request(), [other.as_bytes(), proof].concat()).is_ok());
    }

    #[test]
    fn fields_come_in_different_orders() {
        let order = |seed: u8| {
            let mut count = seed;
            let mut entropy = |bytes: &mut [u8]| {
                for byte in bytes {
                    count = count.wrapping_mul(29).wrapping_add(7);
                    *byte = count;
                }
            };
            let mut out = Vec::new();
            write_request(&request(), &mut entropy, &mut out);
            let text = String::from_utf8_lossy(&out).into_owned();
            let names = text.lines().filter_map(|line| line.split_once(": "));
            names.map(|(name, _)| String::from(name)).collect::<Vec<_>>()
        };
        assert_ne!(order(1), order(2));
    }

    proptest! {
        #[test]
        fn own_keys_obey_the_draft(random in prop::collection::vec(any::<u8>(), 64..512)) {
            let mut bytes = random.into_iter().cycle();
            let mut entropy = |out: &mut [u8]| out.fill_with(|| bytes.next().unwrap_or_default());
            let mut dice = Dice(&mut entropy);
            let key = Key::random(&mut dice);
            let spaces = key.text.matches(' ').count();
            prop_assert!((1..=12).contains(&spaces));
            prop_assert_eq!(key.text.trim(), &key.text, "no blank at an end");
            prop_assert!(key.text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            let noise = key.text.bytes().filter(|b| *b != b' ' && !b.is_ascii_digit()).count();
            prop_assert!((1..=12).contains(&noise));
            let request = serve_default(head(&key.text, "1 0")).unwrap();
            prop_assert_eq!(key_parts(request.headers()), [key.part, 10]);
        }
    }
}
