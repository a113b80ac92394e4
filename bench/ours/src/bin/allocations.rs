//! What a server on tokio allocates for each message that it echoes: counted in one process with
//! the generator, which allocates nothing while it runs.

use std::{alloc::System, io, net::TcpListener, thread, time::Duration};

use loadgen::options::{Echo, Options as Load, Protocol, Work};
use serverkit::Options;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use ws_tokio::{Server, block_on};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SIZES: [usize; 6] = [16, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20];
const IN_FLIGHT: [usize; 2] = [1, 16];
const CONNECTIONS: usize = 8;

fn main() -> io::Result<()> {
    let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let options = Options { listen, ..Options::default() };
    let server: Server = ours::server(&options)?;
    thread::spawn(move || block_on(1, ours::serve(&server, &options)));
    // It listens when the first connection is made: the generator would be refused before that.
    while std::net::TcpStream::connect(listen).is_err() {
        thread::sleep(Duration::from_millis(10));
    }
    println!("| bytes | in flight | allocations per message | bytes allocated per message |");
    println!("|---:|---:|---:|---:|");
    for size in SIZES {
        for in_flight in IN_FLIGHT {
            let echo = |messages| {
                load(listen, Echo { size, connections: CONNECTIONS, in_flight }, messages)
            };
            // What a thread makes once is not of these messages.
            echo(0)?;
            let few = count(|| echo(0))?;
            let many = count(|| echo((256 << 20) / (size as u64 + 16 * 1024)))?;
            let messages = (many.0 - few.0) as f64;
            let [calls, bytes] = [many.1 - few.1, many.2 - few.2].map(|n| n as f64 / messages);
            println!("| {size} | {in_flight} | {calls:.2} | {bytes:.0} |");
        }
    }
    Ok(())
}

/// Messages, allocations and bytes of one run.
fn count(run: impl FnOnce() -> io::Result<u64>) -> io::Result<(u64, usize, usize)> {
    let region = Region::new(COUNTED);
    let messages = run()?;
    let change = region.change();
    // Growing in place or not is the allocator's business; it is one request each.
    Ok((messages, change.allocations + change.reallocations, change.bytes_allocated))
}

/// Runs echoes until there were so many, at least one batch on each connection.
fn load(connect: std::net::SocketAddr, echo: Echo, messages: u64) -> io::Result<u64> {
    let report = loadgen::run(&Load {
        work: Work::Echo(echo),
        connect,
        protocol: Protocol::Ws,
        server_pid: None,
        cpu: None,
        seconds: Duration::from_mins(1),
        warm_up: Duration::ZERO,
        messages,
        verify: false,
        tls: false,
        deflate: None,
        text: false,
    })?;
    Ok(report.messages)
}
