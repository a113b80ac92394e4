use std::fmt::Write as _;

use clap::ValueEnum as _;

use crate::{
    grid::{Bytes, Cell},
    options::Kind,
    results::{Results, Row},
};

/// Less than this and the server waited for the generator.
const BUSY: f64 = 0.9;

/// The results as Markdown: what matters of each kind of work, then a table for each field.
pub(crate) fn markdown(results: &Results) -> String {
    let mut out = origin(results);
    for kind in Kind::value_variants() {
        overview(&mut out, results, *kind);
    }
    for cell in results.cells() {
        details(&mut out, cell, results);
    }
    out + &skipped(results)
}

/// What is missing, and why.
pub(crate) fn skipped(results: &Results) -> String {
    let line = |line: &String| format!("* not measured: {}\n", line.replace('\n', " "));
    results.skipped.iter().map(line).collect()
}

/// Where and how the results came about.
pub(crate) fn origin(results: &Results) -> String {
    let Results { date, machine, rustc, command, commit, .. } = results;
    format!("{date}, {machine}, {rustc}, commit {commit}\n\n`{command}`\n\n")
}

/// One figure of all servers at one kind of work, a column for each field.
pub(crate) fn overview(out: &mut String, results: &Results, kind: Kind) {
    let cells: Vec<_> = results.cells().into_iter().filter(|cell| cell.kind == kind).collect();
    if cells.is_empty() {
        return;
    }
    match kind {
        Kind::Idle => matrix(out, results, "bytes per connection", &cells, |row| {
            Some(format!("{:.0}", row.median.resident_per_connection))
        }),
        Kind::Connect => {
            matrix(out, results, "CPU µs per connect and close", &cells, |row| {
                Some(format!("{:.1}", row.median.server_ns / 1000.0))
            });
        }
        Kind::Deflate | Kind::Takeover | Kind::DeflateBroadcast => {
            matrix(out, results, "server CPU µs per message", &cells, |row| {
                Some(format!("{:.2}", row.median.server_ns / 1000.0))
            });
            matrix(out, results, "bytes on the wire per message", &cells, |row| {
                Some(format!("{:.0}", row.median.wire))
            });
        }
        _ => {
            // All columns beside each other would be too wide.
            let mut counts: Vec<_> = cells.iter().map(|cell| cell.connections).collect();
            counts.sort_unstable();
            counts.dedup();
            for count in counts {
                let some = cells.iter().filter(|cell| cell.connections == count);
                ratios(out, results, &some.copied().collect::<Vec<_>>());
            }
        }
    }
    if kind == Kind::Cores {
        matrix(out, results, "messages per second", &cells, |row| {
            Some(format!("{:.0}", row.median.rate))
        });
    }
}

/// The fields of the README: small and large messages, one by one and pipelined.
pub(crate) fn echo_main(results: &Results) -> String {
    let mut cells = results.cells();
    cells.retain(|cell| {
        let shown = [125, 16 << 10].contains(&cell.size);
        cell.kind == Kind::Echo && cell.connections == 32 && shown
    });
    let mut out = String::new();
    if !cells.is_empty() {
        ratios(&mut out, results, &cells);
    }
    out
}

/// System calls per message of all servers at echo work, where they were counted.
pub(crate) fn system_calls(results: &Results) -> String {
    let counted = |cell: &Cell| {
        let mut rows = results.rows.iter().filter(|row| row.cell == *cell);
        cell.kind == Kind::Echo && rows.any(|row| row.system_calls.is_some())
    };
    let cells: Vec<_> = results.cells().into_iter().filter(counted).collect();
    let mut out = String::new();
    if !cells.is_empty() {
        matrix(&mut out, results, "system calls per message", &cells, |row| {
            row.system_calls.map(|calls| format!("{calls:.2}"))
        });
    }
    out
}

fn ratios(out: &mut String, results: &Results, cells: &[Cell]) {
    matrix(out, results, "server CPU per message, × floor", cells, |row| {
        row.ratio.map(|[median, ..]| format!("{median:.2}"))
    });
}

fn matrix(
    out: &mut String,
    results: &Results,
    title: &str,
    cells: &[Cell],
    figure: impl Fn(&Row) -> Option<String>,
) {
    let names: Vec<_> = cells.iter().map(|cell| heading(*cell)).collect();
    let _ = writeln!(out, "| {title} | {} |", names.join(" | "));
    let _ = writeln!(out, "|---|{}", "---:|".repeat(cells.len()));
    for (server, version) in results.servers(cells[0].kind) {
        let ours = cells.iter().filter_map(|cell| results.row(server, *cell)).any(|row| row.ours);
        let name = if ours { format!("**{server}**") } else { format!("{server} {version}") };
        let _ = write!(out, "| {name} |");
        for cell in cells {
            // After --add there may be two versions of it.
            let row = results.row(server, *cell).filter(|row| row.version == version);
            let text = row.and_then(&figure);
            let _ = write!(out, " {} |", text.as_deref().unwrap_or("–"));
        }
        out.push('\n');
    }
    out.push('\n');
}

/// A cell, short enough for the head of a column.
fn heading(cell: Cell) -> String {
    let Cell { kind, size, connections, in_flight } = cell;
    match kind {
        Kind::Connect => format!("{connections} at a time"),
        Kind::Idle if size == 0 => "fresh".to_owned(),
        Kind::Idle => format!("after {}", Bytes(size)),
        Kind::Broadcast | Kind::DeflateBroadcast => {
            format!("{} × {in_flight} to {connections}", Bytes(size))
        }
        _ => format!("{} × {connections} × {in_flight}", Bytes(size)),
    }
}

fn details(out: &mut String, cell: Cell, results: &Results) {
    let rows: Vec<_> = results.rows.iter().filter(|row| row.cell == cell).collect();
    let _ = writeln!(out, "### {cell}\n");
    if cell.kind == Kind::Idle {
        return memory(out, &rows);
    }
    out.push_str(
        "| server | per second | CPU µs each | × floor | least–most | busy | generator µs | \
         p50 µs | p99 µs | p999 µs | wire bytes | resident MiB | system calls |\n",
    );
    let _ = writeln!(out, "|---|{}", "---:|".repeat(12));
    for row in rows {
        let m = &row.median;
        let busy = m.server_ns * m.rate / 1e9;
        let mark = if busy < BUSY { "!" } else { "" };
        let ratio = row.ratio.map_or("– | –".to_owned(), |[median, least, most]| {
            format!("{median:.2} | {least:.2}–{most:.2}")
        });
        let calls = row.system_calls.map_or("–".to_owned(), |calls| format!("{calls:.2}"));
        let _ = writeln!(
            out,
            "| {} | {:.0} | {:.2} | {ratio} | {:.0} %{mark} | {:.2} | {:.0} | {:.0} | {:.0} | {:.0} | {:.1} | {calls} |",
            row.server,
            m.rate,
            m.server_ns / 1000.0,
            busy * 100.0,
            m.generator_ns / 1000.0,
            m.p50,
            m.p99,
            m.p999,
            m.wire,
            m.resident / f64::from(1 << 20),
        );
    }
    out.push('\n');
}

fn memory(out: &mut String, rows: &[&Row]) {
    out.push_str("| server | bytes per connection | resident MiB |\n|---|---:|---:|\n");
    for row in rows {
        let _ = writeln!(
            out,
            "| {} | {:.0} | {:.1} |",
            row.server,
            row.median.resident_per_connection,
            row.median.resident / f64::from(1 << 20),
        );
    }
    out.push('\n');
}
