use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};
use loadgen::options::{self, Protocol, Takeover};
use serde::{Deserialize, Serialize};

use crate::grid::Cell;

/// Runs a grid of work over servers, one after the other, several rounds, and writes medians.
///
/// Without options: echo at two sizes on 32 connections, 1 and 16 messages in flight, in less
/// than four minutes.
#[derive(Clone, Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Options {
    /// Kinds of work. Default: echo; with --main or --full, all.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) work: Vec<Kind>,
    /// Servers, by name; all when none is named. The floors are always among them.
    #[arg(long, value_delimiter = ',')]
    pub(crate) servers: Vec<String>,
    /// Bytes of payload in a message.
    #[arg(long, value_delimiter = ',', default_value = "125,16384")]
    pub(crate) sizes: Vec<usize>,
    /// Connections; receivers of a broadcast.
    #[arg(long, value_delimiter = ',', default_value = "32")]
    pub(crate) connections: Vec<usize>,
    /// Messages of one connection that are under way at the same time.
    #[arg(long, value_delimiter = ',', default_value = "1,16")]
    pub(crate) in_flight: Vec<usize>,
    /// Each kind of work in the shapes that the README shows, instead of the three above. About
    /// an hour.
    #[arg(long)]
    pub(crate) main: bool,
    /// The same with all shapes: six sizes, 1, 32 and 500 connections, 1 and 16 in flight for
    /// echo. About two hours.
    #[arg(long)]
    pub(crate) full: bool,
    /// Rounds; every server has its turn in each of them. A third of them where turns are long: with
    /// more than 64 MiB in flight, or 10,000 connections. Idle work has one.
    #[arg(long, default_value_t = 9)]
    pub(crate) rounds: usize,
    /// Seconds that are measured in each turn at least.
    #[arg(long, default_value_t = 0.1)]
    pub(crate) seconds: f64,
    /// Seconds before that, in which nothing is counted.
    #[arg(long, default_value_t = 0.1)]
    pub(crate) warm_up: f64,
    /// Text messages instead of binary ones.
    #[arg(long)]
    pub(crate) text: bool,
    /// One more turn for each, in which perf counts system calls (needs the right to do so).
    #[arg(long)]
    pub(crate) syscalls: bool,
    /// The servers' core.
    #[arg(long, default_value_t = 0)]
    pub(crate) server_core: usize,
    /// The generator's core.
    #[arg(long, default_value_t = 1)]
    pub(crate) generator_core: usize,
    /// Where the result file goes; the tables stand beside it. Default: results/<date>.json.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Measures nothing: takes a result file from before, for its tables or --docs; with --add and
    /// --out, puts two of them together.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    /// Measures, and adds to the rows of a result file from before; equal fields are replaced.
    #[arg(long, value_name = "FILE")]
    pub(crate) add: Option<PathBuf>,
    /// Writes the plots to docs/performance/, and the tables into README.md and
    /// docs/performance.md, between their marks.
    #[arg(long)]
    pub(crate) docs: bool,
    /// Runs the criterion benches of the codecs instead, about four minutes.
    #[arg(long)]
    pub(crate) micro: bool,
    /// Builds the servers and stops.
    #[arg(long)]
    pub(crate) build: bool,
    /// Names the servers and stops.
    #[arg(long)]
    pub(crate) list: bool,
}

/// A kind of work.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Messages there and back.
    Echo,
    /// The same, as draft76 has it.
    Draft76,
    /// The same over TLS.
    Tls,
    /// The same with permessage-deflate, each message compressed by itself.
    Deflate,
    /// The same with permessage-deflate, with context takeover in both directions.
    Takeover,
    /// The same on servers with one and two threads, all on both cores.
    Cores,
    /// One message to many.
    Broadcast,
    /// The same with permessage-deflate, each message compressed by itself.
    DeflateBroadcast,
    /// Memory of connections that do nothing, fresh and after one echo of each size.
    Idle,
    /// Connections opened and closed.
    Connect,
}

impl Kind {
    /// Every kind.
    pub(crate) fn all() -> Vec<Self> {
        Self::value_variants().to_vec()
    }

    /// The same work without compression, of which floors know nothing.
    pub(crate) fn uncompressed(self) -> Self {
        match self {
            Self::Deflate | Self::Takeover => Self::Echo,
            Self::DeflateBroadcast => Self::Broadcast,
            other => other,
        }
    }

    /// The arguments that make a server do it; those of TLS need files, which `certificate` has.
    pub(crate) fn args(self, certificate: &[String; 2]) -> Vec<String> {
        let args: &[&str] = match self {
            Self::Tls => &["--tls", &certificate[0], &certificate[1]],
            Self::Deflate => &["--deflate"],
            Self::Takeover => &["--deflate-takeover"],
            Self::Broadcast => &["--broadcast"],
            Self::DeflateBroadcast => &["--broadcast", "--deflate"],
            _ => &[],
        };
        args.iter().map(|arg| (*arg).to_owned()).collect()
    }
}

impl Options {
    /// The kinds of work that are asked for.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        if !self.work.is_empty() {
            return self.work.clone();
        }
        if self.main || self.full { Kind::all() } else { vec![Kind::Echo] }
    }

    /// The options of the generator for one turn at `cell`.
    pub(crate) fn generator(&self, cell: Cell) -> options::Options {
        let deflate = match cell.kind {
            Kind::Deflate | Kind::DeflateBroadcast => Some(Takeover::Off),
            Kind::Takeover => Some(Takeover::On),
            _ => None,
        };
        options::Options {
            work: cell.work(),
            connect: ([127, 0, 0, 1], 0).into(),
            protocol: if cell.kind == Kind::Draft76 { Protocol::Draft76 } else { Protocol::Ws },
            server_pid: None,
            cpu: Some(self.generator_core),
            seconds: Duration::from_secs_f64(self.seconds),
            warm_up: Duration::from_secs_f64(self.warm_up),
            messages: u64::MAX,
            verify: false,
            tls: cell.kind == Kind::Tls,
            deflate,
            text: self.text,
        }
    }
}
