mod error;
pub use error::ConfigError;

mod limits;
pub use limits::Limits;

mod timeouts;
pub use timeouts::Timeouts;

use alloc::format;

use crate::deflate::Deflate;
use crate::{OriginPolicy, SubprotocolPolicy, UnknownVersion, Versions};

/// How connections behave; shared by all connections of an endpoint.
///
/// Made with [`Config::builder`]. A value of this type is always valid.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) versions: Versions,
    pub(crate) origin: OriginPolicy,
    pub(crate) subprotocols: SubprotocolPolicy,
    pub(crate) deflate: Option<Deflate>,
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    pub(crate) secure: bool,
    pub(crate) hand_over_http: bool,
}

impl Config {
    /// Starts from the defaults.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::new(Self::default())
    }

    /// Starts from this configuration.
    pub fn into_builder(self) -> ConfigBuilder {
        ConfigBuilder::new(self)
    }

    /// The versions that are spoken.
    pub fn versions(&self) -> Versions {
        self.versions
    }

    /// Which origins may connect.
    pub fn origin(&self) -> &OriginPolicy {
        &self.origin
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The timeouts.
    pub fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// Whether clients reach this server over TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }
}

/// All versions, same-origin, no subprotocols, the default limits and timeouts.
impl Default for Config {
    fn default() -> Self {
        Self {
            versions: Versions::AUTO,
            origin: OriginPolicy::default(),
            subprotocols: SubprotocolPolicy::default(),
            deflate: None,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            secure: false,
            hand_over_http: false,
        }
    }
}

/// Builds a [`Config`]; what makes no sense is an error that names the option.
#[derive(Clone, Debug)]
#[must_use]
pub struct ConfigBuilder {
    config: Config,
    unknown_version: Option<UnknownVersion>,
}

impl ConfigBuilder {
    fn new(config: Config) -> Self {
        Self { config, unknown_version: None }
    }

    /// The versions to speak (server role; a client speaks that of its
    /// [`ClientRequest`](crate::ClientRequest)): [`Versions`], a [`Version`](crate::Version), or a
    /// text such as `"auto"` or `"draft76,rfc6455"`. A text that names another one is an error of
    /// [`build`](Self::build). Default: [`Versions::AUTO`].
    pub fn versions(
        mut self,
        versions: impl TryInto<Versions, Error: Into<UnknownVersion>>,
    ) -> Self {
        match versions.try_into() {
            Ok(versions) => (self.config.versions, self.unknown_version) = (versions, None),
            Err(error) => self.unknown_version = Some(error.into()),
        }
        self
    }

    /// Which origins may connect (server role), on every version. Default: the same host, see
    /// [`OriginPolicy::same_host`].
    pub fn origin(mut self, origin: OriginPolicy) -> Self {
        self.config.origin = origin;
        self
    }

    /// Which subprotocols are spoken (server role). Default: none.
    pub fn subprotocols(mut self, subprotocols: SubprotocolPolicy) -> Self {
        self.config.subprotocols = subprotocols;
        self
    }

    /// Whether and how messages are compressed (RFC 7692), on connections of RFC 6455 whose peer
    /// agrees to it. Default: `None`, they are not.
    #[cfg(feature = "deflate")]
    pub fn deflate(mut self, deflate: impl Into<Option<Deflate>>) -> Self {
        self.config.deflate = deflate.into();
        self
    }

