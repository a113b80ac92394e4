use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use loadgen::{
    Report,
    options::{Idle, Options as Generator, Protocol, Work},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    grid::Cell,
    make::{self, Built},
    options::{Kind, Options},
};

/// How long a server gets to begin to listen.
const START: Duration = Duration::from_secs(10);

/// How long it gets to notice what became of its connections, while its system calls are counted.
const CLOSING: Duration = Duration::from_millis(100);

/// Messages of a connection beside which the ten or so system calls of its opening and closing are
/// less than a hundredth for each.
const MANY: u64 = 1000;

/// How long perf gets to end.
const ENDING: Duration = Duration::from_secs(10);

/// A server process, which ends with this value.
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(built: &Built, args: &[String]) -> io::Result<Self> {
        let address = free_address()?;
        let Built { server, command } = built;
        let child = Command::new(&command[0])
            .args(&command[1..])
            .args(["--listen", &address.to_string()])
            .args(server.args)
            .args(args)
            .env("ASYNC_STD_THREAD_COUNT", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // Servers log that the generator closes; it would fill the terminal.
            .stderr(Stdio::null())
            .spawn()?;
        let mut process = Self { child, address };
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = process.child.try_wait()? {
                // Not in the error, which may go into the documentation.
                eprintln!("by hand: {}", command.join(" "));
                return Err(io::Error::other(format!("the server ended with {status}")));
            }
            if Instant::now() > deadline {
                return Err(io::Error::other("the server did not listen within 10 s"));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(process)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts the load on a server, which is started unless it `runs`. It runs on if the field keeps its
/// servers; one that was not answered as it should be is stopped.
///
/// # Errors
/// The server does not start, or the generator was not answered as it should be.
pub(crate) fn take(
    built: &Built,
    cell: Cell,
    options: &Options,
    runs: &mut Option<Process>,
) -> io::Result<Report> {
    let (process, generator) = prepare(built, cell, options, runs.take())?;
    let report = loadgen::run(&generator)?;
    *runs = cell.keeps_servers().then_some(process);
    Ok(report)
}

/// The same, to count the system calls of the server for each message.
///
/// # Errors
/// As for [`take`], or perf may not count.
pub(crate) fn count_system_calls(built: &Built, cell: Cell, options: &Options) -> io::Result<f64> {
    let (process, mut generator) = prepare(built, cell, options, None)?;
    // perf counts from the first connection on, so no message may go uncounted.
    generator.warm_up = Duration::ZERO;
    let (calls, messages) = counted(&process, &generator)?;
    let opening = match opening(generator.work) {
        Some(work) if messages < cell.connections as u64 * MANY => {
            // There is nothing to compress.
            counted(&process, &Generator { work, deflate: None, ..generator })?.0
        }
        _ => 0.0,
    };
    Ok((calls - opening).max(0.0) / messages.max(1) as f64)
}

/// The same connections, opened and closed without a message in between. Where that is the work
/// itself there is nothing to take off.
fn opening(work: Work) -> Option<Work> {
    let connections = match work {
        Work::Echo(echo) => echo.connections,
        // The publisher is one more.
        Work::Broadcast(broadcast) => broadcast.receivers + 1,
        Work::Idle(_) | Work::Connect(_) => return None,
    };
    Some(Work::Idle(Idle { connections, size: 0, settle: CLOSING }))
}

/// System calls of the server during this work, and its messages.
fn counted(process: &Process, generator: &Generator) -> io::Result<(f64, u64)> {
    let perf = Command::new("perf")
        .args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p"])
        .arg(process.child.id().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    // perf says nothing when it has attached.
    thread::sleep(Duration::from_millis(300));
    let report = loadgen::run(generator);
    thread::sleep(CLOSING);
    let text = end(perf)?;
    let report = report?;
    let count = text
        .lines()
        .find(|line| line.contains("sys_enter"))
        .and_then(|line| line.split(',').next()?.parse::<f64>().ok())
        .ok_or_else(|| io::Error::other(format!("perf counted nothing: {}", text.trim())))?;
    Ok((count, report.messages))
}

/// Ends perf and reads what it says. One that does not end has counted nothing, and is killed.
fn end(mut perf: Child) -> io::Result<String> {
    kill(Pid::from_raw(perf.id().cast_signed()), Signal::SIGINT)?;
    let deadline = Instant::now() + ENDING;
    while perf.try_wait()?.is_none() {
        if Instant::now() > deadline {
            perf.kill()?;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let output = perf.wait_with_output()?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn prepare(
    built: &Built,
    cell: Cell,
    options: &Options,
    runs: Option<Process>,
) -> io::Result<(Process, Generator)> {
    let mut generator = options.generator(cell);
    let mut kind = cell.kind;
    if built.server.is_floor() {
        generator.protocol = Protocol::Raw;
        generator.deflate = None;
        kind = kind.uncompressed();
    }
    let (ours, theirs) = (options.generator_core, options.server_core);
    let cores = if cell.kind == Kind::Cores { vec![ours, theirs] } else { vec![theirs] };
    if cell.kind == Kind::Cores {
        generator.cpu = None;
    }
    // The child has the cores of who starts it; the generator moves to its own afterwards.
    loadgen::pin_to(&cores)?;
    let process = match runs {
        Some(process) => process,
        None => Process::start(built, &kind.args(&make::certificate()?))?,
    };
    generator.connect = process.address;
    generator.server_pid = Some(process.child.id().cast_signed());
    Ok((process, generator))
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}
