use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use super::authority::{Authority, Origin};
use super::request::Request;
use crate::http::grammar::{excerpt, is_token};
use crate::{ConfigError, HandshakeError};

/// Which web pages may connect (server role, RFC 6455 section 10.2).
///
/// Browsers send cookies to any server that any page names, and always say which page it is: in
/// `Origin`. Without a check every page can act in the name of its visitor. Other clients may leave
/// `Origin` out or make one up, so a missing one passes unless it is [`required`](Self::required);
/// draft75 and draft76 clients must always send one.
#[derive(Clone, Debug)]
pub struct OriginPolicy {
    rule: Rule,
    required: bool,
}

#[derive(Clone)]
enum Rule {
    SameHost,
    List(Arc<[String]>),
    Any,
    Predicate(Arc<Predicate>),
}

type Predicate = dyn Fn(&OriginRequest<'_>) -> bool + Send + Sync;

impl OriginPolicy {
    /// Pages over http or https from the host and port that `Host` names. The default.
    ///
    /// A port that is left out in `Host` is the default one of the page's scheme, so that a server
    /// behind a proxy that ends TLS needs no setting, as long as the proxy passes `Host` on. nginx
    /// does with `proxy_set_header Host $host`, and otherwise names the server behind it: then every
    /// page is refused, and [`list`](Self::list) is the way.
    pub fn same_host() -> Self {
        Self::new(Rule::SameHost)
    }

    /// Pages from these origins: `https://example.org`, with a port if it is not the default one,
    /// or `https://*.example.org` for every name below `example.org` but not itself.
    ///
    /// An entry of another form is an error of [`ConfigBuilder::build`](crate::ConfigBuilder::build).
    pub fn list<T: Into<String>>(origins: impl IntoIterator<Item = T>) -> Self {
        Self::new(Rule::List(origins.into_iter().map(Into::into).collect()))
    }

    /// Every page. Only for servers that no page can harm: those without cookies, logins and
    /// trust in the client's network address.
    pub fn any() -> Self {
        Self::new(Rule::Any)
    }

    /// Those for which `allows` answers true, requests without an origin included.
    ///
    /// A core runs it within [`poll_event`](crate::Connection::poll_event), and
    /// [`Request::from_parts`] runs it: it must not wait, a panic goes to who called these, and
    /// locks that are held there are held while it runs. Whoever cannot have that configures
    /// [`any`](Self::any) instead, and gives the request to [`judge`](Self::judge) when it is told.
    pub fn predicate(allows: impl Fn(&OriginRequest<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self::new(Rule::Predicate(Arc::new(allows)))
    }

    /// Whether it asks a [`predicate`](Self::predicate), which is code of the application.
    pub fn is_predicate(&self) -> bool {
        matches!(self.rule, Rule::Predicate(_))
    }

    /// The same policy, and requests without an origin are refused.
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    fn new(rule: Rule) -> Self {
        Self { rule, required: false }
    }

    /// What makes no sense in this policy.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let Rule::List(origins) = &self.rule else {
            return Ok(());
        };
        if origins.is_empty() {
            return Err(ConfigError::new("origin", "is an empty list: nobody could connect"));
        }
        match origins.iter().find(|entry| Pattern::parse(entry).is_none()) {
            Some(entry) => Err(ConfigError::new(
                "origin",
                format!(
                    "has the entry {entry:?}: write it like https://example.org or https://*.example.org",
                ),
            )),
            None => Ok(()),
        }
    }

    /// Whether requests without an origin pass, whatever else is in them.
    pub(crate) fn passes_without(&self) -> bool {
        !self.required && !self.is_predicate()
    }

    /// Refuses requests that this policy does not let in. The policy of the configuration has been
    /// asked about every [`Request`] that there is; [`Connection::refuse`](crate::Connection::refuse)
    /// answers one that another policy refuses.
    ///
    /// # Errors
    /// [`HandshakeError::OriginRefused`] or [`HandshakeError::OriginRequired`], with status 403.
    pub fn judge(&self, request: &Request) -> Result<(), HandshakeError> {
        let origin = request.origin();
        if self.required && origin.is_none() {
            return Err(HandshakeError::OriginRequired);
        }
        let allowed = match &self.rule {
            Rule::Any => true,
            Rule::SameHost => origin.is_none_or(|origin| is_same_host(origin, request.host())),
            Rule::List(list) => origin.is_none_or(|origin| is_listed(origin, list)),
            Rule::Predicate(allows) => allows(&OriginRequest { request }),
        };
        if allowed {
            return Ok(());
        }
        Err(origin.map_or(HandshakeError::OriginRequired, |origin| {
            HandshakeError::OriginRefused(excerpt(origin.as_bytes()))
        }))
    }
}