    /// The limits. Default: [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// The timeouts. Default: [`Timeouts::default`].
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.config.timeouts = timeouts;
        self
    }

    /// Whether clients reach this server over TLS, ended here or at a proxy. draft75 and draft76
    /// answers say `wss://` then, which their clients compare. Default: no.
    pub fn secure(mut self, secure: bool) -> Self {
        self.config.secure = secure;
        self
    }

    /// Whether a request that asks for no WebSocket is handed over as
    /// [`Event::Http`](crate::Event::Http) instead of being answered with 426. One without a good
    /// `Host`, which HTTP/1.0 may leave out, is answered with 400 in either case (RFC 9112 section
    /// 3.2). Default: no.
    pub fn hand_over_http(mut self, hand_over: bool) -> Self {
        self.config.hand_over_http = hand_over;
        self
    }

    /// Checks the options and makes the configuration.
    ///
    /// # Errors
    /// [`ConfigError`] names the first option that makes no sense.
    pub fn build(self) -> Result<Config, ConfigError> {
        let Config { versions, origin, subprotocols, deflate, limits, timeouts, .. } = &self.config;
        if let Some(unknown) = self.unknown_version {
            return Err(ConfigError::new("versions", format!("are not understood: {unknown}")));
        }
        if versions.is_empty() {
            return Err(ConfigError::new("versions", "are empty: name at least one, or auto"));
        }
        origin.check()?;
        subprotocols.check()?;
        deflate.as_ref().map_or(Ok(()), Deflate::check)?;
        limits.check()?;
        timeouts.check()?;
        Ok(self.config)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use core::time::Duration;

    use super::*;
    use crate::Version;

    fn refused(config: ConfigBuilder) -> &'static str {
        config.build().unwrap_err().option
    }

    #[test]
    fn defaults_make_sense() {
        assert!(Config::builder().build().is_ok());
    }

    #[test]
    fn errors_name_the_option() {
        assert_eq!(refused(Config::builder().versions(Versions::NONE)), "versions");
        assert_eq!(refused(Config::builder().versions("draft74")), "versions");
        let limits = Limits { max_message: 0, ..Limits::default() };
        assert_eq!(refused(Config::builder().limits(limits)), "max_message");
        let limits = Limits { outbound_low: 9, outbound_high: 9, ..Limits::default() };
        assert_eq!(refused(Config::builder().limits(limits)), "outbound_low");
        let timeouts = Timeouts { ping_interval: Some(Duration::ZERO), ..Timeouts::default() };
        assert_eq!(refused(Config::builder().timeouts(timeouts)), "ping_interval");
        let timeouts = Timeouts { lifetime: Some(Duration::ZERO), ..Timeouts::default() };
        assert_eq!(refused(Config::builder().timeouts(timeouts)), "lifetime");
    }

    #[test]
    fn each_field_is_set_by_the_method_of_its_name() {
        let limits = Limits::new().max_head(1).max_uri(2).max_headers(3).max_message(4);
        let limits = limits.max_streamed(5).max_frame(6).max_fragments(7);
        let limits = limits.max_control_per_second(8).outbound_high(9).outbound_low(10);
        let expected = Limits {
            max_head: 1,
            max_uri: 2,
            max_headers: 3,
            max_message: 4,
            max_streamed: Some(5),
            max_frame: Some(6),
            max_fragments: 7,
            max_control_per_second: 8,
            outbound_high: 9,
            outbound_low: 10,
        };
        assert_eq!(limits, expected);
        let seconds = Duration::from_secs;
        let timeouts = Timeouts::new().handshake(seconds(1)).close(seconds(2)).pong(seconds(3));
        let timeouts = timeouts.close_sentinel(seconds(4)).linger(seconds(5)).stall(seconds(6));
        let timeouts = timeouts.ping_interval(None).idle(seconds(7)).idle_drafts(seconds(8));
        let expected = Timeouts {
            handshake: seconds(1),
            close: seconds(2),
            pong: seconds(3),
            close_sentinel: seconds(4),
            linger: seconds(5),
            stall: seconds(6),
            ping_interval: None,
            idle: Some(seconds(7)),
            idle_drafts: Some(seconds(8)),
            lifetime: Some(seconds(9)),
        };
        assert_eq!(timeouts.lifetime(seconds(9)), expected);
    }

    #[test]
    fn errors_show_the_value() {
        let limits = Limits { outbound_low: 9, outbound_high: 8, ..Limits::default() };
        for (builder, value) in [
            (Config::builder().versions("draft76,draft74"), "\"draft74\": use auto, draft75"),
            (Config::builder().origin(OriginPolicy::list(["example.org"])), "\"example.org\""),
            (Config::builder().subprotocols(SubprotocolPolicy::list(["a b"])), "\"a b\""),
            (Config::builder().limits(limits), "is 9, not below outbound_high (8)"),
        ] {
            let error = builder.build().unwrap_err().to_string();
            assert!(error.contains(value), "{error}");
        }
    }

    #[test]
    fn versions_may_be_named() {
        let versions = |builder: ConfigBuilder| builder.build().unwrap().versions();
        assert_eq!(versions(Config::builder().versions("auto")), Versions::AUTO);
        assert_eq!(versions(Config::builder().versions(String::from("draft76"))), {
            Versions::from(Version::Draft76)
        });
        let mended = Config::builder().versions("draft74").versions(Version::Rfc6455);
        assert_eq!(versions(mended), Versions::RFC6455);
    }
}
