use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};
use loadgen::options::{self, Protocol};

/// Runs a grid of work over servers, one after the other, several rounds, and writes medians.
///
/// Without options: echo at two sizes on 32 connections, 1 and 16 messages in flight, in less
/// than three minutes.
#[derive(Clone, Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Options {
    /// Kinds of work.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "echo")]
    pub(crate) work: Vec<Kind>,
    /// Servers, by name; all when none is named. floor-tokio is always among them.
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
    /// Rounds; every server has its turn in each of them.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// Seconds that are measured in each turn.
    #[arg(long, default_value_t = 0.3)]
    pub(crate) seconds: f64,
    /// Seconds before that, in which nothing is counted.
    #[arg(long, default_value_t = 0.1)]
    pub(crate) warm_up: f64,
    /// The whole echo grid: six sizes, 1, 32 and 500 connections, 1 and 16 in flight. Hours.
    #[arg(long)]
    pub(crate) full: bool,
    /// How to speak to those servers that are not floors.
    #[arg(long, value_enum, default_value = "ws")]
    pub(crate) protocol: Protocol,
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
    /// Where the result file goes; the table stands beside it. Default: results/<date>.json.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Runs the criterion benches of the codecs instead, about four minutes.
    #[arg(long)]
    pub(crate) micro: bool,
    /// Names the servers and stops.
    #[arg(long)]
    pub(crate) list: bool,
}

/// A kind of work.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Kind {
    /// Messages there and back.
    Echo,
    /// One message to many.
    Broadcast,
    /// Memory of connections that do nothing, fresh and after one echo of each size.
    Idle,
    /// Connections opened and closed.
    Connect,
}

impl Options {
    /// The options with what `--full` stands for put in.
    pub(crate) fn resolved(mut self) -> Self {
        if self.full {
            self.sizes = vec![16, 125, 1024, 16 * 1024, 64 * 1024, 1024 * 1024];
            self.connections = vec![1, 32, 500];
            self.in_flight = vec![1, 16];
        }
        self
    }

    /// The options of the generator for one turn of `work`.
    pub(crate) fn generator(&self, work: options::Work) -> options::Options {
        options::Options {
            work,
            connect: ([127, 0, 0, 1], 0).into(),
            protocol: self.protocol,
            server_pid: None,
            cpu: Some(self.generator_core),
            seconds: Duration::from_secs_f64(self.seconds),
            warm_up: Duration::from_secs_f64(self.warm_up),
            messages: u64::MAX,
            verify: false,
            text: self.text,
        }
    }
}
