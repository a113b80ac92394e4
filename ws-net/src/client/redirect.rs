use ws_proto::{ClientRequest, InvalidUrl};

/// Why a redirect is not followed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// None is followed by this client.
    #[error("redirects are not followed: allow some with max_redirects, or use that URL")]
    NotFollowed,
    /// It is one more than the limit.
    #[error("that is one more redirect than the limit of {0}")]
    TooMany(usize),
    /// From TLS to a plain connection.
    #[error("it leads from TLS to a plain connection, which is never followed")]
    Downgrade,
    /// The new URL is wrong.
    #[error("{0}")]
    Url(#[source] InvalidUrl),
    /// The stream was given by the caller, so it leads to one server only.
    #[error("a stream that was given cannot lead elsewhere: connect to that URL")]
    GivenStream,
}

/// Where a redirect leads.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Hop {
    pub(super) url: String,
    /// Whether it stays on the scheme, host and port, so that credentials may be sent there.
    pub(super) same_origin: bool,
}

/// Where `location` leads from the URL of `from`.
pub(super) fn follow(from: &ClientRequest, location: &str) -> Result<Hop, RedirectError> {
    // Browsers put up with characters that may be in no URL, so some servers send them.
    let url = resolve(&from.url(), &ClientRequest::encode(location));
    let next = ClientRequest::new(&url).map_err(RedirectError::Url)?;
    if from.is_secure() && !next.is_secure() {
        return Err(RedirectError::Downgrade);
    }
    let same_origin = from.is_secure() == next.is_secure()
        && (from.host(), from.port()) == (next.host(), next.port());
    Ok(Hop { url: next.url(), same_origin })
}

/// Whether a header is meant for one server only (the headers that browsers and curl leave out on
/// the way to another origin).
pub(super) fn is_credential(name: &str) -> bool {
    ["Authorization", "Cookie", "Cookie2", "Proxy-Authorization", "WWW-Authenticate"]
        .iter()
        .any(|credential| name.eq_ignore_ascii_case(credential))
}

/// The URL that a reference means (RFC 3986 section 5.2), without its fragment. `base` is
/// normalised and has a path. `http` and `https` stand for `ws` and `wss`: many servers write
/// them.
fn resolve(base: &str, location: &str) -> String {
    let location = location.split('#').next().unwrap_or_default();
    if let Some((scheme, rest)) = split_scheme(location) {
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => "ws".to_owned(),
            "https" => "wss".to_owned(),
            _ => scheme.to_owned(),
        };
        return format!("{scheme}:{rest}");
    }
    let (scheme, rest) = base.split_once("://").unwrap_or((base, ""));
    if location.starts_with("//") {
        return format!("{scheme}:{location}");
    }
    let (authority, resource) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = resource.split('?').next().unwrap_or_default();
    let folder = path.rfind('/').and_then(|slash| path.get(..=slash)).unwrap_or("/");
    let resource = match location.chars().next() {
        None => resource.to_owned(),
        Some('?') => [path, location].concat(),
        Some('/') => without_dots(location),
        Some(_) => without_dots(&[folder, location].concat()),
    };
    format!("{scheme}://{authority}{resource}")
}

/// A scheme and what is behind its colon, when there is one (RFC 3986 section 3.1).
fn split_scheme(location: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = location.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

/// The resource without `.` and `..` in its path (RFC 3986 section 5.2.4).
fn without_dots(resource: &str) -> String {
    let (path, query) = resource.split_at(resource.find('?').unwrap_or(resource.len()));
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if last {
            kept.push("");
        }
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved() {
        for (location, url) in [
            ("ws://b.example/x", "ws://b.example/x"),
            ("WS://B.example", "ws://b.example/"),
            ("http://b.example/x", "ws://b.example/x"),
            ("https://b.example:444/x#top", "wss://b.example:444/x"),
            ("//b.example/x?y", "ws://b.example/x?y"),
            ("/x/../y?q=/../z", "ws://a.example:81/y?q=/../z"),
            ("/", "ws://a.example:81/"),
            ("x", "ws://a.example:81/dir/x"),
            ("../x", "ws://a.example:81/x"),
            ("../../../x/.", "ws://a.example:81/x/"),
            ("./", "ws://a.example:81/dir/"),
            ("?other", "ws://a.example:81/dir/file?other"),
            ("#top", "ws://a.example:81/dir/file?q"),
            ("/a|b?{c}=5%&d=%20", "ws://a.example:81/a%7Cb?%7Bc%7D=5%25&d=%20"),
        ] {
            let from = ClientRequest::new("ws://a.example:81/dir/file?q").unwrap();
            let same_origin = url.starts_with("ws://a.example:81/");
            let hop = Hop { url: url.into(), same_origin };
            assert_eq!(follow(&from, location), Ok(hop), "{location}");
        }
    }

    #[test]
    fn each_hop_is_judged() {
        let from = ClientRequest::new("wss://a.example/").unwrap();
        for (location, error) in [
            ("ws://a.example/", RedirectError::Downgrade),
            ("http://a.example/", RedirectError::Downgrade),
            ("ftp://a/", RedirectError::Url(InvalidUrl::Scheme("ftp".into()))),
            ("wss://me@a/", RedirectError::Url(InvalidUrl::UserInfo)),
            ("/\u{e9}", RedirectError::Url(InvalidUrl::Character('\u{e9}'))),
        ] {
            assert_eq!(follow(&from, location), Err(error), "{location}");
        }
    }
}
