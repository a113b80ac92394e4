use std::fmt::Write as _;

use crate::{
    grid::Cell,
    options::Kind,
    results::{Results, Row},
};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const FIVE_HUNDRED: usize = 500;

/// What the library is meant to reach, and how a run shows whether it does.
struct Target {
    work: &'static str,
    server: &'static str,
    /// The fields that it speaks of.
    cells: fn(Cell) -> bool,
    figure: Figure,
    most: f64,
}

/// What is compared with the target.
#[derive(Clone, Copy)]
enum Figure {
    /// CPU per message, × floor.
    Ratio,
    /// Resident bytes per connection.
    Memory,
    /// CPU per message, × the best of the peers whose names contain this.
    BestPeer(&'static str),
    /// CPU per message, × the same server's at the same echo in RFC 6455, both × floor.
    Rfc6455,
}

const TOKIO: &str = "ws-tokio";

const fn target(
    work: &'static str,
    server: &'static str,
    cells: fn(Cell) -> bool,
    figure: Figure,
    most: f64,
) -> Target {
    Target { work, server, cells, figure, most }
}

const ALL: &[Target] = &[
    target(
        "echo ≤ 1 KiB, 1 in flight, ≤ 32 connections",
        TOKIO,
        |c| small(c, 1) && c.connections < FIVE_HUNDRED,
        Figure::Ratio,
        1.03,
    ),
    target(
        "echo ≤ 1 KiB, 1 in flight, 500 connections",
        TOKIO,
        |c| small(c, 1) && c.connections >= FIVE_HUNDRED,
        Figure::Ratio,
        1.05,
    ),
    target(
        "echo ≤ 1 KiB, 16 in flight, 32 and 500 connections",
        TOKIO,
        |c| small(c, 16) && c.connections > 1,
        Figure::Ratio,
        1.05,
    ),
    target(
        "echo 16 KiB, 16 in flight",
        TOKIO,
        |c| echo(c, 16 * KIB) && c.in_flight == 16,
        Figure::Ratio,
        0.82,
    ),
    target("echo 64 KiB", TOKIO, |c| echo(c, 64 * KIB), Figure::Ratio, 1.00),
    target("echo 1 MiB", TOKIO, |c| echo(c, MIB), Figure::Ratio, 0.85),
    target(
        "broadcast to 1,000",
        TOKIO,
        |c| c.kind == Kind::Broadcast && c.connections == 1000,
        Figure::Ratio,
        1.10,
    ),
    target("idle, fresh, tokio: bytes", TOKIO, fresh, Figure::Memory, 1536.0),
    target("idle, fresh, smol: bytes", "ws-smol", fresh, Figure::Memory, 2048.0),
    target("idle, fresh, async-std: bytes", "ws-async-std", fresh, Figure::Memory, 2048.0),
    target(
        "idle after an echo of up to 256 KiB, tokio: bytes",
        TOKIO,
        used,
        Figure::Memory,
        1536.0,
    ),
    target(
        "connect and close, × best peer",
        TOKIO,
        |c| c.kind == Kind::Connect,
        Figure::BestPeer(""),
        1.00,
    ),
    target(
        "deflate 125 B, × best peer",
        TOKIO,
        |c| deflate(c) && c.size < KIB,
        Figure::BestPeer(""),
        1.00,
    ),
    target(
        "deflate ≥ 1 KiB, × best peer",
        TOKIO,
        |c| deflate(c) && c.size >= KIB,
        Figure::BestPeer(""),
        0.75,
    ),
    target("draft76, × RFC 6455", TOKIO, |c| c.kind == Kind::Draft76, Figure::Rfc6455, 1.05),
    target(
        "echo on smol, × async-tungstenite",
        "ws-smol",
        |c| c.kind == Kind::Echo,
        Figure::BestPeer("tungstenite smol"),
        0.75,
    ),
    target(
        "echo on async-std, × async-tungstenite",
        "ws-async-std",
        |c| c.kind == Kind::Echo,
        Figure::BestPeer("tungstenite async-std"),
        0.75,
    ),
];

fn echo(cell: Cell, size: usize) -> bool {
    cell.kind == Kind::Echo && cell.size == size
}

fn small(cell: Cell, in_flight: usize) -> bool {
    cell.kind == Kind::Echo && cell.size <= KIB && cell.in_flight == in_flight
}

fn fresh(cell: Cell) -> bool {
    cell.kind == Kind::Idle && cell.size == 0
}

fn used(cell: Cell) -> bool {
    cell.kind == Kind::Idle && cell.size > 0
}

fn deflate(cell: Cell) -> bool {
    matches!(cell.kind, Kind::Deflate | Kind::Takeover)
}

/// Targets and figures side by side. Where a target speaks of several fields, the one that is
/// furthest from it counts, and the best peer at that field stands beside it. Nothing when nothing
/// of it was measured.
pub(crate) fn markdown(results: &Results) -> String {
    if ALL.iter().all(|target| target.worst(results).is_none()) {
        return String::new();
    }
    let mut out = String::from("| work | target | ours | where | best peer there | |\n");
    out.push_str("|---|---:|---:|---|---:|---|\n");
    for target in ALL {
        let Target { work, most, .. } = target;
        let _ = match target.worst(results) {
            None => writeln!(out, "| {work} | ≤ {most} | not measured | | | |"),
            Some((cell, ours)) => {
                let verdict = if ours <= *most { "met" } else { "**missed**" };
                let ours = target.show(ours);
                let peer = target.best_peer(results, cell).unwrap_or("–".to_owned());
                writeln!(out, "| {work} | ≤ {most} | {ours} | {cell} | {peer} | {verdict} |")
            }
        };
    }
    out
}

impl Target {
    fn worst(&self, results: &Results) -> Option<(Cell, f64)> {
        let cells = results.cells().into_iter().filter(|cell| (self.cells)(*cell));
        let figures = cells.filter_map(|cell| Some((cell, self.of(results, cell)?)));
        figures.max_by(|(_, a), (_, b)| a.total_cmp(b))
    }

