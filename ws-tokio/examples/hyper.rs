//! Pages and `WebSocket`s on the port of a hyper server: `cargo run --example hyper` in the folder
//! of this crate, then connect to `ws://127.0.0.1:9001/echo`. Ctrl-C or a termination signal stops
//! it without cutting anybody off.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use ws_tokio::http::{Request, Response};
use ws_tokio::{Address, CloseCode, Connection, Server};

/// How long a client may take for the head of a request: the deadlines of the server begin when
/// hyper has read it.
const HEAD: Duration = Duration::from_secs(10);

/// How long clients may take to end when the program stops.
const GRACE: Duration = Duration::from_secs(10);

async fn echo(connection: Connection) {
    while let Some(Ok(message)) = connection.recv().await {
        if connection.send(message).await.is_err() {
            break;
        }
    }
}

async fn route(
    server: Server,
    peer: Address,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() != "/echo" {
        return Ok(Response::new(Full::from("connect to /echo\n")));
    }
    let answer = match server.upgrade_http(&mut request) {
        Ok(upgrade) => upgrade.peer(peer).serve(echo).await,
        Err(refusal) => refusal,
    };
    Ok(answer.map(Full::new))
}

/// Serves every client of `listener`. When something is sent to `stopped`, the answer at hand is
/// the last one of each.
async fn serve(server: &Server, listener: TcpListener, stopped: watch::Receiver<()>) -> ! {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // As a rule too many files are open, and soon there are fewer.
                eprintln!("cannot accept: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // So that small messages leave at once. It is no harm to a client that has gone.
        let _ = stream.set_nodelay(true);
        let server = server.clone();
        let service =
            service_fn(move |request| route(server.clone(), Address::from(peer), request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut stopped = stopped.clone();
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                _ = stopped.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

/// Waits for Ctrl-C, or for what service managers send.
async fn told_to_stop() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => pressed,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::builder().build()?;
    let listener = TcpListener::bind("127.0.0.1:9001").await?;
    println!("listening on {}", listener.local_addr()?);
    let (stop, stopped) = watch::channel(());
    tokio::select! {
        never = serve(&server, listener, stopped) => never,
        told = told_to_stop() => told?,
    }
    // The listener is closed. What is open has time to end: WebSockets are told to, and answers of
    // hyper go out, which is seen by their tasks letting go of the channel.
    let _ = stop.send(());
    let closing = server.shutdown(CloseCode::GOING_AWAY, GRACE);
    let (end, _) = tokio::join!(closing, timeout(GRACE, stop.closed()));
    println!("{} closed, {} aborted", end.closed, end.aborted);
    Ok(())
}
