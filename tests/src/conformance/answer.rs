//! The head of an answer, judged without any code of the crates under test.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha1::{Digest, Sha1};
use ws_proto::Version;

use super::case::Opening;
use super::literal::Target;

/// The head of an answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// Its status.
    pub(super) status: u16,
    /// The bytes of the head, the empty line included.
    pub(super) head: Vec<u8>,
    fields: Vec<(String, Vec<u8>)>,
}

impl Answer {
    /// Reads the head that `head` is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(head: Vec<u8>) -> Result<Self, String> {
        let text = head.strip_suffix(b"\r\n\r\n").unwrap_or(&head);
        let mut lines = split(text, b"\r\n").into_iter();
        let first = lines.next().unwrap_or_default();
        let status = first.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
        let status = status.and_then(|digits| str::from_utf8(digits).ok()?.parse().ok());
        let status = status.ok_or_else(|| format!("no status in {:?}", shown(first)))?;
        let mut fields = Vec::new();
        for line in lines {
            if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
                return Err(format!("a control byte in the answer's line {:?}", shown(line)));
            }
            let colon = line.iter().position(|byte| *byte == b':');
            let colon = colon.ok_or_else(|| format!("no colon in the line {:?}", shown(line)))?;
            let name = String::from_utf8_lossy(&line[..colon]).into_owned();
            fields.push((name, line[colon + 1..].trim_ascii().to_vec()));
        }
        Ok(Self { status, head, fields })
    }

    /// The values under this name.
    pub(super) fn all(&self, name: &str) -> Vec<&[u8]> {
        let same = |(other, _): &&(String, _)| other.eq_ignore_ascii_case(name);
        self.fields.iter().filter(same).map(|(_, value)| value.as_slice()).collect()
    }

    /// `Content-Length`, if there is one that is a number.
    pub(super) fn content_length(&self) -> Option<usize> {
        str::from_utf8(self.all("Content-Length").first()?).ok()?.parse().ok()
    }

    /// Checks a rule of a case: `Name has WORD`, `Name: value` or `no Name`, which a status and a
    /// colon in front restrict to that status.
    ///
    /// # Errors
    /// The rule and what is there instead.
    pub(super) fn check(&self, rule: &str) -> Result<(), String> {
        let restricted = rule
            .split_once(": ")
            .and_then(|(status, rest)| Some((status.parse::<u16>().ok()?, rest)));
        let rule = match restricted {
            Some((status, _)) if status != self.status => return Ok(()),
            Some((_, rest)) => rest,
            None => rule,
        };
        let (name, holds) = if let Some(name) = rule.strip_prefix("no ") {
            (name, self.all(name).is_empty())
        } else if let Some((name, word)) = rule.split_once(" has ") {
            (name, self.words(name).iter().any(|found| found.eq_ignore_ascii_case(word)))
        } else {
            let (name, value) = rule.split_once(": ").unwrap_or((rule, ""));
            (name, self.all(name) == [value.as_bytes()])
        };
        if holds {
            return Ok(());
        }
        let there: Vec<_> = self.all(name).into_iter().map(shown).collect();
        Err(format!("status {}: wanted \"{rule}\", and {name} is {there:?}", self.status))
    }

    /// Checks that this answer opens a connection of the version as the request asks for it.
    ///
    /// # Errors
    /// What a client would stumble over.
    pub(super) fn opens(
        &self,
        version: Version,
        opening: &Opening,
        target: &Target,
    ) -> Result<(), String> {
        match version {
            Version::Draft75 => self.opens_draft75(opening, target),
            Version::Draft76 => self.opens_draft76(opening, target),
            Version::Hybi07 | Version::Hybi08 | Version::Rfc6455 => self.opens_hybi(opening),
        }
    }

    /// The bytes are fixed, up to the fields that may come behind.
    fn opens_draft75(&self, opening: &Opening, target: &Target) -> Result<(), String> {
        const START: &[u8] = b"HTTP/1.1 101 Web Socket Protocol Handshake\r\n\
            Upgrade: WebSocket\r\nConnection: Upgrade\r\n";
        if !self.head.starts_with(START) {
            return Err(format!("draft75 answers begin otherwise than {:?}", shown(&self.head)));
        }
        self.echoes("WebSocket-", opening, target)
    }

    fn opens_draft76(&self, opening: &Opening, target: &Target) -> Result<(), String> {
        self.once("Upgrade", b"WebSocket")?;
        let connection = self.all("Connection");
        if !matches!(connection[..], [one] if one.eq_ignore_ascii_case(b"Upgrade")) {
            return Err("Connection is not the one token Upgrade".into());
        }
        self.echoes("Sec-WebSocket-", opening, target)
    }

    /// What draft75 and draft76 compare byte for byte.
    fn echoes(&self, prefix: &str, opening: &Opening, target: &Target) -> Result<(), String> {
        let origin = opening.field("Origin").unwrap_or_default();
        self.once(&format!("{prefix}Origin"), origin)?;
        let host = opening.field("Host").unwrap_or(target.host.as_bytes());
        let host = String::from_utf8_lossy(host).to_lowercase();
        let host = host.strip_suffix(":80").unwrap_or(&host);
        let location = format!("ws://{host}{}", opening.path);
        self.once(&format!("{prefix}Location"), location.as_bytes())?;
        let protocol = format!("{prefix}Protocol");
        match opening.field(&protocol) {
            Some(asked) => self.once(&protocol, asked),
            None => Ok(()), // not looked at by clients
        }
    }

    fn opens_hybi(&self, opening: &Opening) -> Result<(), String> {
        let upgrade = self.all("Upgrade");
        if !matches!(upgrade[..], [one] if one.eq_ignore_ascii_case(b"websocket")) {
            return Err("Upgrade is not websocket".into());
        }
        if !self.words("Connection").iter().any(|word| word.eq_ignore_ascii_case("Upgrade")) {
            return Err("Connection does not say Upgrade".into());
        }
        let key = opening.field("Sec-WebSocket-Key").unwrap_or_default().trim_ascii();
        self.once("Sec-WebSocket-Accept", accept(key).as_bytes())?;
        let offered = |name: &str| -> Vec<String> {
            let fields =
                opening.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
            fields.flat_map(|(_, value)| words(value)).collect()
        };
        let subprotocols = self.all("Sec-WebSocket-Protocol");
        let offers = offered("Sec-WebSocket-Protocol");
        match subprotocols[..] {
            [] => {}
            [one] if offers.iter().any(|offer| offer.as_bytes() == one) => {}
            _ => {
                return Err(format!(
                    "{:?} is not one of the subprotocols offered",
                    self.words("Sec-WebSocket-Protocol")
                ));
            }
        }
        let name =
            |extension: &String| extension.split(';').next().unwrap_or_default().trim().to_owned();
        let offers: Vec<_> = offered("Sec-WebSocket-Extensions").iter().map(name).collect();
        match self
            .words("Sec-WebSocket-Extensions")
            .iter()
            .map(name)
            .find(|one| !offers.contains(one))
        {
            Some(unasked) => Err(format!("the extension {unasked:?} was not offered")),
            None => Ok(()),
        }
    }

    fn once(&self, name: &str, value: &[u8]) -> Result<(), String> {
        let found = self.all(name);
        if found == [value] {
            return Ok(());
        }
        let found: Vec<_> = found.into_iter().map(shown).collect();
        Err(format!("{name} is {found:?}, and once {:?} was wanted", shown(value)))
    }

    /// The members of the lists under this name.
    fn words(&self, name: &str) -> Vec<String> {
        self.all(name).into_iter().flat_map(words).collect()
    }
}