impl Default for OriginPolicy {
    fn default() -> Self {
        Self::same_host()
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameHost => f.write_str("SameHost"),
            Self::List(origins) => f.debug_tuple("List").field(origins).finish(),
            Self::Any => f.write_str("Any"),
            Self::Predicate(_) => f.write_str("Predicate"),
        }
    }
}

/// What an origin predicate decides on.
#[derive(Clone, Copy, Debug)]
pub struct OriginRequest<'a> {
    request: &'a Request,
}

impl<'a> OriginRequest<'a> {
    /// The origin, printable ASCII, or `None` when the client sends none.
    pub fn origin(&self) -> Option<&'a str> {
        self.request.origin()
    }

    /// The host, with its port if the client wrote one.
    pub fn host(&self) -> &'a str {
        self.request.host()
    }

    /// The whole request.
    pub fn request(&self) -> &'a Request {
        self.request
    }
}

/// Which subprotocols a server speaks (RFC 6455 section 1.9).
///
/// A draft75 or draft76 client that asks for a subprotocol gives up when it does not get it. So its
/// request is refused when the subprotocol is not spoken, unless the application chooses.
#[derive(Clone, Debug)]
pub struct SubprotocolPolicy {
    choice: Choice,
    required: bool,
}

#[derive(Clone, Debug)]
enum Choice {
    None,
    List(Arc<[Arc<str>]>),
    Application,
}

impl SubprotocolPolicy {
    /// No subprotocol is spoken. The default.
    pub fn none() -> Self {
        Self { choice: Choice::None, required: false }
    }

    /// The first of these that the client offers, or none when it offers none of them. The names
    /// are tokens; other ones are an error of [`ConfigBuilder::build`](crate::ConfigBuilder::build).
    pub fn list<T: Into<Arc<str>>>(names: impl IntoIterator<Item = T>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        Self { choice: Choice::List(names), required: false }
    }

    /// The application chooses for each request, with [`Accept::subprotocol`](crate::Accept).
    pub fn application() -> Self {
        Self { choice: Choice::Application, required: false }
    }

    /// The same policy, and clients that offer none of the list are refused; without a list, those
    /// that offer none at all.
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// What makes no sense in this policy.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |problem: String| Err(ConfigError::new("subprotocols", problem));
        let names = match &self.choice {
            Choice::None if self.required => {
                return wrong("are required, but none is named: name one".into());
            }
            Choice::List(names) if names.is_empty() => {
                return wrong("are an empty list: name one, or none()".into());
            }
            Choice::List(names) => names,
            Choice::None | Choice::Application => return Ok(()),
        };
        match names.iter().find(|name| !is_token(name.as_bytes())) {
            Some(name) => wrong(format!(
                "have the name {name:?}, which is no token: use letters, digits and -._",
            )),
            None => Ok(()),
        }
    }

    /// Refuses requests that cannot be answered with a subprotocol that satisfies both sides.
    pub(super) fn judge(&self, request: &Request) -> Result<(), HandshakeError> {
        if !self.required && request.version().has_frames() {
            // The answer may choose none of those that are offered.
            return Ok(());
        }
        let offered = request.subprotocols().next();
        let satisfied = match &self.choice {
            Choice::Application => offered.is_some(),
            Choice::None | Choice::List(_) => self.choose(request).is_some(),
        };
        match offered {
            _ if satisfied => Ok(()),
            _ if self.required => Err(HandshakeError::SubprotocolRequired),
            Some(name) if !request.version().has_frames() => {
                Err(HandshakeError::SubprotocolNotSpoken(excerpt(name.as_bytes())))
            }
            _ => Ok(()),
        }
    }

    /// The subprotocol for this request, if there is one.
    pub(super) fn choose(&self, request: &Request) -> Option<Arc<str>> {
        let Choice::List(names) = &self.choice else {
            return None;
        };
        let offered = |name: &&Arc<str>| request.subprotocols().any(|offer| offer == &***name);
        names.iter().find(offered).cloned()
    }
}

impl Default for SubprotocolPolicy {
    fn default() -> Self {
        Self::none()
    }
}

fn is_same_host(origin: &str, host: &str) -> bool {
    let (Some(origin), Some(host)) = (Origin::parse(origin), Authority::parse(host)) else {
        return false;
    };
    let is_web = ["http", "https"].iter().any(|web| origin.scheme.eq_ignore_ascii_case(web));
    is_web && origin.authority.same_as(&host, origin.default_port())
}

