use std::{io, time::Duration};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::{
    options::{Options, Protocol, Takeover},
    process::{Probe, own_cpu_ns},
};

/// Latencies are told apart up to a minute, with three digits.
const LONGEST_NS: u64 = 60_000_000_000;

/// What was done and what it cost.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Report {
    /// `echo`, `broadcast`, `idle` or `connect`.
    pub work: String,
    /// How the server was spoken to.
    pub protocol: Protocol,
    /// Bytes of payload in a message.
    pub size: usize,
    /// Connections, the publisher of a broadcast not among them.
    pub connections: usize,
    /// Messages of one connection, or of the publisher, that were under way at the same time.
    pub in_flight: usize,
    /// Whether they went over TLS.
    #[serde(default)]
    pub tls: bool,
    /// Whether they were compressed, and how.
    #[serde(default)]
    pub deflate: Option<Takeover>,
    /// Whether the messages were text.
    pub text: bool,
    /// Whether every byte was compared.
    pub verify: bool,
    /// Messages that came back (one per receiver for a broadcast), or connections made and closed.
    pub messages: u64,
    /// Bytes that came back for each message, heads included and TLS not. Echoes that are under way
    /// at the borders of the measurement count in part.
    #[serde(default)]
    pub wire: f64,
    /// How long that took.
    pub seconds: f64,
    /// Messages per second.
    pub rate: f64,
    /// From the start of a batch until each of its messages is back.
    pub latency: Latency,
    /// Nanoseconds of CPU per message in the server; `None` when its process is not known.
    pub server_ns: Option<f64>,
    /// Nanoseconds of CPU per message in the generator.
    pub generator_ns: f64,
    /// Bytes resident in the server afterwards; `None` when its process is not known.
    pub resident: Option<u64>,
    /// Bytes that each connection added to what is resident (idle work only).
    pub resident_per_connection: Option<f64>,
}

/// Microseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Latency {
    /// Half of the messages are faster.
    pub p50: f64,
    /// 99 % of the messages are faster.
    pub p99: f64,
    /// 99.9 % of the messages are faster.
    pub p999: f64,
}

/// The clocks at the start of a measurement and at its end.
#[derive(Debug)]
pub(crate) struct Measurement {
    server: Option<Probe>,
    start: Cpu,
    end: Cpu,
    latency: Histogram<u64>,
}

/// Nanoseconds of CPU that were used until a moment.
#[derive(Clone, Copy, Debug)]
struct Cpu {
    server: u64,
    own: u64,
}

impl Cpu {
    fn now(server: Option<Probe>) -> io::Result<Self> {
        let server = server.map(|probe| probe.cpu_ns()).transpose()?;
        Ok(Self { server: server.unwrap_or(0), own: own_cpu_ns()? })
    }
}

impl Measurement {
    /// Reads the clocks.
    pub(crate) fn start(options: &Options) -> io::Result<Self> {
        let server = options.server_pid.map(Probe::new).transpose()?;
        let latency = Histogram::new_with_max(LONGEST_NS, 3).map_err(io::Error::other)?;
        let start = Cpu::now(server)?;
        Ok(Self { server, start, end: start, latency })
    }

    /// Reads the clocks again.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        self.end = Cpu::now(self.server)?;
        Ok(())
    }

    /// Notes that `count` messages took `time`.
    pub(crate) fn record(&mut self, time: Duration, count: usize) {
        self.latency.saturating_record_n(time.as_nanos() as u64, count as u64);
    }

    /// Adds what was measured to a `report` that says what was done meanwhile.
    pub(crate) fn report(self, mut report: Report) -> io::Result<Report> {
        let messages = report.messages.max(1) as f64;
        report.generator_ns = (self.end.own - self.start.own) as f64 / messages;
        if let Some(probe) = self.server {
            report.server_ns = Some((self.end.server - self.start.server) as f64 / messages);
            report.resident = Some(probe.resident_bytes()?);
        }
        let at = |quantile| self.latency.value_at_quantile(quantile) as f64 / 1000.0;
        report.latency = Latency { p50: at(0.5), p99: at(0.99), p999: at(0.999) };
        if report.messages > 0 {
            report.rate = report.messages as f64 / report.seconds;
        }
        Ok(report)
    }
}

impl Report {
    /// A report of which only the work is known.
    pub(crate) fn of(work: &str, options: &Options) -> Self {
        Self {
            work: work.to_owned(),
            protocol: options.protocol,
            size: 0,
            connections: 0,
            in_flight: 1,
            tls: options.tls,
            deflate: options.deflate,
            text: options.text || options.protocol == Protocol::Draft76,
            verify: options.verify,
            messages: 0,
            wire: 0.0,
            seconds: 0.0,
            rate: 0.0,
            latency: Latency::default(),
            server_ns: None,
            generator_ns: 0.0,
            resident: None,
            resident_per_connection: None,
        }
    }
}