/// The 16 bytes that answer the two keys of the request and `key3`, or `None` for keys that stand
/// for no number (draft-hixie-76 section 5.2).
pub(super) fn proof(opening: &Opening, key3: &[u8]) -> Option<Vec<u8>> {
    let part = |name| {
        let key = opening.field(name)?;
        let digits: String =
            key.iter().filter(|b| b.is_ascii_digit()).map(|b| *b as char).collect();
        let spaces = key.split(|byte| *byte == b' ').count() as u64 - 1;
        u32::try_from(digits.parse::<u64>().ok()?.checked_div(spaces)?).ok()
    };
    let (first, second) = (part("Sec-WebSocket-Key1")?, part("Sec-WebSocket-Key2")?);
    let hash = Md5::new().chain_update(first.to_be_bytes()).chain_update(second.to_be_bytes());
    Some(hash.chain_update(key3.get(..8)?).finalize().to_vec())
}

/// RFC 6455 section 4.2.2, point 5.4.
fn accept(key: &[u8]) -> String {
    const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

fn words(value: &[u8]) -> Vec<String> {
    let value = String::from_utf8_lossy(value).into_owned();
    value.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

fn split<'a>(mut text: &'a [u8], by: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(at) = text.windows(by.len()).position(|bytes| bytes == by) {
        parts.push(&text[..at]);
        text = &text[at + by.len()..];
    }
    parts.push(text);
    parts
}

/// Bytes for a person's eyes, cut when there are many.
pub(super) fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(200)];
    let more = if cut.len() < bytes.len() { "…" } else { "" };
    format!("{}{more}", cut.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_documents() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let field = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
        let opening = Opening {
            bytes: Vec::new(),
            fields: vec![
                field("Sec-WebSocket-Key1", b"18x 6]8vM;54 *(5:  {   U1]8  z [  8"),
                field("Sec-WebSocket-Key2", b"1_ tx7X d  <  nw  334J702) 7]o}` 0"),
            ],
            path: "/".into(),
            behind: Vec::new(),
        };
        assert_eq!(proof(&opening, b"Tm[K T2u").unwrap(), b"fQJ,fN/4F4!~K~MH");
    }

    #[test]
    fn heads_are_judged() {
        let head = b"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13, 8\r\n\r\n";
        let answer = Answer::parse(head.to_vec()).unwrap();
        assert_eq!(answer.status, 426);
        for rule in ["Sec-WebSocket-Version has 13", "400: no Sec-WebSocket-Version", "no Allow"] {
            answer.check(rule).unwrap();
        }
        for rule in
            ["Sec-WebSocket-Version has 7", "426: Allow has GET", "no Sec-WebSocket-Version"]
        {
            answer.check(rule).unwrap_err();
        }
        assert!(Answer::parse(b"HTTP/1.1 101 x\r\nA: b\rC: d\r\n\r\n".to_vec()).is_err());
        assert!(Answer::parse(b"ICY 200\r\n\r\n".to_vec()).is_err());
    }
}
