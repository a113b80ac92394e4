use std::env;

use loadgen::Report;
use serde::Serialize;

use crate::{
    grid::Cell,
    make,
    options::Kind,
    servers::{BROADCAST_FLOOR, FLOOR, Server},
};

/// All that one run found out.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) rustc: String,
    pub(crate) command: String,
    pub(crate) rows: Vec<Row>,
    /// Servers that were not measured, and turns that failed, with the reason.
    pub(crate) skipped: Vec<String>,
}

/// One server at one work.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) cell: Cell,
    pub(crate) server: &'static str,
    pub(crate) version: String,
    /// Medians over the rounds.
    pub(crate) median: Medians,
    /// CPU per message of the server as a ratio to that of the floor in the same round: median,
    /// least and greatest.
    pub(crate) ratio: Option<[f64; 3]>,
    pub(crate) system_calls: Option<f64>,
    pub(crate) rounds: Vec<Option<Report>>,
}

/// The figures of one round, or their medians over all.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Medians {
    pub(crate) rate: f64,
    pub(crate) server_ns: f64,
    pub(crate) generator_ns: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) resident: f64,
    pub(crate) resident_per_connection: f64,
}

impl Results {
    /// No results yet, with the facts that do not change.
    pub(crate) fn new() -> Self {
        Self {
            date: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            machine: machine(),
            rustc: make::output_of("rustc", &["--version"]).unwrap_or_default(),
            command: env::args().skip(1).fold("bench/run".to_owned(), |all, arg| all + " " + &arg),
            rows: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Puts the ratios in, once all rows of a cell are there.
    pub(crate) fn compare(&mut self) {
        for index in 0..self.rows.len() {
            let row = &self.rows[index];
            let name = if row.cell.kind() == Kind::Broadcast { BROADCAST_FLOOR } else { FLOOR };
            let cell = row.cell.to_string();
            let floor = self.rows.iter().find(|r| r.server == name && r.cell.to_string() == cell);
            self.rows[index].ratio = floor.and_then(|floor| ratio(&row.rounds, &floor.rounds));
        }
    }
}

impl Row {
    pub(crate) fn new(cell: Cell, server: &Server, rounds: Vec<Option<Report>>) -> Option<Self> {
        let of = |field: fn(&Report) -> f64| median(rounds.iter().flatten().map(field).collect());
        let median = Medians {
            rate: of(|report| report.rate)?,
            server_ns: of(|report| report.server_ns.unwrap_or(f64::NAN))?,
            generator_ns: of(|report| report.generator_ns)?,
            p50: of(|report| report.latency.p50)?,
            p99: of(|report| report.latency.p99)?,
            p999: of(|report| report.latency.p999)?,
            resident: of(|report| report.resident.unwrap_or_default() as f64)?,
            resident_per_connection: of(|report| {
                report.resident_per_connection.unwrap_or_default()
            })?,
        };
        Some(Self {
            cell,
            server: server.name,
            version: make::version(server),
            median,
            ratio: None,
            system_calls: None,
            rounds,
        })
    }
}

fn ratio(rounds: &[Option<Report>], floor: &[Option<Report>]) -> Option<[f64; 3]> {
    let mut ratios: Vec<_> = rounds
        .iter()
        .zip(floor)
        .filter_map(|(ours, floor)| Some(ours.as_ref()?.server_ns? / floor.as_ref()?.server_ns?))
        .collect();
    ratios.sort_by(f64::total_cmp);
    Some([median(ratios.clone())?, *ratios.first()?, *ratios.last()?])
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len().is_multiple_of(2) {
        Some(f64::midpoint(values[middle - 1], upper))
    } else {
        Some(upper)
    }
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = make::output_of("uname", &["-sr"]).unwrap_or_default();
    format!("{cores} × {}, {kernel}", model.unwrap_or("unknown processor"))
}
