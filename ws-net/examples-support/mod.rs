//! What the examples of every runtime share: options, logs and Ctrl-C.
// Each example uses a part of it.
#![allow(dead_code)]

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use crate::ws::ConfigError;

/// The value of an option, or an error that names it.
pub(crate) fn value<T: FromStr<Err: Display>>(
    option: &str,
    parser: &mut lexopt::Parser,
) -> Result<T, String> {
    let value = parser.value().map_err(|error| error.to_string())?;
    parse(option, &value)
}

/// The options of the chat.
pub(crate) struct ChatOptions {
    pub(crate) listen: String,
    /// The files of a certificate and its key, for `https://` and `wss://`.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
}

impl ChatOptions {
    /// The options of this program; what is unknown is an error that names it.
    pub(crate) fn from_env() -> Result<Self, String> {
        const USAGE: &str = "\
usage: chat [options]
  --listen ADDRESS         where to listen, default 127.0.0.1:8080
  --tls-cert FILE          speak TLS with this certificate (PEM); needs --tls-key
  --tls-key FILE           its private key (PEM)
  --help                   this text";
        let mut parser = lexopt::Parser::from_env();
        let (mut listen, mut certificate, mut key) = ("127.0.0.1:8080".to_owned(), None, None);
        while let Some(arg) = parser.next().map_err(|error| format!("{error}\n{USAGE}"))? {
            match arg {
                lexopt::Arg::Long("listen") => listen = value("--listen", &mut parser)?,
                lexopt::Arg::Long("tls-cert") => certificate = Some(file(&mut parser)?),
                lexopt::Arg::Long("tls-key") => key = Some(file(&mut parser)?),
                lexopt::Arg::Long("help") => {
                    println!("{USAGE}");
                    std::process::exit(0);
                }
                other => return Err(format!("{}\n{USAGE}", other.unexpected())),
            }
        }
        let tls = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("--tls-cert and --tls-key belong together".into()),
        };
        Ok(Self { listen, tls })
    }
}

fn file(parser: &mut lexopt::Parser) -> Result<PathBuf, String> {
    parser.value().map(PathBuf::from).map_err(|error| error.to_string())
}

/// Ends a program: an error goes to the terminal, with the exit code for wrong use.
pub(crate) fn exit(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Says why a server cannot start at the address of `--listen`, and which option helps.
pub(crate) fn cannot_start(listen: &str, error: &io::Error) -> String {
    let option = error.get_ref().and_then(|inner| inner.downcast_ref::<ConfigError>());
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("{error}\nanother program has this port: choose one with --listen")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::AddrNotAvailable => {
            format!("{error}\nchoose another address with --listen")
        }
        // It names itself.
        _ if option.is_some() => error.to_string(),
        _ => format!("--listen: {listen:?}: {error}\nuse a host and a port, as in 127.0.0.1:8080"),
    }
}

/// Writes logs from `info` on to the terminal; `RUST_LOG=debug` and the like change that.
pub(crate) fn log_to_terminal() {
    let level = std::env::var("RUST_LOG").ok().and_then(|level| level.parse().ok());
    tracing_subscriber::fmt()
        .with_max_level(level.unwrap_or(tracing::Level::INFO))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

/// Calls `f` once, on Ctrl-C or a termination signal. A second signal ends the program.
pub(crate) fn on_ctrl_c(f: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let mut f = Some(f);
    let handler = move || match f.take() {
        Some(f) => f(),
        None => std::process::exit(130),
    };
    ctrlc::set_handler(handler).map_err(|error| format!("cannot listen for Ctrl-C: {error}"))
}

fn parse<T: FromStr<Err: Display>>(option: &str, value: &OsString) -> Result<T, String> {
    let text = value.to_str().ok_or_else(|| format!("{option}: not UTF-8"))?;
    text.parse().map_err(|error| format!("{option}: {text:?}: {error}"))
}
