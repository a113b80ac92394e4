//! The options of the client, and its standard input.

use std::io::{self, BufRead};
use std::thread;

use lexopt::Arg;

use crate::support::value;
use crate::ws::{Close, Connection, Proxy, Version, block_on};

const USAGE: &str = "\
usage: client [options] URL
sends every line of its input as a message, and prints every message that comes
  --version NAME           draft75, draft76, hybi-07, hybi-08 or rfc6455 (default)
  --origin ORIGIN          the page in whose name to connect
  --subprotocol NAME       a subprotocol to offer, repeatable
  --header 'NAME: VALUE'   a header to send, repeatable
  --proxy URL              http://HOST:PORT or socks5://HOST:PORT
  --max-redirects N        how many redirects to follow, default 0
  --help                   this text";

/// What the command line says.
pub(crate) struct Options {
    pub(crate) url: String,
    pub(crate) version: Version,
    pub(crate) origin: Option<String>,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) max_redirects: usize,
}

impl Options {
    /// The options of this program. An unknown one is an error that names it.
    pub(crate) fn from_env() -> Result<Self, String> {
        let mut parser = lexopt::Parser::from_env();
        let mut options = Self {
            url: String::new(),
            version: Version::Rfc6455,
            origin: None,
            subprotocols: Vec::new(),
            headers: Vec::new(),
            proxy: None,
            max_redirects: 0,
        };
        while let Some(arg) = parser.next().map_err(wrong_use)? {
            let name = match arg {
                Arg::Value(url) if options.url.is_empty() => {
                    options.url =
                        url.into_string().map_err(|_| wrong_use("the URL is not UTF-8"))?;
                    continue;
                }
                Arg::Long(name) => format!("--{name}"),
                other => return Err(wrong_use(other.unexpected())),
            };
            let parser = &mut parser;
            match name.as_str() {
                "--version" => options.version = value(&name, parser)?,
                "--origin" => options.origin = Some(value(&name, parser)?),
                "--subprotocol" => options.subprotocols.push(value(&name, parser)?),
                "--header" => {
                    let field: String = value(&name, parser)?;
                    let (field, text) = field.split_once(':').ok_or("--header: no colon in it")?;
                    options.headers.push((field.into(), text.trim().into()));
                }
                "--proxy" => {
                    let url: String = value(&name, parser)?;
                    options.proxy = Some(Proxy::new(&url).map_err(|error| error.to_string())?);
                }
                "--max-redirects" => options.max_redirects = value(&name, parser)?,
                "--help" => {
                    println!("{USAGE}");
                    std::process::exit(0);
                }
                _ => return Err(wrong_use(format!("unknown option {name}"))),
            }
        }
        if options.url.is_empty() { Err(wrong_use("no URL")) } else { Ok(options) }
    }
}

/// Sends every line of the input, then closes. Reading a terminal blocks, so it is done on a
/// thread.
#[allow(clippy::disallowed_methods, reason = "no other task runs on that thread")]
pub(crate) fn send_lines(connection: Connection) {
    thread::spawn(move || {
        let sending = async {
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                if let Err(refused) = connection.send(line).await {
                    return eprintln!("{refused}");
                }
            }
            connection.close(Close::normal());
        };
        if let Err(error) = block_on(1, sending) {
            eprintln!("{error}");
        }
    });
}

fn wrong_use(error: impl std::fmt::Display) -> String {
    format!("{error}\n{USAGE}")
}
