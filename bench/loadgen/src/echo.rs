use std::{
    io,
    time::{Duration, Instant},
};

use crate::{
    connection::Connection,
    options::{Echo, Options},
    poller::Poller,
    report::{Measurement, Report},
    wire::Wire,
};

/// What one read takes at most. Larger payloads are skipped in steps of this.
const BUFFER: usize = 1024 * 1024;

/// Batches on each connection that are measured at least, on the average. Where a batch takes as long
/// as a short turn there would be one or two, and the figure would be that of a server's first
/// messages.
const LEAST: u64 = 5;

/// Batches on every connection, each sent when all of the last has come back.
pub(crate) fn run(options: &Options, work: Echo) -> io::Result<Report> {
    let wire = Wire::new(options, work.size, work.in_flight);
    let mut load = Load::open(options, &wire, work.connections)?;
    let at_once = work.connections;
    if !options.warm_up.is_zero() {
        let until = options.warm_up;
        load.run(Bound { until, least: 0, messages: u64::MAX, at_once }, |_, _| {})?;
    }

    let mut measurement = Measurement::start(options)?;
    let least = LEAST * work.connections as u64 * work.in_flight as u64;
    let (until, messages) = (options.seconds, options.messages);
    let bound = Bound { until, least, messages, at_once };
    let done = load.run(bound, |time, count| measurement.record(time, count))?;
    measurement.finish(Report {
        size: work.size,
        connections: work.connections,
        in_flight: work.in_flight,
        messages: done.messages,
        wire: done.bytes as f64 / done.messages.max(1) as f64,
        seconds: done.time.as_secs_f64(),
        ..Report::of("echo", options)
    })
}

/// When to begin no further batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) until: Duration,
    /// Goes on that far, however long it takes.
    pub(crate) least: u64,
    /// Goes no further, however soon that is.
    pub(crate) messages: u64,
    /// How many connections begin at the same time; each of the others follows one that is done.
    pub(crate) at_once: usize,
}

/// What was done until then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) messages: u64,
    /// Bytes that came back.
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
}

/// Open connections that echo.
#[derive(Debug)]
pub(crate) struct Load<'a> {
    wire: &'a Wire,
    poller: Poller,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
}

impl<'a> Load<'a> {
    pub(crate) fn open(options: &Options, wire: &'a Wire, connections: usize) -> io::Result<Self> {
        let poller = Poller::new()?;
        let open = |index| {
            let connection = Connection::open(options, wire)?;
            poller.watch(connection.socket(), index)?;
            Ok(connection)
        };
        let connections = (0..connections).map(open).collect::<io::Result<_>>()?;
        Ok(Self { wire, poller, connections, buffer: vec![0; BUFFER] })
    }

    /// Sends batches until `bound`, at least one on each connection, and waits for all echoes.
    pub(crate) fn run(
        &mut self,
        bound: Bound,
        mut record: impl FnMut(Duration, usize),
    ) -> io::Result<Done> {
        let Self { wire, poller, connections, buffer } = self;
        let start = Instant::now();
        let mut messages = 0;
        let before: u64 = connections.iter().map(|connection| connection.bytes).sum();
        let mut busy = connections.len();
        for connection in connections.iter_mut().take(bound.at_once) {
            connection.begin(wire)?;
        }
        let mut waiting = bound.at_once..connections.len();
        while busy > 0 {
            for ready in poller.wait()? {
                let connection = &mut connections[ready.index];
                if ready.writable {
                    connection.flush(wire)?;
                }
                if !ready.readable {
                    continue;
                }
                let count = connection.receive(wire, buffer)?;
                if count == 0 {
                    continue;
                }
                let now = Instant::now();
                record(now - connection.begun, count);
                messages += count as u64;
                if !connection.done(wire) {
                    continue;
                }
                let early = now - start < bound.until || messages < bound.least;
                if early && messages < bound.messages {
                    connection.begin(wire)?;
                } else {
                    busy -= 1;
                    if let Some(next) = waiting.next() {
                        connections[next].begin(wire)?;
                    }
                }
            }
        }
        let after: u64 = connections.iter().map(|connection| connection.bytes).sum();
        Ok(Done { messages, bytes: after - before, time: start.elapsed() })
    }
}
