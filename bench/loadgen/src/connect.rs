use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::{
    options::{Connect, Options},
    poller::Poller,
    process,
    report::{Measurement, Report},
    wire::{Wire, fault},
};

/// Connections are made, opened, closed and replaced by the next. A raw connection sends one byte
/// and waits for it in place of the two handshakes.
pub(crate) fn run(options: &Options, work: Connect) -> io::Result<Report> {
    if options.tls {
        return Err(fault("connects over TLS are not measured"));
    }
    let wire = Wire::new(options, 0, 1);
    let mut door = Door { address: options.connect, wire: &wire, poller: Poller::new()? };
    if !options.warm_up.is_zero() {
        door.run(work.connections, options.warm_up, u64::MAX, |_| {})?;
    }

    process::rest();
    let mut measurement = Measurement::start(options)?;
    let (messages, time) =
        door.run(work.connections, options.seconds, options.messages, |time| {
            measurement.record(time, 1);
        })?;
    process::rest();
    measurement.stop()?;
    measurement.report(Report {
        connections: work.connections,
        messages,
        seconds: time.as_secs_f64(),
        ..Report::of("connect", options)
    })
}

struct Door<'a> {
    address: SocketAddr,
    wire: &'a Wire,
    poller: Poller,
}

/// A connection between its first byte and its last.
struct Visit {
    stream: TcpStream,
    begun: Instant,
    answer: Vec<u8>,
    closing: bool,
}

impl Door<'_> {
    fn run(
        &mut self,
        connections: usize,
        until: Duration,
        most: u64,
        mut record: impl FnMut(Duration),
    ) -> io::Result<(u64, Duration)> {
        let start = Instant::now();
        let mut visits = (0..connections)
            .map(|index| self.enter(index).map(Some))
            .collect::<io::Result<Vec<_>>>()?;
        let mut inside = connections;
        let mut done = 0;
        while inside > 0 {
            let ready: Vec<_> = self.poller.wait()?.filter(|ready| ready.readable).collect();
            for ready in ready {
                let Some(visit) = &mut visits[ready.index] else { continue };
                if !visit.proceed(self.wire)? {
                    continue;
                }
                record(visit.begun.elapsed());
                done += 1;
                // The old socket is closed before the next one is opened.
                visits[ready.index] = None;
                if start.elapsed() < until && done + inside as u64 <= most {
                    visits[ready.index] = Some(self.enter(ready.index)?);
                } else {
                    inside -= 1;
                }
            }
        }
        Ok((done, start.elapsed()))
    }

    fn enter(&self, index: usize) -> io::Result<Visit> {
        let begun = Instant::now();
        // On loopback this does not wait: the kernel finishes the TCP handshake at once.
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let request = self.wire.request();
        stream.write_all(if request.is_empty() { b"?" } else { request })?;
        self.poller.watch(&stream, index)?;
        Ok(Visit { stream, begun, answer: Vec::with_capacity(512), closing: false })
    }
}

impl Visit {
    /// Takes the next step. Returns whether it was the last.
    fn proceed(&mut self, wire: &Wire) -> io::Result<bool> {
        loop {
            let mut bytes = [0; 512];
            match self.stream.read(&mut bytes) {
                Ok(0) if self.closing => return self.closed(wire).map(|()| true),
                Ok(0) => return Err(fault("the server closed in the middle of the handshake")),
                Ok(n) => self.answer.extend(&bytes[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                // Who closes without reading may reset; the close frames have passed by then.
                Err(error) if self.closing && error.kind() == ErrorKind::ConnectionReset => {
                    return self.closed(wire).map(|()| true);
                }
                Err(error) => return Err(error),
            }
            let (close, _) = wire.close();
            if close.is_empty() {
                return Ok(true);
            }
            if !self.closing && wire.opened(&self.answer)? {
                self.answer.clear();
                self.stream.write_all(close)?;
                self.closing = true;
            }
        }
    }

    /// Checks that a close frame was the last that came.
    fn closed(&self, wire: &Wire) -> io::Result<()> {
        let (_, first) = wire.close();
        if self.answer.first() == Some(&first) {
            return Ok(());
        }
        Err(fault(format!("closed with {} and no close frame", self.answer.escape_ascii())))
    }
}
