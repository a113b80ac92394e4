//! The program: options in, one line of JSON out.

use std::process::ExitCode;

use clap::Parser;
use loadgen::options::Options;

fn main() -> ExitCode {
    let options = Options::parse();
    let report = loadgen::run(&options)
        .and_then(|report| serde_json::to_string(&report).map_err(Into::into));
    match report {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("loadgen: {}: {error}", options.connect);
            ExitCode::FAILURE
        }
    }
}
