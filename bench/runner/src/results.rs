use std::{collections::BTreeMap, env, fs, io, path::Path};

use loadgen::Report;
use serde::{Deserialize, Serialize};

use crate::{
    grid::Cell,
    make,
    options::Kind,
    servers::{BROADCAST_FLOOR, FLOOR, Server},
};

/// All that one run found out.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Results {
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) rustc: String,
    pub(crate) command: String,
    /// The commit of this tree, `-dirty` when there was more in it.
    pub(crate) commit: String,
    pub(crate) rows: Vec<Row>,
    /// Servers that were not measured, and turns that failed, with the reason.
    pub(crate) skipped: Vec<String>,
}

/// One server at one work.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Row {
    pub(crate) cell: Cell,
    pub(crate) server: String,
    pub(crate) version: String,
    /// Whether the server is of this tree.
    pub(crate) ours: bool,
    /// Medians over the rounds.
    pub(crate) median: Medians,
    /// CPU per message of the server as a ratio to that of the floor in the same round: median,
    /// least and greatest.
    pub(crate) ratio: Option<[f64; 3]>,
    pub(crate) system_calls: Option<f64>,
    #[serde(default)]
    pub(crate) rounds: Vec<Option<Report>>,
}

/// The figures of one round, or their medians over all.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Medians {
    pub(crate) rate: f64,
    pub(crate) server_ns: f64,
    pub(crate) generator_ns: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// Bytes that came back for each message.
    pub(crate) wire: f64,
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
            commit: make::output_of("git", &["describe", "--always", "--dirty", "--exclude=*"])
                .unwrap_or_default(),
            rows: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Those of a file.
    pub(crate) fn read(file: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(file)?)?)
    }

    pub(crate) fn write(&self, file: &Path) -> io::Result<()> {
        // Whoever is stopped on the way leaves the file as it was.
        let part = file.with_extension("part");
        fs::write(&part, serde_json::to_vec_pretty(self)?)?;
        fs::rename(part, file)
    }

    /// Takes the rows of `older` for which there are none here, and puts all in order.
    fn add(&mut self, older: Self) {
        let cells = self.cells();
        let (_, missing): (Vec<_>, Vec<_>) =
            older.rows.into_iter().partition(|row| cells.contains(&row.cell));
        if !missing.is_empty() {
            self.command = format!("{}; {}", older.command, self.command);
            // Figures keep the commit and the machine that they came from.
            for (own, old) in [
                (&mut self.date, older.date),
                (&mut self.machine, older.machine),
                (&mut self.rustc, older.rustc),
                (&mut self.commit, older.commit),
            ] {
                *own = joined(&old, own);
            }
        }
        self.rows.splice(0..0, missing);
        let again = |line: &String| cells.iter().any(|c| line.contains(&format!(" at {c}: ")));
        self.skipped.extend(older.skipped.into_iter().filter(|line| !again(line)));
    }

    /// The same, with what an older file has beyond it.
    pub(crate) fn with(mut self, older: Option<Self>) -> Self {
        if let Some(older) = older {
            self.add(older);
            self.compare();
        }
        self
    }

    /// Puts the ratios in, once all rows of a cell are there.
    pub(crate) fn compare(&mut self) {
        let mut floors = BTreeMap::new();
        for (index, row) in self.rows.iter().enumerate() {
            if row.server == floor_of(row.cell.kind) {
                floors.insert(row.cell.to_string(), index);
            }
        }
        let of = |row: &Row| {
            let floor = &self.rows[*floors.get(&row.cell.to_string())?];
            ratio(&row.rounds, &floor.rounds)
        };
        let ratios: Vec<_> = self.rows.iter().map(of).collect();
        for (row, ratio) in self.rows.iter_mut().zip(ratios) {
            row.ratio = ratio;
        }
    }

    /// The fields that were measured, in order.
    pub(crate) fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for row in &self.rows {
            if !cells.contains(&row.cell) {
                cells.push(row.cell);
            }
        }
        cells
    }

    /// What one server did at one work.
    pub(crate) fn row(&self, server: &str, cell: Cell) -> Option<&Row> {
        self.rows.iter().find(|row| row.server == server && row.cell == cell)
    }

    /// The servers that had turns at this kind of work, with their versions, in order.
    pub(crate) fn servers(&self, kind: Kind) -> Vec<(&str, &str)> {
        let mut servers = Vec::new();
        for row in self.rows.iter().filter(|row| row.cell.kind == kind) {
            let server = (row.server.as_str(), row.version.as_str());
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        servers
    }
}

impl Row {
    pub(crate) fn new(cell: Cell, server: &Server, rounds: Vec<Option<Report>>) -> Option<Self> {
        let of = |field: fn(&Report) -> f64| median(rounds.iter().flatten().map(field).collect());
        let median = Medians {
            rate: of(|report| report.rate)?,
            server_ns: of(|report| report.server_ns.unwrap_or_default())?,
            generator_ns: of(|report| report.generator_ns)?,
            p50: of(|report| report.latency.p50)?,
            p99: of(|report| report.latency.p99)?,
            p999: of(|report| report.latency.p999)?,
            wire: of(|report| report.wire)?,
            resident: of(|report| report.resident.unwrap_or_default() as f64)?,
            resident_per_connection: of(|report| {
                report.resident_per_connection.unwrap_or_default()
            })?,
        };
        Some(Self {
            cell,
            server: server.name.to_owned(),
            version: make::version(server),
            ours: server.is_ours(),
            median,
            ratio: None,
            system_calls: None,
            rounds,
        })
    }
}

/// The server that ratios refer to.
pub(crate) fn floor_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Broadcast | Kind::DeflateBroadcast => BROADCAST_FLOOR,
        _ => FLOOR,
    }
}

fn ratio(rounds: &[Option<Report>], floor: &[Option<Report>]) -> Option<[f64; 3]> {
    let mut ratios: Vec<_> = rounds
        .iter()
        .zip(floor)
        .filter_map(|(ours, floor)| Some(ours.as_ref()?.server_ns? / floor.as_ref()?.server_ns?))
        .filter(|ratio| ratio.is_finite())
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

/// Both, each once.
fn joined(older: &str, own: &str) -> String {
    let mut all: Vec<_> = older.split("; ").filter(|one| *one != own).collect();
    all.push(own);
    all.join("; ")
}

fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = make::output_of("uname", &["-sr"]).unwrap_or_default();
    format!("{cores} × {}, {kernel}", model.unwrap_or("unknown processor"))
}
