use crate::http::first_line::StatusLine;
use crate::http::{Head, Headers};

/// A server's answer to the request of a client: its status and its header fields, as they were
/// received. The body that a refusal may have is not read.
///
/// Cloning shares it.
#[derive(Clone, Debug)]
pub struct Response {
    status: u16,
    headers: Headers,
}

impl Response {
    pub(crate) fn new(head: &Head<StatusLine>) -> Self {
        Self { status: head.line.status, headers: head.headers.clone() }
    }

    /// The status; 101 accepts.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The header fields as they were received, such as `Set-Cookie`, and `WWW-Authenticate` or
    /// `Retry-After` of a refusal.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }
}

/// Answers with the same bytes are equal.
impl PartialEq for Response {
    fn eq(&self, other: &Self) -> bool {
        self.headers.head() == other.headers.head()
    }
}

impl Eq for Response {}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;

    use crate::handshake::testing::ask;
    use crate::{ClientRequest, Config, RecvBuf, Version};

    #[test]
    fn a_refusal_is_kept_as_it_came() {
        for version in Version::ALL {
            let request = ClientRequest::new("ws://a/").unwrap().version(version);
            let (mut handshake, _) = ask(&request);
            let mut input = RecvBuf::default();
            input.feed(
                b"HTTP/1.1 401 x\r\nset-cookie: a=1\r\nSet-Cookie:  b=2 \r\n\
                  WWW-Authenticate: Basic\r\n\r\nwho are you?",
            );
            assert!(handshake.poll(&mut input, &Config::default()).is_err());
            let response = handshake.take_response().expect("the head was read");
            assert_eq!((response.status(), response.headers().len()), (401, 3), "{version}");
            let cookies: Vec<_> = response.headers().get_all("Set-Cookie").collect();
            assert_eq!(cookies, [b"a=1", b"b=2"]);
            assert_eq!(response, response.clone());
            assert!(format!("{response:?}").contains("WWW-Authenticate"));
        }
    }

    #[test]
    fn what_is_no_answer_is_not_kept() {
        let request = ClientRequest::new("ws://a/").unwrap();
        let (mut handshake, _) = ask(&request);
        let mut input = RecvBuf::default();
        input.feed(b"HTTP/1.1 200 OK\r\n a: b\r\n\r\n");
        assert!(handshake.poll(&mut input, &Config::default()).is_err());
        assert!(handshake.take_response().is_none());
    }
}
