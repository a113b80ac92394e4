use std::{io, thread};

use crate::{
    echo::Load,
    options::{Idle, Options},
    process::Probe,
    report::{Measurement, Report},
    wire::Wire,
};

/// How many echo at the same time: all would be more than the system lends to sockets.
const AT_ONCE: usize = 100;

/// Opens connections, lets each echo once if asked to, and reads the server's memory.
pub(crate) fn run(options: &Options, work: Idle) -> io::Result<Report> {
    let wire = Wire::new(options, work.size, 1);
    let probe = options.server_pid.map(Probe::new).transpose()?;
    let before = probe.map(|probe| probe.resident_bytes()).transpose()?;
    let mut measurement = Measurement::start(options)?;
    let mut load = Load::open(options, &wire, work.connections)?;
    let mut report =
        Report { size: work.size, connections: work.connections, ..Report::of("idle", options) };
    if work.size > 0 {
        let done = load.once(AT_ONCE, |time, count| measurement.record(time, count))?;
        report.messages = done.messages;
        report.seconds = done.time.as_secs_f64();
    }
    thread::sleep(work.settle);
    measurement.stop()?;
    let mut report = measurement.report(report)?;
    if let (Some(before), Some(after)) = (before, report.resident) {
        let added = after.saturating_sub(before) as f64;
        report.resident_per_connection = Some(added / work.connections as f64);
    }
    Ok(report)
}
