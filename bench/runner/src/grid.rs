use std::{fmt, time::Duration};

use loadgen::options::{Broadcast, Connect, Echo, Idle, Work};
use serde::Serialize;

use crate::options::{Kind, Options};

/// How long servers are left alone before their memory is read.
const SETTLE: Duration = Duration::from_secs(1);

/// One field of the grid: work of one shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell(pub(crate) Work);

impl Cell {
    /// All fields that the options ask for.
    pub(crate) fn all(options: &Options) -> Vec<Self> {
        options.work.iter().flat_map(|&kind| Self::of_kind(kind, options)).map(Self).collect()
    }

    pub(crate) fn kind(self) -> Kind {
        match self.0 {
            Work::Echo(_) => Kind::Echo,
            Work::Broadcast(_) => Kind::Broadcast,
            Work::Idle(_) => Kind::Idle,
            Work::Connect(_) => Kind::Connect,
        }
    }

    fn of_kind(kind: Kind, options: &Options) -> Vec<Work> {
        let mut works = Vec::new();
        for &connections in &options.connections {
            if kind == Kind::Connect {
                works.push(Work::Connect(Connect { connections }));
                continue;
            }
            if kind == Kind::Idle {
                works.push(Work::Idle(Idle { connections, size: 0, settle: SETTLE }));
            }
            for &size in &options.sizes {
                if kind == Kind::Idle {
                    works.push(Work::Idle(Idle { connections, size, settle: SETTLE }));
                    continue;
                }
                works.extend(options.in_flight.iter().map(|&in_flight| match kind {
                    Kind::Echo => Work::Echo(Echo { size, connections, in_flight }),
                    _ => Work::Broadcast(Broadcast {
                        size,
                        receivers: connections,
                        burst: in_flight,
                    }),
                }));
            }
        }
        works
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Work::Echo(Echo { size, connections, in_flight }) => {
                write!(f, "echo {} × {connections} × {in_flight}", Bytes(size))
            }
            Work::Broadcast(Broadcast { size, receivers, burst }) => {
                write!(f, "broadcast {} × {burst} to {receivers}", Bytes(size))
            }
            Work::Idle(Idle { size: 0, connections, .. }) => write!(f, "idle {connections}"),
            Work::Idle(Idle { size, connections, .. }) => {
                write!(f, "idle {connections} after {}", Bytes(size))
            }
            Work::Connect(Connect { connections }) => write!(f, "connect × {connections}"),
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A size with the largest unit that leaves no rest.
struct Bytes(usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n > 0 && n.is_multiple_of(1 << 20) => write!(f, "{} MiB", n >> 20),
            n if n > 0 && n.is_multiple_of(1 << 10) => write!(f, "{} KiB", n >> 10),
            n => write!(f, "{n} B"),
        }
    }
}