fn is_listed(origin: &str, list: &[String]) -> bool {
    let Some(origin) = Origin::parse(origin) else {
        return false;
    };
    list.iter().filter_map(|entry| Pattern::parse(entry)).any(|pattern| pattern.matches(&origin))
}

/// An origin, or with `wildcard` every origin whose host ends in a dot and this one's host.
struct Pattern<'a> {
    origin: Origin<'a>,
    wildcard: bool,
}

impl<'a> Pattern<'a> {
    fn parse(entry: &'a str) -> Option<Self> {
        let wild = entry.split_once("://*.");
        let origin = match wild {
            Some((scheme, authority)) => Origin::new(scheme, authority)?,
            None => Origin::parse(entry)?,
        };
        Some(Self { origin, wildcard: wild.is_some() })
    }

    fn matches(&self, origin: &Origin<'_>) -> bool {
        if !self.origin.scheme.eq_ignore_ascii_case(origin.scheme) {
            return false;
        }
        let mut authority = origin.authority;
        if self.wildcard {
            // `sub.example.org` is compared from its last len(`example.org`) bytes on.
            let parent = self.origin.authority.host.len();
            let below = authority.host.len().checked_sub(parent);
            let split = below.and_then(|below| authority.host.split_at_checked(below));
            match split {
                Some((sub, host)) if sub.len() > 1 && sub.ends_with('.') => authority.host = host,
                _ => return false,
            }
        }
        self.origin.authority.same_as(&authority, origin.default_port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(origin: &str, entry: &str) -> bool {
        is_listed(origin, &[entry.into()])
    }

    #[test]
    fn the_same_host_is_host_and_port() {
        for (origin, host) in [
            ("http://example.org", "example.org"),
            ("http://example.org", "EXAMPLE.org:80"),
            ("https://example.org", "example.org"),
            ("https://example.org", "example.org:443"),
            ("http://example.org:8080", "example.org:8080"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            assert!(is_same_host(origin, host), "{origin} at {host}");
        }
        for (origin, host) in [
            ("null", "null"),
            ("http://example.org", "example.org:8080"),
            ("http://example.org:8080", "example.org"),
            ("https://example.org", "example.org:80"),
            ("http://sub.example.org", "example.org"),
            ("http://example.org.evil.example", "example.org"),
            ("http://example.org/", "example.org"),
            ("http://example.org@evil.example", "example.org"),
            ("http://a http://example.org", "example.org"),
            ("chrome-extension://example.org", "example.org"),
            ("file://", "example.org"),
        ] {
            assert!(!is_same_host(origin, host), "{origin} at {host}");
        }
    }

    #[test]
    fn listed_origins_are_exact() {
        assert!(listed("https://Example.org", "https://example.org"));
        assert!(listed("https://example.org:443", "https://example.org"));
        assert!(listed("tauri://localhost", "tauri://localhost"));
        for other in [
            "http://example.org",
            "https://example.org:8443",
            "https://sub.example.org",
            "https://evilexample.org",
            "null",
        ] {
            assert!(!listed(other, "https://example.org"), "{other}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_names_below_and_not_for_the_name() {
        let entry = "https://*.example.org:8443";
        assert!(listed("https://a.example.org:8443", entry));
        assert!(listed("https://a.b.EXAMPLE.org:8443", entry));
        for other in [
            "https://example.org:8443",
            "https://.example.org:8443",
            "https://evilexample.org:8443",
            "https://a.example.org",
            "http://a.example.org:8443",
            "https://a.example.org.evil.example:8443",
        ] {
            assert!(!listed(other, entry), "{other}");
        }
    }

    #[test]
    fn policies_that_make_no_sense_are_told() {
        assert!(OriginPolicy::list(["https://example.org", "http://*.a:81"]).check().is_ok());
        assert!(OriginPolicy::list([""; 0]).check().is_err());
        for entry in ["example.org", "https://", "https://a/", "*", "https://*", "https://a.*.b"] {
            assert!(OriginPolicy::list([entry]).check().is_err(), "{entry}");
        }
        assert!(SubprotocolPolicy::list(["chat", "v2.chat"]).required().check().is_ok());
        assert!(SubprotocolPolicy::application().required().check().is_ok());
        assert!(SubprotocolPolicy::none().required().check().is_err());
        assert!(SubprotocolPolicy::list([""; 0]).check().is_err());
        assert!(SubprotocolPolicy::list(["two words"]).check().is_err());
    }
}
