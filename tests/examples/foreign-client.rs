//! Lets our client talk with a server of other people and judges what it gets:
//! `cargo run -p ws-tests --example foreign-client -- --help`. `tests/foreign/run` starts it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::process::ExitCode;

use lexopt::{Arg, ValueExt};
use ws_tests::foreign::{ABILITIES, Judge, Target, variant};
use ws_tokio::{Version, Versions};

const USAGE: &str = "\
usage: foreign-client [options] ws://HOST:PORT/
  Runs the checks of our client against a server of tests/foreign/servers. Prints `ok CHECK`,
  `not ok CHECK: WHY` or `deviates CHECK: WHY` for each, and `done N` at the end. Ends with 0 if
  none failed, 1 if one did, 2 if it could not begin.

  --runtime NAME        tokio (default), smol or async-std
  --versions LIST       run the checks in these versions only; default: auto, which is all
  --speaks LIST         the versions that the server speaks, of draft75,draft76,hybi-07,hybi-08,
                        rfc6455; it has to refuse the others; default: rfc6455
  --cannot ABILITY[/VERSION]
                        what the server cannot do, at all or in a version; repeatable
  --variant NAME=URL    a URL at which the server behaves in the way NAME; repeatable
  --deviates CHECK      a check that fails for a known fault of the server; repeatable. It is an
                        error if it does not fail.
  --help                this text";

struct Options {
    runtime: String,
    versions: Versions,
    target: Target,
}

fn main() -> ExitCode {
    match parse().and_then(|options| run(options).map_err(|error| error.to_string())) {
        Ok([passed, failed, deviated]) => {
            println!("done {}", passed + failed + deviated);
            if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("foreign-client: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: Options) -> std::io::Result<[usize; 3]> {
    let Options { runtime, versions, target } = options;
    match runtime.as_str() {
        "smol" => {
            ws_smol::block_on(1, async { Judge::new(ws_smol::Smol, target).run(versions).await })
        }
        "async-std" => {
            ws_async_std::block_on(1, Judge::new(ws_async_std::AsyncStd, target).run(versions))
        }
        _ => ws_tokio::block_on(1, Judge::new(ws_tokio::Tokio, target).run(versions)),
    }
}

fn parse() -> Result<Options, String> {
    let mut parser = lexopt::Parser::from_env();
    let mut runtime = String::from("tokio");
    let mut versions = Versions::AUTO;
    let mut url = None;
    let mut target = Target {
        url: String::new(),
        speaks: Versions::RFC6455,
        cannot: Vec::new(),
        variants: BTreeMap::new(),
        deviations: Vec::new(),
    };
    while let Some(arg) = parser.next().map_err(wrong_use)? {
        match arg {
            Arg::Long("help") => {
                println!("{USAGE}");
                std::process::exit(0);
            }
            Arg::Long("runtime") => runtime = text(&mut parser)?,
            Arg::Long("versions") => versions = text(&mut parser)?.parse().map_err(wrong_use)?,
            Arg::Long("speaks") => target.speaks = text(&mut parser)?.parse().map_err(wrong_use)?,
            Arg::Long("cannot") => {
                let cannot = text(&mut parser)?;
                let (ability, version) = cannot.split_once('/').unwrap_or((&cannot, "rfc6455"));
                if !ABILITIES.contains(&ability) {
                    return Err(format!("there is no ability {ability:?}, only {ABILITIES:?}"));
                }
                version
                    .parse::<Version>()
                    .map_err(|error| format!("--cannot {cannot}: {error}"))?;
                target.cannot.push(cannot);
            }
            Arg::Long("variant") => {
                let (name, url) = variant(&text(&mut parser)?)?;
                target.variants.insert(name, url);
            }
            Arg::Long("deviates") => target.deviations.push(text(&mut parser)?),
            Arg::Value(value) if url.is_none() => url = Some(value.string().map_err(wrong_use)?),
            other => return Err(wrong_use(other.unexpected())),
        }
    }
    if !["tokio", "smol", "async-std"].contains(&runtime.as_str()) {
        return Err(format!("there is no runtime {runtime:?}, only tokio, smol and async-std"));
    }
    target.url = url.ok_or_else(|| wrong_use("the URL of the server is missing"))?;
    Ok(Options { runtime, versions, target })
}

fn text(parser: &mut lexopt::Parser) -> Result<String, String> {
    parser.value().and_then(ValueExt::string).map_err(wrong_use)
}

fn wrong_use(problem: impl Display) -> String {
    format!("{problem}\n{USAGE}")
}
