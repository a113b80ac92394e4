//! Pages and `WebSocket`s on the port of a hyper server: `cargo run --example hyper` in the folder
//! of this crate, then connect to `ws://127.0.0.1:9001/echo`. Ctrl-C or a termination signal stops
//! it without cutting anybody off.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use smol::channel::{self, Receiver, Sender};
use smol::net::TcpListener;
use smol::{Timer, future};
use ws_smol::http::{HyperIo, HyperTimer, Request, Response};
use ws_smol::{Address, AsyncIo, Bytes, CloseCode, Connection, Server, Smol};

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

/// Serves every client of `listener`. When `stopped` is closed, the answer at hand is the last one
/// of each. As long as one of them is served, `busy` is open.
async fn accept(
    server: Server,
    listener: TcpListener,
    stopped: Receiver<()>,
    busy: Sender<()>,
) -> Infallible {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // As a rule too many files are open, and soon there are fewer.
                eprintln!("cannot accept: {error}");
                Timer::after(Duration::from_millis(100)).await;
                continue;
            }
        };
        // So that small messages leave at once. It is no harm to a client that has gone.
        let _ = stream.set_nodelay(true);
        let server = server.clone();
        let service =
            service_fn(move |request| route(server.clone(), Address::from(peer), request));
        let connection = http1::Builder::new()
            .timer(HyperTimer(Smol))
            .header_read_timeout(HEAD)
            .serve_connection(HyperIo(AsyncIo(stream)), service)
            .with_upgrades();
        let (stopped, busy) = (stopped.clone(), busy.clone());
        smol::spawn(async move {
            let _busy = busy;
            let (mut connection, mut stop) = (pin!(connection), pin!(stopped.recv()));
            let mut stopping = false;
            let ended = poll_fn(|cx| {
                if !stopping && stop.as_mut().poll(cx).is_ready() {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                connection.as_mut().poll(cx)
            });
            if let Err(error) = ended.await {
                eprintln!("{peer}: {error}");
            }
        })
        .detach();
    }
}

/// Serves every client of `listener` until `stopped` is closed, and lets what is open end.
pub(crate) async fn serve(server: Server, listener: TcpListener, stopped: Receiver<()>) {
    let (busy, idle) = channel::bounded(1);
    let accepting = smol::spawn(accept(server.clone(), listener, stopped.clone(), busy));
    // Nothing is sent on either channel: this waits until it is closed.
    let _ = stopped.recv().await;
    accepting.cancel().await;
    let late = Timer::after(GRACE);
    let end = server.shutdown(CloseCode::GOING_AWAY, GRACE).await;
    println!("{} closed, {} aborted", end.closed, end.aborted);
    // Answers of hyper that still go out.
    let over = async {
        let _ = idle.recv().await;
    };
    let late = async {
        late.await;
    };
    future::or(over, late).await;
}

fn main() -> Result<(), Box<dyn Error>> {
    let (stop, stopped) = channel::bounded(1);
    ctrlc::set_handler(move || {
        stop.close();
    })?;
    smol::block_on(async {
        let server = Server::builder().build()?;
        let listener = TcpListener::bind("127.0.0.1:9001").await?;
        println!("listening on {}", listener.local_addr()?);
        serve(server, listener, stopped).await;
        Ok(())
    })
}
