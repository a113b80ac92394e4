//! Holds a server against the conformance cases: `cargo run -p ws-tests --bin conformance -- --help`.

use std::ffi::OsString;
use std::fmt::Display;
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::Arg;
use ws_proto::Versions;
use ws_tests::conformance::{Server, Target, Verdict, cases, counts, json, summary};

const USAGE: &str = "\
usage: conformance [options] ws://HOST[:PORT][/PATH]
  Plays the cases of tests/conformance/cases against a server that sends text back as text and
  binary as binary. Ends with 0 if none failed, 1 if one did, 2 if it could not begin.

  --versions LIST    what the server claims to speak, of draft75,draft76,hybi-07,hybi-08,rfc6455;
                     cases of other versions are not applicable; default: all
  --only PREFIX      only cases whose name begins so; repeatable
  --strict           take only what the servers of this repository promise where a clause leaves
                     the outcome open
  --json FILE        write the report there, too
  --list             print the names and clauses, and play nothing
  --help             this text";

struct Options {
    url: Option<String>,
    versions: Versions,
    only: Vec<String>,
    strict: bool,
    json: Option<PathBuf>,
    list: bool,
}

fn main() -> ExitCode {
    match Options::parse(std::env::args_os().skip(1)).and_then(Options::run) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("conformance: {error}");
            ExitCode::from(2)
        }
    }
}

impl Options {
    fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut options = Self {
            url: None,
            versions: Versions::AUTO,
            only: Vec::new(),
            strict: false,
            json: None,
            list: false,
        };
        let mut parser = lexopt::Parser::from_args(args);
        while let Some(arg) = parser.next().map_err(wrong_use)? {
            match arg {
                Arg::Long("help") => {
                    println!("{USAGE}");
                    std::process::exit(0);
                }
                Arg::Long("versions") => {
                    let list = text(&mut parser)?;
                    options.versions =
                        list.parse().map_err(|error| format!("--versions {list}: {error}"))?;
                }
                Arg::Long("only") => options.only.push(text(&mut parser)?),
                Arg::Long("json") => {
                    options.json = Some(parser.value().map_err(wrong_use)?.into());
                }
                Arg::Long("strict") => options.strict = true,
                Arg::Long("list") => options.list = true,
                Arg::Value(value) if options.url.is_none() => {
                    let url = value.into_string().map_err(|_| wrong_use("the URL is not UTF-8"))?;
                    options.url = Some(url);
                }
                other => return Err(wrong_use(other.unexpected())),
            }
        }
        Ok(options)
    }

    /// Answers whether no case failed.
    fn run(self) -> Result<bool, String> {
        let mut cases = cases()?;
        let chosen = |name: &str| self.only.iter().any(|start| name.starts_with(start.as_str()));
        cases.retain(|case| self.only.is_empty() || chosen(&case.name));
        if cases.is_empty() {
            return Err(format!("no case begins with {}", self.only.join(" or ")));
        }
        if self.list {
            for case in &cases {
                println!("{} [{}]", case.name, case.entry.clause);
            }
            return Ok(true);
        }
        let url =
            self.url.as_deref().ok_or_else(|| wrong_use("the URL of the server is missing"))?;
        let server = server(url, self.versions, self.strict)?;
        let lines = server.judge(&cases);
        for line in &lines {
            println!("{}", line.text());
        }
        if let Some(file) = &self.json {
            let report = format!("{:#}\n", json(&server, &lines));
            std::fs::write(file, report).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        println!("{}", summary(&lines));
        let [passed, failed, _] = counts(&lines);
        let unreachable = |verdict: &Verdict| matches!(verdict, Verdict::Failed(reason) if reason.starts_with("no connection"));
        if passed == 0 && lines.iter().any(|line| unreachable(&line.verdict)) {
            return Err(format!("nothing listens at {}: start the server first", server.address));
        }
        if passed + failed == 0 {
            return Err("none of the cases is for a server that speaks these versions".into());
        }
        Ok(failed == 0)
    }
}

fn server(url: &str, versions: Versions, strict: bool) -> Result<Server, String> {
    let rest =
        url.strip_prefix("ws://").ok_or_else(|| format!("{url:?} does not begin with ws://"))?;
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let bracketed = host.ends_with(']');
    let with_port =
        if host.contains(':') && !bracketed { host.into() } else { format!("{host}:80") };
    let mut addresses = with_port
        .to_socket_addrs()
        .map_err(|error| format!("{host:?} is no HOST[:PORT] that can be found: {error}"))?;
    let address = addresses.next().ok_or_else(|| format!("{host:?} has no address"))?;
    let target = Target { host: host.to_lowercase(), path: path.into() };
    Ok(Server { address, target, versions, strict })
}

fn text(parser: &mut lexopt::Parser) -> Result<String, String> {
    parser.value().and_then(lexopt::ValueExt::string).map_err(wrong_use)
}

fn wrong_use(problem: impl Display) -> String {
    format!("{problem}\n{USAGE}")
}
