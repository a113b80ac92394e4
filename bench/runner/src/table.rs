use std::fmt::Write as _;

use crate::{
    options::Kind,
    results::{Results, Row},
};

/// Less than this and the server waited for the generator.
const BUSY: f64 = 0.9;

/// The results as Markdown: the ratios of all, then a table for each field of the grid.
pub(crate) fn markdown(results: &Results) -> String {
    let mut out = origin(results);
    overview(&mut out, results);
    for cell in cells(results) {
        details(&mut out, &cell, &rows_of(results, &cell));
    }
    for skipped in &results.skipped {
        let _ = writeln!(out, "* not measured: {skipped}");
    }
    out
}

/// Where and how the results came about.
pub(crate) fn origin(results: &Results) -> String {
    let Results { date, machine, rustc, command, .. } = results;
    format!("{date}, {machine}, {rustc}\n\n`{command}`\n\n")
}

/// Ratios to the floor: a row for each server, a column for each field.
fn overview(out: &mut String, results: &Results) {
    let cells = cells(results);
    let mut servers: Vec<(&str, &str)> = Vec::new();
    for row in &results.rows {
        if !servers.contains(&(row.server, row.version.as_str())) {
            servers.push((row.server, &row.version));
        }
    }
    let _ = writeln!(out, "| server CPU per message, × floor | {} |", cells.join(" | "));
    let _ = writeln!(out, "|---|{}", "---:|".repeat(cells.len()));
    for (server, version) in servers {
        let _ = write!(out, "| {server} {version} |");
        for cell in &cells {
            let row = rows_of(results, cell).into_iter().find(|row| row.server == server);
            let _ = match row.and_then(|row| row.ratio) {
                Some([median, ..]) => write!(out, " {median:.2} |"),
                None => write!(out, " – |"),
            };
        }
        out.push('\n');
    }
    out.push('\n');
}

fn details(out: &mut String, cell: &str, rows: &[&Row]) {
    let _ = writeln!(out, "### {cell}\n");
    if rows.first().is_some_and(|row| row.cell.kind() == Kind::Idle) {
        return memory(out, rows);
    }
    out.push_str(
        "| server | per second | CPU µs each | × floor | least–most | busy | generator µs | \
         p50 µs | p99 µs | p999 µs | resident MiB | system calls |\n",
    );
    let _ = writeln!(out, "|---|{}", "---:|".repeat(11));
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
            "| {} | {:.0} | {:.2} | {ratio} | {:.0} %{mark} | {:.2} | {:.0} | {:.0} | {:.0} | {:.1} | {calls} |",
            row.server,
            m.rate,
            m.server_ns / 1000.0,
            busy * 100.0,
            m.generator_ns / 1000.0,
            m.p50,
            m.p99,
            m.p999,
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

fn cells(results: &Results) -> Vec<String> {
    let mut cells = Vec::new();
    for row in &results.rows {
        let cell = row.cell.to_string();
        if !cells.contains(&cell) {
            cells.push(cell);
        }
    }
    cells
}

fn rows_of<'a>(results: &'a Results, cell: &str) -> Vec<&'a Row> {
    results.rows.iter().filter(|row| row.cell.to_string() == cell).collect()
}
