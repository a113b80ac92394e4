use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use memchr::memmem;

use super::decision::Reject;
use crate::{Config, HandshakeError, Version, Versions};

/// Appends the answer to a request that broke a rule. The connection is to be closed behind it:
/// what follows a refused request may be draft76 key bytes and must not be read as a request.
pub(crate) fn refuse(error: &HandshakeError, config: &Config, out: &mut Vec<u8>) {
    let Some(status) = error.status() else {
        // A fault that only an answer can have is none of this client's.
        return reject(&Reject::new(500), out);
    };
    let (lines, hint) = match status {
        405 => ("Allow: GET\r\n".into(), String::new()),
        426 => (version_line(config.versions), spoken_here(config.versions)),
        _ => (String::new(), String::new()),
    };
    let body = format!("{error}\n{hint}");
    write(status, format!("{lines}{PLAIN_TEXT}").as_bytes(), body.as_bytes(), out);
}

/// Leaves the head only of the answer that begins at `start`, with the length of what is gone.
pub(crate) fn drop_content(answers: &mut Vec<u8>, start: usize) {
    let head = memmem::find(answers.get(start..).unwrap_or_default(), b"\r\n\r\n");
    if let Some(at) = head {
        answers.truncate(start + at + 4);
    }
}

/// Appends the answer of an application that refuses. The connection is to be closed behind it.
pub(crate) fn reject(reject: &Reject, out: &mut Vec<u8>) {
    if reject.status() == 304 {
        return write_head(304, reject.headers.as_bytes(), out);
    }
    let mut lines = reject.headers.as_bytes().to_vec();
    if !reject.headers.contains("Content-Type") {
        lines.extend_from_slice(PLAIN_TEXT.as_bytes());
    }
    let meaning = format!("{}\n", phrase(reject.status()));
    let body = reject.body.as_deref().unwrap_or(meaning.as_bytes());
    write(reject.status(), &lines, body, out);
}

const PLAIN_TEXT: &str = "Content-Type: text/plain; charset=utf-8\r\n";

fn write(status: u16, lines: &[u8], body: &[u8], out: &mut Vec<u8>) {
    let length = format!("Content-Length: {}\r\n", body.len());
    write_head(status, &[lines, length.as_bytes()].concat(), out);
    out.extend_from_slice(body);
}

