use std::{
    io,
    ops::AddAssign,
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

/// Batches on every connection, each sent when all of the last has come back. The clocks are read
/// while the load goes on, so that a server is measured as it works and not as it starts. Without a
/// warm-up they are read before the first message and after the last.
pub(crate) fn run(options: &Options, work: Echo) -> io::Result<Report> {
    let wire = Wire::new(options, work.size, work.in_flight);
    let mut load = Load::open(options, &wire, work.connections)?;
    let round = (work.connections * work.in_flight) as u64;
    let whole = options.warm_up.is_zero();
    if !whole {
        let bound = Bound { until: options.warm_up, least: round, messages: u64::MAX };
        load.keep_busy(bound, |_, _| {})?;
    }

    let mut measurement = Measurement::start(options)?;
    let bound = Bound { until: options.seconds, least: LEAST * round, messages: options.messages };
    let mut done = load.keep_busy(bound, |time, count| measurement.record(time, count))?;
    if whole {
        done += load.finish(|time, count| measurement.record(time, count))?;
    }
    measurement.stop()?;
    load.finish(|_, _| {})?;
    measurement.report(Report {
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
struct Bound {
    until: Duration,
    /// Goes on that far, however long it takes.
    least: u64,
    /// Goes no further, however soon that is.
    messages: u64,
}

/// What was done until then.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) messages: u64,
    /// Bytes that came back.
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
}

impl AddAssign for Done {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.time += other.time;
    }
}

/// Open connections that echo.
#[derive(Debug)]
pub(crate) struct Load<'a> {
    wire: &'a Wire,
    poller: Poller,
    connections: Vec<Connection>,
    /// How many of them wait for echoes.
    busy: usize,
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
        Ok(Self { wire, poller, connections, busy: 0, buffer: vec![0; BUFFER] })
    }

    /// Sends the next batch wherever the last has come back, until `bound`. Then each connection has
    /// one under way.
    fn keep_busy(
        &mut self,
        bound: Bound,
        mut record: impl FnMut(Duration, usize),
    ) -> io::Result<Done> {
        if self.busy == 0 {
            self.begin(self.connections.len())?;
        }
        let batch = self.wire.count as u64;
        let due = |connection: &Connection| connection.due(self.wire) as u64;
        let mut begun: u64 = self.connections.iter().map(due).sum();
        let mut next = |index| {
            let more = begun < bound.messages;
            begun += batch;
            more.then_some(index)
        };
        let early = |time, messages| time < bound.until || messages < bound.least;
        self.serve(early, &mut next, &mut record)
    }

    /// Waits for all echoes.
    fn finish(&mut self, mut record: impl FnMut(Duration, usize)) -> io::Result<Done> {
        self.serve(|_, _| true, &mut |_| None, &mut record)
    }

    /// One batch on each connection; `at_once` of them begin at the same time, and each of the others
    /// follows one that is done.
    pub(crate) fn once(
        &mut self,
        at_once: usize,
        mut record: impl FnMut(Duration, usize),
    ) -> io::Result<Done> {
        self.begin(at_once)?;
        let mut waiting = self.busy..self.connections.len();
        self.serve(|_, _| true, &mut |_| waiting.next(), &mut record)
    }

    fn begin(&mut self, count: usize) -> io::Result<()> {
        for connection in self.connections.iter_mut().take(count) {
            connection.begin(self.wire)?;
            self.busy += 1;
        }
        Ok(())
    }

    /// Reads echoes while `go_on`, told the time and the messages so far, says so and some are due.
    /// `next` is asked who begins when a connection has all of its echoes.
    fn serve(
        &mut self,
        go_on: impl Fn(Duration, u64) -> bool,
        next: &mut impl FnMut(usize) -> Option<usize>,
        record: &mut impl FnMut(Duration, usize),
    ) -> io::Result<Done> {
        let start = Instant::now();
        let before = self.bytes();
        let mut messages = 0;
        while self.busy > 0 && go_on(start.elapsed(), messages) {
            // An edge is reported once, so all that were reported are served.
            for ready in self.poller.wait()? {
                let connection = &mut self.connections[ready.index];
                if ready.writable {
                    connection.flush(self.wire)?;
                }
                if !ready.readable {
                    continue;
                }
                let count = connection.receive(self.wire, &mut self.buffer)?;
                if count == 0 {
                    continue;
                }
                record(connection.begun.elapsed(), count);
                messages += count as u64;
                if connection.done(self.wire) {
                    match next(ready.index) {
                        Some(next) => self.connections[next].begin(self.wire)?,
                        None => self.busy -= 1,
                    }
                }
            }
        }
        Ok(Done { messages, bytes: self.bytes() - before, time: start.elapsed() })
    }

    fn bytes(&self) -> u64 {
        self.connections.iter().map(|connection| connection.bytes).sum()
    }
}
