use ws_proto::{ClientRequest, InvalidHeader, Version};

use super::error::{ConnectError, InvalidOption};
use super::proxy::target::without_credentials;
use super::redirect::is_credential;

/// What a client asks every server for.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) version: Version,
    pub(super) origin: Option<String>,
    pub(super) subprotocols: Vec<String>,
    pub(super) headers: Vec<(String, String)>,
}

impl Ask {
    /// The request for a URL of the application's.
    pub(super) fn request(&self, url: &str) -> Result<ClientRequest, ConnectError> {
        self.for_hop(url, true)
    }

    /// The request for the URL that a redirect led to.
    pub(super) fn for_hop(
        &self,
        url: &str,
        credentials: bool,
    ) -> Result<ClientRequest, ConnectError> {
        let request = ClientRequest::new(url)
            .map_err(|problem| ConnectError::Url { url: without_credentials(url), problem })?;
        Ok(self.put_into(request, credentials).map_err(InvalidOption::from)?)
    }

    /// Whether the options can be sent, to whichever URL.
    pub(super) fn check(&self) -> Result<(), InvalidHeader> {
        ClientRequest::new("ws://localhost/")
            .map_or(Ok(()), |request| self.put_into(request, true).map(drop))
    }

    fn put_into(
        &self,
        request: ClientRequest,
        credentials: bool,
    ) -> Result<ClientRequest, InvalidHeader> {
        let mut request = request.version(self.version);
        if let Some(origin) = &self.origin {
            request = request.origin(origin)?;
        }
        for name in &self.subprotocols {
            request = request.subprotocol(name)?;
        }
        for (name, value) in &self.headers {
            if credentials || !is_credential(name) {
                request = request.header(name, value)?;
            }
        }
        Ok(request)
    }
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            version: Version::Rfc6455,
            origin: None,
            subprotocols: Vec::new(),
            headers: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_about_urls_show_no_password() {
        for url in ["ws://me:secret@a", "ws://me:se/cret@a", "me:secret@a", "me:sec@ret://a@b"] {
            let error = Ask::default().request(url).err().unwrap().to_string();
            assert!(error.contains("***@") && !error.contains("cret"), "{error}");
            assert!(!error.contains("sec"), "{error}");
        }
    }
}
