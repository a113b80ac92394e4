//! One command that builds the servers, gives each its turns at all work, and writes the medians;
//! and the figures as plots and tables of the documentation.

mod docs;
mod grid;
mod make;
mod micro;
mod options;
mod plot;
mod results;
mod servers;
mod table;
mod targets;
mod turn;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;

use grid::Cell;
use make::Built;
use options::{Kind, Options};
use results::{Results, Row, floor_of};
use servers::{ALL, Server};

/// How many turns a server has in one process, where it goes on.
const TURNS: usize = 3;

fn main() -> ExitCode {
    let options = Options::parse();
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
    let older = options.add.as_deref().map(Results::read).transpose()?;
    if let Some(file) = &options.from {
        let results = Results::read(file)?.with(older);
        return publish(options, &results, options.out.as_deref().unwrap_or(file));
    }
    let mut results = Results::new();
    let out = options.out.clone().unwrap_or_else(|| default_out(&results.date));
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder)?;
    }
    if options.micro {
        let figures = micro::run(options)?;
        let text = table::origin(&results) + &figures;
        fs::write(out.with_extension("md"), &text)?;
        if options.docs {
            docs::insert(&docs::Blocks::from([("micro".to_owned(), text.clone())]))?;
        }
        println!("{text}");
        return Ok(());
    }
    if options.add.as_ref() == Some(&out) {
        // It is written while the run goes on, with what has been measured anew only.
        return Err(io::Error::other("--out names the file of --add"));
    }
    let servers = build(options, &mut results.skipped)?;
    if options.build {
        results.skipped.iter().for_each(|line| println!("{line}"));
        let all = results.skipped.is_empty();
        return if all { Ok(()) } else { Err(io::Error::other("not all servers are built")) };
    }
    // Servers inherit it, the first one too.
    loadgen::allow_many_files()?;
    for cell in Cell::all(options) {
        measure(options, cell, &servers, &mut results);
        // A long run that is cut short leaves what it has.
        results.compare();
        results.write(&out)?;
    }
    publish(options, &results.with(older), &out)
}

/// Writes the results and their tables, and with `--docs` what the documentation shows of them.
fn publish(options: &Options, results: &Results, out: &Path) -> io::Result<()> {
    let text = table::markdown(results);
    if options.from.is_none() || options.out.is_some() {
        results.write(out)?;
    }
    fs::write(out.with_extension("md"), &text)?;
    if options.docs {
        docs::write(results)?;
    } else {
        println!("{text}");
    }
    println!("written to {}", out.display());
    Ok(())
}

fn build(options: &Options, skipped: &mut Vec<String>) -> io::Result<Vec<Built>> {
    let known = |name: &String| ALL.iter().any(|server| server.name == name);
    if let Some(name) = options.servers.iter().find(|name| !known(name)) {
        return Err(io::Error::other(format!("there is no server `{name}`: see --list")));
    }
    let kinds = if options.build { Kind::all() } else { options.kinds() };
    let wanted = |server: &&Server| {
        let named = options.servers.iter().any(|name| name == server.name);
        let needed = |kind: &Kind| {
            let floor = server.name == floor_of(*kind);
            server.does(*kind) && (named || options.servers.is_empty() || floor)
        };
        kinds.iter().any(needed)
    };
    let mut built: Vec<Built> = Vec::new();
    for server in ALL.iter().filter(wanted) {
        if let Some(same) = built.iter().find(|same| same.server.is_built_like(server)) {
            built.push(Built { server, command: same.command.clone() });
            continue;
        }
        eprintln!("building {}", server.name);
        match make::build(server) {
            Ok(ready) => built.push(ready),
            Err(problem) => skipped.push(format!("{}: {problem}", server.name)),
        }
    }
    Ok(built)
}

/// All rounds of one field, the servers taking turns in each.
fn measure(options: &Options, cell: Cell, servers: &[Built], results: &mut Results) {
    let able: Vec<_> = servers.iter().filter(|built| built.server.does(cell.kind)).collect();
    let mut rounds = vec![Vec::new(); able.len()];
    let mut running: Vec<_> = able.iter().map(|_| None).collect();
    let count = cell.rounds(options);
    for round in 1..=count {
        eprintln!("{cell}: round {round} of {count}");
        if round % TURNS == 1 {
            // The luck of one start would be in all.
            running.fill_with(|| None);
        }
        for ((built, reports), runs) in able.iter().zip(&mut rounds).zip(&mut running) {
            let report = turn::take(built, cell, options, runs);
            reports.push(noted(report, built.server, cell, &mut results.skipped));
        }
    }
    drop(running);
    for (built, reports) in able.iter().zip(rounds) {
        let Some(mut row) = Row::new(cell, built.server, reports) else { continue };
        if options.syscalls && cell.kind != Kind::Idle {
            let calls = turn::count_system_calls(built, cell, options);
            row.system_calls = noted(calls, built.server, cell, &mut results.skipped);
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