fn write_head(status: u16, lines: &[u8], out: &mut Vec<u8>) {
    // RFC 9110 section 15.5.22: a 426 says what to upgrade to, and section 7.8: in Connection too.
    let connection = match status {
        426 => "Upgrade: websocket\r\nConnection: Upgrade, close\r\n",
        _ => "Connection: close\r\n",
    };
    let first = format!("HTTP/1.1 {status} {}\r\n{connection}", phrase(status));
    for part in [first.as_bytes(), lines, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// `Sec-WebSocket-Version` with the numbers that are spoken, newest first (RFC 6455 section 4.4);
/// nothing when only the drafts without a number are.
fn version_line(versions: Versions) -> String {
    let numbers =
        versions.iter().rev().filter_map(Version::number).map(|number| number.to_string());
    let numbers: Vec<_> = numbers.collect();
    if numbers.is_empty() {
        return String::new();
    }
    format!("Sec-WebSocket-Version: {}\r\n", numbers.join(", "))
}

/// The versions in words, for people whose client is too old for that header or too new.
fn spoken_here(versions: Versions) -> String {
    let names: Vec<_> = versions.iter().map(Version::name).collect();
    format!("Spoken here: {}\n", names.join(", "))
}

/// What a status means, as the registry of statuses has it (RFC 9110 section 16.2.1). One that is not
/// in it, or that nobody uses any more, means what its class does (section 15).
const fn phrase(status: u16) -> &'static str {
    match status {
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ if status < 400 => "Redirection",
        _ if status < 500 => "Client Error",
        _ => "Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(error: &HandshakeError, versions: Versions) -> String {
        let config = Config::builder().versions(versions).build().unwrap();
        let mut out = Vec::new();
        refuse(error, &config, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_refusal_closes_and_says_why() {
        for (error, first_line) in [
            (HandshakeError::Body, "HTTP/1.1 400 Bad Request"),
            (HandshakeError::OriginRefused("x".into()), "HTTP/1.1 403 Forbidden"),
            (HandshakeError::Method("PUT".into()), "HTTP/1.1 405 Method Not Allowed"),
            (HandshakeError::UriTooLong(9), "HTTP/1.1 414 URI Too Long"),
            (HandshakeError::NoUpgrade, "HTTP/1.1 426 Upgrade Required"),
            (HandshakeError::HeadTooLong(9), "HTTP/1.1 431 Request Header Fields Too Large"),
            (
                HandshakeError::HttpVersion { major: 2, minor: 0 },
                "HTTP/1.1 505 HTTP Version Not Supported",
            ),
        ] {
            let answer = refused(&error, Versions::AUTO);
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert_eq!(head.lines().next(), Some(first_line));
            assert!(head.contains(&format!("Content-Length: {}", body.len())), "{answer}");
            assert!(head.contains("close\r\n"), "{answer}");
            assert!(body.starts_with(&error.to_string()), "{answer}");
        }
    }

    #[test]
    fn a_wrong_version_is_answered_with_the_right_ones() {
        let error = HandshakeError::UnsupportedVersion("99".into());
        assert_eq!(
            refused(&error, Versions::AUTO),
            "HTTP/1.1 426 Upgrade Required\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade, close\r\n\
             Sec-WebSocket-Version: 13, 8, 7\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: 126\r\n\r\n\
             the client asks for WebSocket version \"99\", which is not spoken here\n\
             Spoken here: draft75, draft76, hybi-07, hybi-08, rfc6455\n"
        );
        let old = refused(&error, Versions::NONE.with(Version::Draft76));
        assert!(old.contains("Spoken here: draft76\n") && !old.contains("Sec-WebSocket-Version"));
    }

    #[test]
    fn a_wrong_method_is_answered_with_the_right_one() {
        let answer = refused(&HandshakeError::Method("PUT".into()), Versions::AUTO);
        assert!(answer.contains("\r\nAllow: GET\r\n"), "{answer}");
    }

    #[test]
    fn what_a_peer_sent_cannot_end_a_line_of_the_answer() {
        let hostile = "a\r\nSet-Cookie: b\u{1B}[2J".to_string();
        let answer = refused(&HandshakeError::OriginRefused(hostile), Versions::AUTO);
        assert!(answer.contains(r#""a\r\nSet-Cookie: b\u{1b}[2J""#), "{answer}");
    }

    #[test]
    fn a_fault_of_an_answer_is_not_told_to_who_asked() {
        let answer = refused(&HandshakeError::WrongAccept, Versions::AUTO);
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\nInternal Server Error\n"), "{answer}");
    }

    #[test]
    fn an_application_refuses_with_its_own_words_or_the_usual_ones() {
        let written = |reject_with: &Reject| {
            let mut out = Vec::new();
            reject(reject_with, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            written(&Reject::new(503).because("a secret").header("Retry-After", "9").unwrap()),
            "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 9\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Length: 20\r\n\r\n\
             Service Unavailable\n"
        );
        let unchanged = Reject::new(304).header("ETag", "\"a\"").unwrap().body("not for a 304");
        assert_eq!(
            written(&unchanged),
            "HTTP/1.1 304 Not Modified\r\nConnection: close\r\nETag: \"a\"\r\n\r\n"
        );
        let json = Reject::new(404).header("content-type", "application/json").unwrap();
        assert_eq!(
            written(&json.body("{}")),
            "HTTP/1.1 404 Not Found\r\nConnection: close\r\ncontent-type: application/json\r\n\
             Content-Length: 2\r\n\r\n{}"
        );
    }

    #[test]
    fn every_status_says_what_it_means() {
        let meaning = |status| {
            let mut out = Vec::new();
            reject(&Reject::new(status), &mut out);
            let answer = String::from_utf8(out).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let first = head.lines().next().unwrap();
            let meaning = first.strip_prefix(&format!("HTTP/1.1 {status} ")).unwrap().to_string();
            assert!(!meaning.is_empty(), "{answer}");
            assert!(status == 304 || body == format!("{meaning}\n"), "{answer}");
            meaning
        };
        for status in 300..=599 {
            meaning(status);
        }
        for (status, means) in [
            (402, "Payment Required"),
            (409, "Conflict"),
            (422, "Unprocessable Content"),
            (451, "Unavailable For Legal Reasons"),
            (504, "Gateway Timeout"),
            (306, "Redirection"),
            (499, "Client Error"),
            (599, "Server Error"),
        ] {
            assert_eq!(meaning(status), means);
        }
    }
}