    fn of(&self, results: &Results, cell: Cell) -> Option<f64> {
        let row = results.row(self.server, cell)?;
        match self.figure {
            Figure::Ratio => Some(row.ratio?[0]),
            Figure::Memory => Some(row.median.resident_per_connection),
            Figure::BestPeer(name) => {
                let best = least(peers(results, cell, name), |row| Some(row.median.server_ns))?;
                Some(row.median.server_ns / best.1)
            }
            Figure::Rfc6455 => {
                let same = results.row(self.server, Cell { kind: Kind::Echo, ..cell })?;
                // Each by the floor of its own rounds: the two are minutes apart.
                Some(row.ratio?[0] / same.ratio?[0])
            }
        }
    }

    fn best_peer(&self, results: &Results, cell: Cell) -> Option<String> {
        let (name, figure) = match self.figure {
            Figure::Ratio => least(peers(results, cell, ""), |row| Some(row.ratio?[0])),
            Figure::Memory => {
                least(peers(results, cell, ""), |row| Some(row.median.resident_per_connection))
            }
            Figure::BestPeer(name) => {
                let (name, _) =
                    least(peers(results, cell, name), |row| Some(row.median.server_ns))?;
                return Some(name.to_owned());
            }
            Figure::Rfc6455 => return None,
        }?;
        Some(format!("{name} {}", self.show(figure)))
    }

    fn show(&self, figure: f64) -> String {
        match self.figure {
            Figure::Memory => format!("{figure:.0}"),
            _ => format!("{figure:.2}"),
        }
    }
}

fn peers<'a>(results: &'a Results, cell: Cell, name: &'a str) -> impl Iterator<Item = &'a Row> {
    results.rows.iter().filter(move |row| {
        row.cell == cell
            && !row.ours
            && !row.server.starts_with("floor-")
            && row.server.contains(name)
    })
}

fn least<'a>(
    rows: impl Iterator<Item = &'a Row>,
    figure: impl Fn(&Row) -> Option<f64>,
) -> Option<(&'a str, f64)> {
    let figures = rows.filter_map(|row| Some((row.server.as_str(), figure(row)?)));
    figures.min_by(|(_, a), (_, b)| a.total_cmp(b))
}
