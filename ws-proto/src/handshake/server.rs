use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::agreed::Agreed;
use super::decision::{Accept, Chosen};
use super::judge::{asks_for_websocket, check_host, judge};
use super::request::Request;
use super::{draft75, draft76, rfc6455};
use crate::http::first_line::RequestLine;
use crate::http::{Head, HeadReader};
use crate::{CommandError, Config, HandshakeError, RecvBuf, Version};

/// The server's half of a handshake, up to the request.
#[derive(Debug, Default)]
pub(crate) struct ServerHandshake {
    reader: HeadReader<RequestLine>,
}

/// What came of the bytes so far.
#[derive(Debug)]
pub(crate) enum ServerStep {
    /// More bytes are needed.
    NeedInput,
    /// A request that passed every check. What is behind its head is still in the input.
    Request(Request),
    /// Ordinary HTTP to hand over: all bytes that came, the head and what was behind it.
    Http(Bytes),
}

impl ServerHandshake {
    /// Reads on.
    pub(crate) fn poll(
        &mut self,
        input: &mut RecvBuf,
        config: &Config,
    ) -> Result<ServerStep, HandshakeError> {
        let Some(head) = self.reader.poll(input, &config.limits)? else {
            return Ok(ServerStep::NeedInput);
        };
        if config.hand_over_http && !asks_for_websocket(&head) {
            check_host(&head)?;
            let all = [head.headers.head(), input.unread()].concat();
            input.consume(input.len());
            return Ok(ServerStep::Http(all.into()));
        }
        judge(head, config).map(ServerStep::Request)
    }

    /// Whether the answer is to have no content, because it is one to HEAD (RFC 9110 section
    /// 9.3.2).
    pub(crate) fn wants_no_content(&self) -> bool {
        self.reader.line().is_head()
    }
}

impl Request {
    /// Judges a request whose head was read elsewhere, by the same rules as one that the
    /// connection reads: `minor` is the y of its HTTP/1.y, `headers` are in the order and with the
    /// bytes in which they came.
    ///
    /// The 8 bytes behind a draft76 request are not a part of it: they are the first input of the
    /// connection. Libraries that trim header values make the keys of some old draft76 clients
    /// wrong, which have blanks at their ends.
    ///
    /// # Errors
    /// [`HandshakeError`] with the status to answer; ordinary HTTP/1.1 with a good `Host` is
    /// [`HandshakeError::NoUpgrade`], whatever the configuration says.
    pub fn from_parts<'a>(
        method: &str,
        target: &str,
        minor: u8,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        config: &Config,
    ) -> Result<Self, HandshakeError> {
        judge(Head::from_parts(method, target, minor, headers, &config.limits)?, config)
    }
}

/// Appends the answer that accepts the request, for draft76 without the 16 bytes behind it. On an
/// error nothing is appended, and another answer can be given.
pub(crate) fn answer(
    request: &Request,
    accept: &Accept,
    config: &Config,
    out: &mut Vec<u8>,
) -> Result<Agreed, CommandError> {
    let version = request.version();
    let subprotocol = choose_subprotocol(request, accept, config)?;
    // permessage-deflate belongs to RFC 6455; the drafts before it had another extension.
    let options = config.deflate.as_ref().filter(|_| version == Version::Rfc6455);
    let deflate = options.and_then(|options| options.choose(request.headers()));
    let (name, extra) = (subprotocol.as_deref(), accept.headers.as_bytes());
    match version {
        Version::Draft75 => draft75::write_answer(request, name, extra, config.secure, out),
        Version::Draft76 => draft76::write_answer(request, name, extra, config.secure, out),
        Version::Hybi07 | Version::Hybi08 | Version::Rfc6455 => {
            rfc6455::write_answer(request, name, deflate, extra, out);
        }
    }
    Ok(Agreed::new(version, subprotocol, deflate))
}

