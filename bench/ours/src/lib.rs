//! Echo and broadcast with the ordinary API, default limits, timers and manager on, nothing
//! batched by the user. The same for every runtime.

use std::io;

use serverkit::{Options, Takeover};
use ws_net::{Bind, Connection, Deflate, Runtime, Server, Tls};

/// A server that is bound to no address yet.
///
/// # Errors
/// The certificate cannot be used.
pub fn server<R: Runtime + Default>(options: &Options) -> io::Result<Server<R>> {
    let mut builder = Server::<R>::builder();
    if let Some(takeover) = options.deflate {
        let alone = takeover == Takeover::Off;
        let deflate = Deflate::new();
        let deflate = deflate.server_no_context_takeover(alone).client_no_context_takeover(alone);
        builder = builder.deflate(deflate);
    }
    if let Some((certificate, key)) = options.tls {
        builder = builder.tls(Tls::from_pem_files(certificate, key).map_err(io::Error::other)?);
    }
    builder.build().map_err(io::Error::other)
}

/// Listens, and serves until the process is killed. With `reuse_port` every thread calls this for
/// the same server: each has a socket of its own, all have one manager.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve<R: Runtime>(server: &Server<R>, options: &Options) -> io::Result<()> {
    let bind = Bind::tcp(options.listen);
    let bind = if options.reuse_port { bind.reuse_port() } else { bind };
    if options.broadcast {
        server.serve_on(bind, publish).await
    } else if options.events {
        server.on_message(|connection, message| {
            // A failure means that it is closed; its other listeners hear of that.
            let _ = connection.try_send(message);
        });
        server.run_on(bind).await
    } else {
        server.serve_on(bind, echo).await
    }
}

async fn echo(connection: Connection) {
    while let Some(Ok(message)) = connection.recv().await {
        if connection.send(message).await.is_err() {
            break;
        }
    }
}

async fn publish(connection: Connection) {
    while let Some(Ok(message)) = connection.recv().await {
        // Who reads too slowly is left out; here everybody waits for everybody.
        let _ = connection.broadcast(message);
    }
}
