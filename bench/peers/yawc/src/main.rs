//! An echo server over yawc, as its example `echo_server` shows one: hyper reads the request. In
//! batches it has the buffers that its authors measure with.

use std::{future::ready, io};

use futures::StreamExt as _;
use http_body_util::Empty;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serverkit::Options;
use tokio::task;
use yawc::{Frame, OpCode, Options as YawcOptions, Result, UpgradeFut, WebSocket};

fn main() -> io::Result<()> {
    let options = Options::from_args();
    serverkit::serve(options, move |stream| async move {
        let service = service_fn(move |request| ready(upgrade(request, options.batch)));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // A generator that closes is no news.
        let _ = connection.with_upgrades().await;
    })
}

fn upgrade(mut request: Request<Incoming>, batch: bool) -> Result<Response<Empty<Bytes>>> {
    // The default limits refuse messages of 1 MiB.
    let options =
        YawcOptions::default().without_compression().with_utf8().with_limits(16 << 20, 32 << 20);
    let options = if batch {
        options.with_read_buffer_capacity(128 * 1024).with_backpressure_boundary(64 * 1024)
    } else {
        options
    };
    let (response, socket) = WebSocket::upgrade_with_options(&mut request, options)?;
    task::spawn(async move {
        let _ = echo(socket, batch).await;
    });
    Ok(response)
}

async fn echo(socket: UpgradeFut, batch: bool) -> Result<()> {
    let socket = socket.await?;
    let is_data = |frame: &Frame| matches!(frame.opcode(), OpCode::Text | OpCode::Binary);
    if batch {
        serverkit::echo_in_batches(socket.map(Ok), is_data).await
    } else {
        serverkit::echo(socket.map(Ok), is_data).await
    }
}
