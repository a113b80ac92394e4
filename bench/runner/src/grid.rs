use std::{fmt, time::Duration};

use loadgen::options::{Broadcast, Connect, Echo, Idle, Work};
use serde::{Deserialize, Serialize};

use crate::options::{Kind, Options};

/// How long servers are left alone before their memory is read.
const SETTLE: Duration = Duration::from_secs(1);

/// One field of the grid: work of one shape.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub(crate) struct Cell {
    pub(crate) kind: Kind,
    /// Bytes of a message; 0 for idle connections that send none, and for connects.
    pub(crate) size: usize,
    /// Connections, or receivers of a broadcast.
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
}

/// Sizes, connections and messages in flight of one kind of work.
struct Shape<'a> {
    sizes: &'a [usize],
    connections: &'a [usize],
    in_flight: &'a [usize],
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// With more bytes in flight a turn lasts long enough to be measured by itself, and servers hold what
/// others need.
const MUCH_IN_FLIGHT: usize = 1 << 26;

/// The same for connections.
const MANY: usize = 10_000;

/// Where the runner chooses, no connection waits so long for its turn that its server pings it.
const MOST_IN_FLIGHT: usize = 1 << 30;

impl Cell {
    /// All fields that the options ask for.
    pub(crate) fn all(options: &Options) -> Vec<Self> {
        options.kinds().into_iter().flat_map(|kind| Self::of_kind(kind, options)).collect()
    }

    fn bytes_in_flight(self) -> usize {
        self.size * self.connections * self.in_flight
    }

    /// Whether a server has several turns in one process, so that what it does once, as compiling or
    /// growing, is not measured in each of them.
    pub(crate) fn keeps_servers(self) -> bool {
        let small = self.bytes_in_flight() <= MUCH_IN_FLIGHT && self.connections < MANY;
        self.kind != Kind::Idle && small
    }

    /// How many rounds there are: a third where turns are long, one where the figure does not depend
    /// on what else the machine does.
    pub(crate) fn rounds(self, options: &Options) -> usize {
        match self.kind {
            Kind::Idle => 1,
            _ if self.keeps_servers() => options.rounds,
            _ => options.rounds.div_ceil(3),
        }
    }

    pub(crate) fn work(self) -> Work {
        let Self { kind, size, connections, in_flight } = self;
        match kind {
            Kind::Broadcast | Kind::DeflateBroadcast => {
                Work::Broadcast(Broadcast { size, receivers: connections, burst: in_flight })
            }
            Kind::Idle => Work::Idle(Idle { connections, size, settle: SETTLE }),
            Kind::Connect => Work::Connect(Connect { connections }),
            _ => Work::Echo(Echo { size, connections, in_flight }),
        }
    }

    fn of_kind(kind: Kind, options: &Options) -> Vec<Self> {
        let given = Shape {
            sizes: &options.sizes,
            connections: &options.connections,
            in_flight: &options.in_flight,
        };
        let Shape { sizes, connections, in_flight } =
            if options.main || options.full { shape(kind, options.full) } else { given };
        let fresh = [0];
        let sizes: Vec<_> = match kind {
            Kind::Connect => fresh.to_vec(),
            Kind::Idle => fresh.iter().chain(sizes).copied().collect(),
            _ => sizes.to_vec(),
        };
        let once = matches!(kind, Kind::Connect | Kind::Idle);
        let in_flight = if once { &[1] } else { in_flight };
        let mut cells = Vec::new();
        for &size in &sizes {
            for &connections in connections {
                let cell = |&in_flight| Self { kind, size, connections, in_flight };
                cells.extend(in_flight.iter().map(cell));
            }
        }
        if options.main || options.full {
            // Idle connections send in waves.
            let few = |cell: &Self| cell.bytes_in_flight() <= MOST_IN_FLIGHT;
            cells.retain(|cell| kind == Kind::Idle || few(cell));
        }
        cells.dedup();
        cells
    }
}

/// What is shown of each kind of work.
fn shape(kind: Kind, full: bool) -> Shape<'static> {
    const ECHO: [usize; 6] = [16, 125, KIB, 16 * KIB, 64 * KIB, MIB];
    let some: &[usize] = &[125, KIB, 16 * KIB];
    match kind {
        Kind::Echo if full => {
            Shape { sizes: &ECHO, connections: &[1, 32, 500], in_flight: &[1, 16] }
        }
        Kind::Echo => Shape { sizes: &ECHO[1..], connections: &[32, 500], in_flight: &[1, 16] },
        Kind::Draft76 => Shape { sizes: &ECHO, connections: &[32], in_flight: &[1, 16] },
        Kind::Broadcast => {
            Shape { sizes: &[64, KIB], connections: &[1000, 10_000], in_flight: &[1, 16] }
        }
        Kind::DeflateBroadcast => {
            Shape { sizes: &[KIB], connections: &[1000], in_flight: &[1, 16] }
        }
        Kind::Idle => {
            Shape { sizes: &[125, 16 * KIB, 256 * KIB], connections: &[10_000], in_flight: &[1] }
        }
        Kind::Connect => Shape { sizes: &[0], connections: &[32], in_flight: &[1] },
        Kind::Deflate | Kind::Takeover | Kind::Tls | Kind::Cores => {
            Shape { sizes: some, connections: &[32], in_flight: &[1, 16] }
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, size, connections, in_flight } = *self;
        let size = Bytes(size);
        match kind {
            Kind::Broadcast => write!(f, "broadcast {size} × {in_flight} to {connections}"),
            Kind::DeflateBroadcast => {
                write!(f, "deflate broadcast {size} × {in_flight} to {connections}")
            }
            Kind::Idle if size.0 == 0 => write!(f, "idle {connections}"),
            Kind::Idle => write!(f, "idle {connections} after {size}"),
            Kind::Connect => write!(f, "connect × {connections}"),
            Kind::Echo => write!(f, "echo {size} × {connections} × {in_flight}"),
            Kind::Draft76 => write!(f, "draft76 {size} × {connections} × {in_flight}"),
            Kind::Tls => write!(f, "TLS {size} × {connections} × {in_flight}"),
            Kind::Deflate => write!(f, "deflate {size} × {connections} × {in_flight}"),
            Kind::Takeover => write!(f, "deflate+takeover {size} × {connections} × {in_flight}"),
            Kind::Cores => write!(f, "both cores {size} × {connections} × {in_flight}"),
        }
    }
}

/// A size with the largest unit that leaves no rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes(pub(crate) usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n > 0 && n.is_multiple_of(MIB) => write!(f, "{} MiB", n / MIB),
            n if n > 0 && n.is_multiple_of(KIB) => write!(f, "{} KiB", n / KIB),
            n => write!(f, "{n} B"),
        }
    }
}
