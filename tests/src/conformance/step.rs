//! The steps of a talk: what is sent, and what comes.

use ws_proto::Version;

use super::literal::{Target, literal};
use crate::requests::frame;

/// A step.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Bytes to send.
    Send(Vec<u8>),
    /// The end of this side's stream.
    Eof,
    /// One of these comes next; our own servers send the first.
    Expect(Vec<Expected>),
}

/// What may come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Expected {
    /// This item.
    Item(Item),
    /// This item, and pongs and messages before it.
    Until(Item),
    /// A close frame with any content.
    AnyClose,
    /// The connection fails: a close frame with one of these codes, or draft76's closing bytes,
    /// and the end; or the end alone. No codes: any.
    Fail(Vec<u16>),
    /// The 16 bytes of draft76.
    Proof,
    /// Nothing for now.
    Quiet,
}

/// Something that came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Item {
    /// A text message, whole.
    Text(Vec<u8>),
    /// A binary message, whole.
    Binary(Vec<u8>),
    /// A ping.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// A close frame with its payload.
    Close(Vec<u8>),
    /// The closing bytes of draft76.
    Closing,
    /// The end of the stream.
    End,
}

/// Reads a line of a talk: `> WHAT` or `< WHAT | WHAT`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn step(line: &str, version: Version, target: &Target) -> Result<Step, String> {
    match line.split_once(' ') {
        Some((">", "eof")) => Ok(Step::Eof),
        Some((">", what)) => Ok(Step::Send(sent(what, version, target)?)),
        Some(("<", what)) => {
            let all = what.split(" | ").map(|one| expected(one.trim(), target));
            Ok(Step::Expect(all.collect::<Result<_, _>>()?))
        }
        _ => Err(format!("a step begins with \"> \" or \"< \", not as {line:?}")),
    }
}

fn sent(what: &str, version: Version, target: &Target) -> Result<Vec<u8>, String> {
    let (kind, rest) = what.split_once(' ').unwrap_or((what, ""));
    if let Ok(times) = kind.parse::<usize>() {
        return Ok(sent(rest, version, target)?.repeat(times));
    }
    let payload = literal(rest, target);
    match (kind, version.has_frames()) {
        ("raw", _) => payload,
        ("text", false) => Ok([b"\0", payload?.as_slice(), b"\xFF"].concat()),
        ("closing", false) => Ok(b"\xFF\0".to_vec()),
        ("text", true) => Ok(frame(0x81, &payload?)),
        ("text+", true) => Ok(frame(0x01, &payload?)),
        ("binary", true) => Ok(frame(0x82, &payload?)),
        ("binary+", true) => Ok(frame(0x02, &payload?)),
        ("more", true) => Ok(frame(0x00, &payload?)),
        ("last", true) => Ok(frame(0x80, &payload?)),
        ("ping", true) => Ok(frame(0x89, &payload?)),
        ("pong", true) => Ok(frame(0x8A, &payload?)),
        ("close", true) => Ok(frame(0x88, &close_payload(rest, target)?)),
        ("frame", true) => {
            let (first, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let first =
                u8::from_str_radix(first, 16).map_err(|_| format!("{first:?} is no byte"))?;
            Ok(frame(first, &literal(rest, target)?))
        }
        _ => Err(format!("{version} has no {kind:?} to send")),
    }
}

fn expected(what: &str, target: &Target) -> Result<Expected, String> {
    let (kind, rest) = what.split_once(' ').unwrap_or((what, ""));
    let payload = || literal(rest, target);
    Ok(Expected::Item(match kind {
        "text" => Item::Text(payload()?),
        "binary" => Item::Binary(payload()?),
        "ping" => Item::Ping(payload()?),
        "pong" => Item::Pong(payload()?),
        "close" if rest == "*" => return Ok(Expected::AnyClose),
        "close" => Item::Close(close_payload(rest, target)?),
        "closing" => Item::Closing,
        "end" => Item::End,
        "proof" => return Ok(Expected::Proof),
        "quiet" => return Ok(Expected::Quiet),
        "fail" => {
            let codes = rest.split(',').filter(|code| !code.is_empty()).map(str::parse);
            let codes = codes.collect::<Result<_, _>>();
            return Ok(Expected::Fail(codes.map_err(|_| format!("{rest:?} are no codes"))?));
        }
        "until" => match expected(rest, target)? {
            Expected::Item(item) => return Ok(Expected::Until(item)),
            _ => return Err(format!("{what:?}: until takes an item")),
        },
        _ => return Err(format!("{what:?} is nothing that comes")),
    }))
}

/// `CODE REASON`, or nothing.
fn close_payload(text: &str, target: &Target) -> Result<Vec<u8>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let (code, reason) = text.split_once(' ').unwrap_or((text, ""));
    let code: u16 = code.parse().map_err(|_| format!("{code:?} is no close code"))?;
    Ok([code.to_be_bytes().as_slice(), &literal(reason, target)?].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, version: Version) -> Result<Step, String> {
        step(line, version, &Target { host: "a".into(), path: "/".into() })
    }

    #[test]
    fn steps_are_read() {
        let Ok(Step::Send(bytes)) = read("> 2 text hi", Version::Draft76) else { panic!() };
        assert_eq!(bytes, b"\0hi\xFF\0hi\xFF");
        let Ok(Step::Expect(all)) =
            read("< close 1000 ok | fail 1002,1007 | quiet", Version::Rfc6455)
        else {
            panic!()
        };
        let close = Expected::Item(Item::Close(b"\x03\xE8ok".to_vec()));
        assert_eq!(all, [close, Expected::Fail(vec![1002, 1007]), Expected::Quiet]);
    }

    #[test]
    fn mistakes_are_named() {
        for line in ["text", "> say hi", "> ping x", "< fail x", "< until fail", "> close x", "?"] {
            assert!(read(line, Version::Draft75).is_err(), "{line}");
        }
    }
}
