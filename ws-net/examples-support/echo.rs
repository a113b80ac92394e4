//! The options of the echo server.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::Arg;

use crate::support::value;
use crate::ws::{Deflate, Limits, OriginPolicy, SubprotocolPolicy, Timeouts, Tls, Versions};

const USAGE: &str = "\
usage: echo [options]
  --listen ADDRESS         where to listen, default 127.0.0.1:9001
  --versions LIST          auto (default), or of: draft75,draft76,hybi-07,hybi-08,rfc6455
  --origin ORIGIN          an origin that may connect, repeatable; * for any; default: same host
  --subprotocol NAME       a subprotocol that is spoken, repeatable
  --close-on TEXT          close the connection when this text comes
  --deflate                compress messages for clients that agree to it (RFC 7692)
  --deflate-takeover       the same, each message with those before it as context
  --deflate-level N        the same, 2 (fast) to 9 (small), default 6
  --max-message BYTES      limit of a message and of a frame, default 1048576
  --tls-cert FILE          speak TLS with this certificate (PEM); needs --tls-key
  --tls-key FILE           its private key (PEM)
  --handshake-timeout S    seconds, default 10
  --close-timeout S        seconds, default 15
  --threads N              threads of the runtime, default 1
  --help                   this text";

/// What the command line says.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) listen: String,
    pub(crate) versions: Versions,
    pub(crate) origin: OriginPolicy,
    pub(crate) subprotocols: SubprotocolPolicy,
    pub(crate) close_on: Option<String>,
    pub(crate) deflate: Option<Deflate>,
    pub(crate) tls: Option<Tls>,
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    pub(crate) threads: usize,
}

impl Options {
    /// The options of this program.
    pub(crate) fn from_env() -> Result<Self, String> {
        Self::parse(std::env::args_os().skip(1))
    }

    /// The options in `args`. An unknown option is an error that names it.
    pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut parser = lexopt::Parser::from_args(args);
        let (mut origins, mut subprotocols) = (Vec::<String>::new(), Vec::<String>::new());
        let (mut certificate, mut key) = (None::<PathBuf>, None::<PathBuf>);
        let mut options = Self {
            listen: "127.0.0.1:9001".into(),
            versions: Versions::AUTO,
            origin: OriginPolicy::same_host(),
            subprotocols: SubprotocolPolicy::none(),
            close_on: None,
            deflate: None,
            tls: None,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            threads: 1,
        };
        while let Some(arg) = parser.next().map_err(wrong_use)? {
            let Arg::Long(name) = arg else { return Err(wrong_use(arg.unexpected())) };
            let name = format!("--{name}");
            let parser = &mut parser;
            match name.as_str() {
                "--listen" => options.listen = value(&name, parser)?,
                "--versions" => options.versions = value(&name, parser)?,
                "--origin" => origins.push(value(&name, parser)?),
                "--subprotocol" => subprotocols.push(value(&name, parser)?),
                "--close-on" => options.close_on = Some(value(&name, parser)?),
                "--deflate" => options.change_deflate(|deflate| deflate),
                "--deflate-takeover" => options.change_deflate(|deflate| {
                    deflate.server_no_context_takeover(false).client_no_context_takeover(false)
                }),
                "--deflate-level" => {
                    let level = value(&name, parser)?;
                    options.change_deflate(|deflate| deflate.level(level));
                }
                "--max-message" => options.limits.max_message = value(&name, parser)?,
                "--tls-cert" => certificate = Some(value(&name, parser)?),
                "--tls-key" => key = Some(value(&name, parser)?),
                "--handshake-timeout" => options.timeouts.handshake = seconds(&name, parser)?,
                "--close-timeout" => options.timeouts.close = seconds(&name, parser)?,
                "--threads" => options.threads = value::<NonZeroUsize>(&name, parser)?.get(),
                "--help" => {
                    println!("{USAGE}");
                    std::process::exit(0);
                }
                _ => return Err(wrong_use(format!("unknown option {name}"))),
            }
        }
        if origins.iter().any(|origin| origin == "*") {
            options.origin = OriginPolicy::any();
        } else if !origins.is_empty() {
            options.origin = OriginPolicy::list(origins);
        }
        options.tls = tls(certificate, key)?;
        if !subprotocols.is_empty() {
            options.subprotocols = SubprotocolPolicy::list(subprotocols);
        }
        Ok(options)
    }

    fn change_deflate(&mut self, change: impl FnOnce(Deflate) -> Deflate) {
        self.deflate = Some(change(self.deflate.take().unwrap_or_default()));
    }
}

fn tls(certificate: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<Tls>, String> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            Tls::from_pem_files(certificate, key).map(Some).map_err(|error| error.to_string())
        }
        (None, None) => Ok(None),
        _ => Err(wrong_use("--tls-cert and --tls-key belong together")),
    }
}

fn seconds(name: &str, parser: &mut lexopt::Parser) -> Result<Duration, String> {
    let seconds: f64 = value(name, parser)?;
    Duration::try_from_secs_f64(seconds).map_err(|error| format!("{name}: {seconds}: {error}"))
}

fn wrong_use(error: impl std::fmt::Display) -> String {
    format!("{error}\n{USAGE}")
}