fn choose_subprotocol(
    request: &Request,
    accept: &Accept,
    config: &Config,
) -> Result<Option<Arc<str>>, CommandError> {
    let chosen = match &accept.subprotocol {
        Chosen::ByPolicy => config.subprotocols.choose(request),
        Chosen::Nothing => None,
        Chosen::This(name) if request.subprotocols().any(|offered| offered == &**name) => {
            Some(Arc::clone(name))
        }
        Chosen::This(name) => return Err(CommandError::NotOffered(String::from(&**name))),
    };
    let gives_up = !request.version().has_frames() && request.subprotocols().next().is_some();
    if chosen.is_none() && gives_up {
        return Err(CommandError::SubprotocolNeeded(request.version()));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::SubprotocolPolicy;
    use crate::handshake::testing::serve;

    /// A request of each version that asks for `chat, v2` as far as it can.
    fn request(version: Version) -> String {
        let older = "GET /x HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: a\r\n";
        let newer = "Connection: Upgrade\r\nHost: a\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
        match version.number() {
            Some(number) => format!(
                "GET /x HTTP/1.1\r\nUpgrade: websocket\r\n{newer}\r\n\
                 Sec-WebSocket-Version: {number}\r\nSec-WebSocket-Protocol: chat, v2\r\n\r\n"
            ),
            None if version == Version::Draft76 => format!(
                "{older}Origin: http://a\r\nSec-WebSocket-Key1: 1 2\r\n\
                 Sec-WebSocket-Key2: 3 4\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
            ),
            None => format!("{older}Origin: http://a\r\nWebSocket-Protocol: chat\r\n\r\n"),
        }
    }

    fn config(policy: SubprotocolPolicy) -> Config {
        Config::builder().subprotocols(policy).build().unwrap()
    }

    fn accept(version: Version, accept: &Accept, config: &Config) -> Result<String, CommandError> {
        let mut out = b"before".to_vec();
        let request = serve(request(version), config).unwrap();
        let agreed = answer(&request, accept, config, &mut out);
        let out = String::from_utf8(out).unwrap();
        match agreed {
            Ok(agreed) => {
                assert_eq!(agreed.version, version);
                let line =
                    agreed.subprotocol().map(|name| format!("WebSocket-Protocol: {name}\r\n"));
                assert_eq!(out.contains("WebSocket-Protocol"), line.is_some());
                assert!(out.contains(&line.unwrap_or_default()), "{out}");
                Ok(out.replacen("before", "", 1))
            }
            Err(error) => {
                assert_eq!(out, "before", "nothing is written on an error");
                Err(error)
            }
        }
    }

    #[test]
    fn the_answer_of_rfc6455_is_that_of_the_rfc() {
        let with_header = Accept::new().header("Set-Cookie", "a=1").unwrap();
        let out = accept(Version::Rfc6455, &with_header, &config(SubprotocolPolicy::list(["v2"])));
        assert_eq!(
            out.unwrap(),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
             Sec-WebSocket-Protocol: v2\r\nSet-Cookie: a=1\r\n\r\n"
        );
    }

    #[test]
    fn each_client_gets_the_upgrade_in_the_case_that_it_compares() {
        for version in Version::ALL {
            let out = accept(version, &Accept::new(), &config(SubprotocolPolicy::list(["chat"])));
            let upgrade = if version.has_frames() { "websocket" } else { "WebSocket" };
            assert!(out.unwrap().contains(&format!("\r\nUpgrade: {upgrade}\r\n")), "{version}");
        }
    }

    #[test]
    fn the_servers_order_of_subprotocols_counts() {
        for (list, chosen) in [(["v2", "chat", "none"], "v2"), (["none", "chat", "v2"], "chat")] {
            let config = config(SubprotocolPolicy::list(list));
            let out = accept(Version::Rfc6455, &Accept::new(), &config).unwrap();
            assert!(out.contains(&format!("Sec-WebSocket-Protocol: {chosen}\r\n")), "{out}");
        }
    }

    #[test]
    fn no_subprotocol_is_answered_that_was_not_asked_for() {
        for version in Version::ALL {
            let config = config(SubprotocolPolicy::application());
            let other = accept(version, &Accept::new().subprotocol("other"), &config);
            assert_eq!(other, Err(CommandError::NotOffered("other".into())), "{version}");
            let partial = accept(version, &Accept::new().subprotocol("cha"), &config);
            assert_eq!(partial, Err(CommandError::NotOffered("cha".into())), "{version}");
            assert!(accept(version, &Accept::new().subprotocol("chat"), &config).is_ok());
        }
    }

    #[test]
    fn what_was_chosen_before_is_left_out_when_it_was_not_offered() {
        for version in Version::ALL {
            let config = config(SubprotocolPolicy::list(["chat"]));
            let asked = serve(request(version), &config).unwrap();
            let choice = |name: &str| Accept::new().subprotocol(name).if_offered(&asked);
            for (choice, chosen) in [
                (choice("chat"), Some("chat")),
                (choice("other"), Some("chat")),
                (Accept::new().no_subprotocol().if_offered(&asked), None),
            ] {
                let answered = choose_subprotocol(&asked, &choice, &config);
                match answered {
                    Err(CommandError::SubprotocolNeeded(_)) if !version.has_frames() => {
                        assert_eq!(chosen, None);
                    }
                    answered => assert_eq!(answered.unwrap().as_deref(), chosen, "{version}"),
                }
            }
        }
    }

    #[test]
    fn drafts_are_not_left_without_the_subprotocol_they_asked_for() {
        for version in Version::ALL {
            let expected = match version {
                Version::Draft75 | Version::Draft76 => {
                    Err(CommandError::SubprotocolNeeded(version))
                }
                _ => Ok(()),
            };
            let listed = config(SubprotocolPolicy::list(["chat"]));
            let none = accept(version, &Accept::new().no_subprotocol(), &listed);
            assert_eq!(none.map(|_| ()), expected, "{version}");
            let open = config(SubprotocolPolicy::application());
            assert_eq!(accept(version, &Accept::new(), &open).map(|_| ()), expected, "{version}");
        }
    }

    #[test]
    fn ordinary_http_is_handed_over_with_all_its_bytes() {
        let config = Config::builder().hand_over_http(true).build().unwrap();
        for request in [
            "POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\na=b&",
            "HEAD / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.0\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\nGET /next HTTP/1.1\r\n\r\n",
        ] {
            let head = request.find("\r\n\r\n").unwrap() + 4;
            for size in [request.len(), head, 1] {
                let mut handshake = ServerHandshake::default();
                let mut input = RecvBuf::default();
                let mut fed = 0;
                let bytes = loop {
                    let end = (fed + size).min(request.len());
                    fed += input.feed(&request.as_bytes()[fed..end]);
                    if let ServerStep::Http(bytes) = handshake.poll(&mut input, &config).unwrap() {
                        break bytes;
                    }
                };
                assert!(input.is_idle());
                assert!(fed >= head, "not before the head is complete");
                assert_eq!(bytes, request.as_bytes()[..fed], "in pieces of {size}");
            }
        }
    }

    #[test]
    fn http_without_one_good_host_is_not_handed_over() {
        for hand_over in [true, false] {
            let config = Config::builder().hand_over_http(hand_over).build().unwrap();
            for (fields, error) in [
                ("", HandshakeError::Missing("Host")),
                ("Host: a\r\nHost: a\r\n", HandshakeError::Duplicate("Host")),
                ("Host: a b\r\n", HandshakeError::InvalidHost("a b".into())),
                ("Host:\r\n", HandshakeError::InvalidHost(String::new())),
            ] {
                for line in ["GET / HTTP/1.1", "POST /form HTTP/1.1", "OPTIONS * HTTP/1.1"] {
                    let refused = serve(format!("{line}\r\n{fields}\r\n"), &config);
                    assert_eq!(refused.unwrap_err(), error, "{line}");
                }
                if !fields.is_empty() {
                    let refused = serve(format!("GET / HTTP/1.0\r\n{fields}\r\n"), &config);
                    assert_eq!(refused.unwrap_err(), error, "HTTP/1.0 may leave it out only");
                }
            }
        }
    }

    #[test]
    fn bad_websocket_requests_and_bad_syntax_are_not_handed_over() {
        let config = Config::builder().hand_over_http(true).build().unwrap();
        for request in [
            request(Version::Rfc6455).replace("GET", "POST"),
            request(Version::Rfc6455).replace("Upgrade: websocket", "X: y"),
            "GET / HTTP/1.1\nHost: a\n\n".into(),
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n".into(),
        ] {
            let error = serve(&request, &config).unwrap_err();
            assert!(matches!(error.status(), Some(400 | 405)), "{error}");
        }
    }
}
