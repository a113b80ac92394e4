//! HTTP CONNECT (RFC 9110 section 9.3.6).

use std::io::ErrorKind;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::ProxyError;
use super::target::{Credentials, Target};
use crate::runtime::Transport;
use crate::stream_io::{read, write_all};

/// The longest head of an answer, as for WebSocket servers.
const MAX_HEAD: usize = 16 << 10;

/// How many interim answers are passed over, as for WebSocket servers.
const MAX_INTERIM: usize = 8;

/// Opens a tunnel through `stream`.
pub(super) async fn pass_on<S: Transport>(
    stream: &mut S,
    target: Target<'_>,
    credentials: Option<&Credentials>,
) -> Result<(), ProxyError> {
    let basic = |Credentials { user, password }: &Credentials| {
        let basic = STANDARD.encode(format!("{user}:{password}"));
        format!("Proxy-Authorization: Basic {basic}\r\n")
    };
    let credentials = credentials.map(basic).unwrap_or_default();
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{credentials}\r\n");
    write_all(stream, request.as_bytes()).await?;

    let mut came = Vec::new();
    for _ in 0..=MAX_INTERIM {
        let end = read_head(stream, &mut came).await?;
        if !is_interim(&came) {
            return judge(&came, end);
        }
        came.drain(..end);
    }
    Err(nonsense("it sends interim answers only"))
}

/// Reads until a whole head is there, whose end is told.
async fn read_head<S: Transport>(stream: &mut S, came: &mut Vec<u8>) -> Result<usize, ProxyError> {
    let mut scanned: usize = 0;
    loop {
        // The end may be cut in two by the network.
        let from = scanned.saturating_sub(3);
        let new = came.get(from..).unwrap_or_default();
        if let Some(at) = new.windows(4).position(|end| end == b"\r\n\r\n") {
            return Ok(from + at + 4);
        }
        if came.len() > MAX_HEAD {
            return Err(nonsense("its answer is longer than 16 KiB"));
        }
        scanned = came.len();
        let mut piece = [0; 512];
        let n = read(stream, &mut piece).await?;
        if n == 0 {
            return Err(ProxyError::Io(ErrorKind::UnexpectedEof.into()));
        }
        came.extend_from_slice(piece.get(..n).unwrap_or_default());
    }
}

/// Whether the answer is to be followed by another one (RFC 9110 section 15.2). 101 is the last:
/// nothing was asked for that it could switch to.
fn is_interim(head: &[u8]) -> bool {
    matches!(head, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', b'1', tens, ones, ..]
        if tens.is_ascii_digit() && ones.is_ascii_digit() && (*tens, *ones) != (b'0', b'1'))
}

/// Judges an answer whose head ends at `end`.
fn judge(head: &[u8], end: usize) -> Result<(), ProxyError> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut parts = line.splitn(3, ' ');
    let http = parts.next().is_some_and(|version| version.starts_with("HTTP/1."));
    let is_status = |text: &&str| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    let status = parts.next().filter(is_status).and_then(|digits| digits.parse().ok());
    match status {
        Some(200..=299) if http && head.len() == end => Ok(()),
        // Nobody speaks before this side does: it would be read as the server's.
        Some(200..=299) if http => Err(nonsense("it sent bytes before the tunnel was used")),
        Some(status) if http => {
            let reason = parts.next().unwrap_or_default().chars().take(64).collect();
            Err(ProxyError::Status { status, reason })
        }
        _ => Err(nonsense("its answer has no status line")),
    }
}

fn nonsense(problem: &'static str) -> ProxyError {
    ProxyError::Nonsense { protocol: "HTTP", problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(answer: &str) -> String {
        let end = answer.find("\r\n\r\n").unwrap() + 4;
        judge(answer.as_bytes(), end).err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn answers_are_judged() {
        assert_eq!(judged("HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n"), "");
        assert_eq!(judged("HTTP/1.1 204\r\n\r\n"), "");
        for (answer, text) in [
            ("HTTP/1.1 403 No\r\n\r\nbody", "refuses with status 403 \"No\""),
            (
                "HTTP/1.1 407 x\r\n\r\n",
                "refuses with status 407 \"x\": set or check the credentials",
            ),
            ("HTTP/1.1 200 x\r\n\r\nbody", "does not speak HTTP: it sent bytes before the tunnel"),
            ("HTTP/2 200\r\n\r\n", "does not speak HTTP: its answer has no status line"),
            ("\r\n\r\n", "does not speak HTTP: its answer has no status line"),
            ("HTTP/1.1 +20 x\r\n\r\n", "does not speak HTTP: its answer has no status line"),
        ] {
            assert!(judged(answer).starts_with(text), "{}", judged(answer));
        }
    }
}
