//! One command that builds the servers, gives each its turns at all work, and writes the medians.

mod grid;
mod make;
mod micro;
mod options;
mod results;
mod servers;
mod table;
mod turn;

use std::{fs, io, path::PathBuf, process::ExitCode};

use clap::Parser;

use grid::Cell;
use options::Options;
use results::{Results, Row};
use servers::{ALL, FLOOR, Server};

fn main() -> ExitCode {
    let options = Options::parse().resolved();
    if options.list {
        for server in ALL {
            println!("{}", server.name);
        }
        return ExitCode::SUCCESS;
    }
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let mut results = Results::new();
    let out = options.out.clone().unwrap_or_else(|| default_out(&results.date));
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder)?;
    }
    if options.micro {
        let text = table::origin(&results) + &micro::run(options)?;
        fs::write(out.with_extension("md"), &text)?;
        println!("{text}");
        return Ok(());
    }
    let servers = build(options, &mut results.skipped)?;
    for cell in Cell::all(options) {
        measure(options, cell, &servers, &mut results);
    }
    results.compare();
    let text = table::markdown(&results);
    fs::write(&out, serde_json::to_vec_pretty(&results)?)?;
    fs::write(out.with_extension("md"), &text)?;
    println!("{text}\nwritten to {}", out.display());
    Ok(())
}

/// A server and the command that starts it.
type Built = (&'static Server, Vec<String>);

fn build(options: &Options, skipped: &mut Vec<String>) -> io::Result<Vec<Built>> {
    let known = |name: &String| ALL.iter().any(|server| server.name == name);
    if let Some(name) = options.servers.iter().find(|name| !known(name)) {
        return Err(io::Error::other(format!("there is no server `{name}`: see --list")));
    }
    let wanted = |server: &&Server| {
        let named = options.servers.iter().any(|name| name == server.name);
        let needed = options.work.iter().any(|&kind| server.does(kind));
        needed && (named || options.servers.is_empty() || server.name == FLOOR)
    };
    let mut built = Vec::new();
    for server in ALL.iter().filter(wanted) {
        eprintln!("building {}", server.name);
        match make::build(server) {
            Ok(command) => built.push((server, command)),
            Err(problem) => skipped.push(format!("{}: {problem}", server.name)),
        }
    }
    Ok(built)
}

/// All rounds of one field, the servers taking turns in each.
fn measure(options: &Options, cell: Cell, servers: &[Built], results: &mut Results) {
    let generator = options.generator(cell.0);
    let core = options.server_core;
    let able: Vec<_> = servers.iter().filter(|(server, _)| server.does(cell.kind())).collect();
    let mut rounds = vec![Vec::new(); able.len()];
    for round in 1..=options.rounds {
        eprintln!("{cell}: round {round} of {}", options.rounds);
        for ((server, command), reports) in able.iter().zip(&mut rounds) {
            let report = turn::take(command, server, core, &generator);
            reports.push(noted(report, server, cell, &mut results.skipped));
        }
    }
    for ((server, command), reports) in able.iter().zip(rounds) {
        let Some(mut row) = Row::new(cell, server, reports) else { continue };
        if options.syscalls {
            let calls = turn::count_system_calls(command, server, core, &generator);
            row.system_calls = noted(calls, server, cell, &mut results.skipped);
        }
        results.rows.push(row);
    }
}

fn noted<T>(
    result: io::Result<T>,
    server: &Server,
    cell: Cell,
    skipped: &mut Vec<String>,
) -> Option<T> {
    result
        .inspect_err(|error| {
            let line = format!("{} at {cell}: {error}", server.name);
            eprintln!("{line}");
            skipped.push(line);
        })
        .ok()
}

fn default_out(date: &str) -> PathBuf {
    make::home().join("results").join(date.replace(':', "")).with_extension("json")
}
