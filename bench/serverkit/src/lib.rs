//! What all servers under test share, so that they differ only in what is compared: the command
//! line, the runtime (tokio, one thread), the accept loop, `TCP_NODELAY`.

use std::{env, fmt::Display, io, net::SocketAddr, process};

use futures::{FutureExt as _, Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime, task,
};

/// How many messages [`echo_in_batches`] gathers at most.
const BATCH: usize = 32;

/// The command line of a server.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// `--listen ADDR`. Default: 127.0.0.1:9001.
    pub listen: SocketAddr,
    /// `--batch`: gather the replies to all messages that are at hand and write them at once,
    /// where the library lets its user do so.
    pub batch: bool,
    /// `--buffer BYTES`, for the floors. Default: 65536.
    pub buffer: usize,
}

impl Options {
    /// Reads the command line; ends the process when it makes no sense.
    pub fn from_args() -> Self {
        Self::parse(env::args().skip(1)).unwrap_or_else(|problem| {
            eprintln!("{problem}; usage: [--listen ADDR] [--batch] [--buffer BYTES]");
            process::exit(2)
        })
    }

    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let listen = SocketAddr::from(([127, 0, 0, 1], 9001));
        let mut options = Self { listen, batch: false, buffer: 64 * 1024 };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--listen" => options.listen = parsed(&arg, &value()?)?,
                "--buffer" => options.buffer = parsed(&arg, &value()?)?,
                "--batch" => options.batch = true,
                _ => return Err(format!("unknown option {arg}")),
            }
        }
        Ok(options)
    }
}

/// Runs `handle` for every connection, all on one thread, until the process is killed.
///
/// # Errors
/// The address cannot be listened on.
pub fn serve<F>(options: Options, handle: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(options.listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            task::spawn(handle(stream));
        }
    })
}

/// Sends every message back, one flush for each: the loop of every README.
///
/// # Errors
/// Those of the stream.
pub async fn echo<S, M, E>(mut socket: S, is_data: impl Fn(&M) -> bool) -> Result<(), E>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    while let Some(message) = socket.next().await {
        let message = message?;
        if is_data(&message) {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// Takes all messages that are at hand, feeds all replies, and flushes once: what a user of a
/// `Sink` can do by hand. Some libraries flush whenever they are read from, so reading comes first.
///
/// # Errors
/// Those of the stream.
pub async fn echo_in_batches<S, M, E>(mut socket: S, is_data: impl Fn(&M) -> bool) -> Result<(), E>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(message) = socket.next().await {
        batch.push(message?);
        while batch.len() < BATCH
            && let Some(Some(message)) = socket.next().now_or_never()
        {
            batch.push(message?);
        }
        for message in batch.drain(..).filter(&is_data) {
            socket.feed(message).await?;
        }
        socket.flush().await?;
    }
    Ok(())
}

fn parsed<T: std::str::FromStr<Err: Display>>(option: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|error| format!("{option} {value}: {error}"))
}
