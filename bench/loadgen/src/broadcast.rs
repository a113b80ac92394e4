use std::{
    io,
    time::{Duration, Instant},
};

use crate::{
    connection::Connection,
    options::{Broadcast, Options},
    poller::Poller,
    process,
    report::{Measurement, Report},
    wire::Wire,
};

const BUFFER: usize = 256 * 1024;

/// Bursts that are measured at least: to 10,000 receivers one takes some servers longer than a turn.
const LEAST: u64 = 5;

/// One connection publishes bursts; the next burst goes out when all receivers have the last.
pub(crate) fn run(options: &Options, work: Broadcast) -> io::Result<Report> {
    let wire = Wire::for_broadcast(options, work.size, work.burst);
    let mut room = Room::open(options, &wire, work.receivers)?;
    if !options.warm_up.is_zero() {
        room.run(options.warm_up, 1, u64::MAX, |_, _| {})?;
    }

    process::rest();
    let mut measurement = Measurement::start(options)?;
    let before = room.bytes();
    let (messages, time) = room.run(options.seconds, LEAST, options.messages, |time, count| {
        measurement.record(time, count);
    })?;
    process::rest();
    measurement.stop()?;
    measurement.report(Report {
        size: work.size,
        connections: work.receivers,
        in_flight: work.burst,
        messages,
        wire: (room.bytes() - before) as f64 / messages.max(1) as f64,
        seconds: time.as_secs_f64(),
        ..Report::of("broadcast", options)
    })
}

struct Room<'a> {
    wire: &'a Wire,
    poller: Poller,
    receivers: Vec<Connection>,
    publisher: Connection,
    buffer: Vec<u8>,
}

impl<'a> Room<'a> {
    fn open(options: &Options, wire: &'a Wire, receivers: usize) -> io::Result<Self> {
        let poller = Poller::new()?;
        let open = |index| {
            let connection = Connection::open(options, wire)?;
            poller.watch(connection.socket(), index)?;
            Ok::<_, io::Error>(connection)
        };
        let receivers: Vec<_> = (0..receivers).map(open).collect::<io::Result<_>>()?;
        // Last, so that a server has accepted all receivers when the first message comes.
        let publisher = open(receivers.len())?;
        Ok(Self { wire, poller, receivers, publisher, buffer: vec![0; BUFFER] })
    }

    /// Publishes until the time is up and there were the `least` bursts, or for the `most` messages.
    fn run(
        &mut self,
        until: Duration,
        least: u64,
        most: u64,
        mut record: impl FnMut(Duration, usize),
    ) -> io::Result<(u64, Duration)> {
        let start = Instant::now();
        let (mut bursts, mut messages) = (0, 0);
        while bursts == 0 || messages < most && (bursts < least || start.elapsed() < until) {
            messages += self.burst(&mut record)?;
            bursts += 1;
        }
        Ok((messages, start.elapsed()))
    }

    /// Bytes that the receivers got.
    fn bytes(&self) -> u64 {
        self.receivers.iter().map(|receiver| receiver.bytes).sum()
    }

    fn burst(&mut self, record: &mut impl FnMut(Duration, usize)) -> io::Result<u64> {
        let Self { wire, poller, receivers, publisher, buffer } = self;
        for receiver in receivers.iter_mut() {
            receiver.expect_batch();
        }
        publisher.begin(wire)?;
        let mut waiting = receivers.len();
        let mut messages = 0;
        while waiting > 0 {
            for ready in poller.wait()? {
                let Some(receiver) = receivers.get_mut(ready.index) else {
                    // A server may hand the publisher its own messages; they are not counted.
                    publisher.flush(wire)?;
                    publisher.discard(buffer)?;
                    continue;
                };
                if !ready.readable {
                    continue;
                }
                let count = receiver.receive(wire, buffer)?;
                if count > 0 {
                    record(publisher.begun.elapsed(), count);
                    messages += count as u64;
                    waiting -= usize::from(receiver.done(wire));
                }
            }
        }
        Ok(messages)
    }
}
