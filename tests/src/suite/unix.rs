//! Unix sockets and their files.

use std::fs;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use ws_net::{
    Address, Bind, Builder, Client as Dialler, Connection, LocalAddress, Runtime, Server, Transport,
};
use ws_proto::ClientRequest;

use super::support::{Mailbox, aside, echo, polled, until};
use crate::client::{Client, PATIENCE, Wire};
use crate::pki::Folder;

impl Wire for UnixStream {
    fn end(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// Peers have no name; the file goes with the server.
pub async fn a_unix_socket_is_served_and_removed<R: Runtime>(runtime: R) {
    let folder = Folder::new();
    let path = folder.file("socket");
    let server = Builder::new(runtime.clone()).build().unwrap();
    let place = server.add(Bind::unix(&path)).unwrap();
    assert_eq!(place, LocalAddress::Unix(path.clone()));
    assert_eq!((server.local_addrs(), server.local_addr()), (vec![place], None));
    let peers = Mailbox::default();
    let told = peers.clone();
    server.on_connection(move |connection| {
        told.put((connection.peer_addr(), connection.local_addr()));
    });
    let ended = serve(&runtime, &server);
    let own = path.clone();
    aside(move || {
        let mut client = open(&own);
        assert_eq!(client.ask_text("hello"), "hello");
    })
    .await;
    assert_eq!(peers.take().await, (Address::Unnamed, Some(LocalAddress::Unix(path.clone()))));
    let mut stream = runtime.connect_unix(path.clone()).await.unwrap();
    let request = [IoSlice::new(b"GET / HTTP/1.0\r\n\r\n")];
    poll_fn(|cx| stream.poll_write_vectored(cx, &request)).await.unwrap();
    let mut answer = [0; 9];
    poll_fn(|cx| stream.poll_read(cx, &mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 ");
    server.close();
    ended.take().await.unwrap();
    assert!(!path.exists(), "the file is left behind");
    until(&runtime, || server.manager().is_empty()).await;
}

/// A socket that nobody accepts from, and as many who wait as it takes.
fn full(path: &Path) -> Vec<Socket> {
    let new = || Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    let address = SockAddr::unix(path).unwrap();
    let listener = new();
    listener.bind(&address).unwrap();
    listener.listen(0).unwrap();
    let waiting = (0..1000).map_while(|_| {
        let socket = new();
        socket.set_nonblocking(true).unwrap();
        socket.connect(&address).is_ok().then_some(socket)
    });
    let waiting: Vec<_> = waiting.collect();
    assert!(waiting.len() < 1000, "it takes everybody");
    waiting.into_iter().chain([listener]).collect()
}

/// A server that runs, one that hangs, one that has died, and something else.
#[expect(clippy::unused_async, reason = "every case is a future")]
pub async fn a_file_that_is_in_the_way_is_an_error_that_says_why<R: Runtime>(runtime: R) {
    let folder = Folder::new();
    let server = Builder::new(runtime).build().unwrap();
    let (alive, dead, other) = (folder.file("alive"), folder.file("dead"), folder.file("other"));
    let _listening = UnixListener::bind(&alive).unwrap();
    drop(UnixListener::bind(&dead).unwrap());
    fs::write(&other, "a diary").unwrap();
    let hung = folder.file("hung");
    let _full = full(&hung);
    for (path, advice) in [
        (alive, "another program listens"),
        (hung, "another program listens"),
        (dead, "remove it"),
        (other, "is no socket"),
    ] {
        let error = server.add(Bind::unix(&path)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let text = error.to_string();
        assert!(text.contains(advice) && text.contains(path.to_str().unwrap()), "{text}");
        assert!(path.exists(), "what others made is left alone");
    }
    let nowhere = folder.file("no/such/folder");
    let error = server.add(Bind::unix(&nowhere)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// Whoever made it removes it.
pub async fn an_adopted_unix_socket_keeps_its_file<R: Runtime>(runtime: R) {
    let folder = Folder::new();
    let path = folder.file("socket");
    let server = Builder::new(runtime.clone()).build().unwrap();
    let place = server.add(Bind::adopt_unix(UnixListener::bind(&path).unwrap())).unwrap();
    assert_eq!(place, LocalAddress::Unix(path.clone()));
    let ended = serve(&runtime, &server);
    let own = path.clone();
    assert_eq!(aside(move || open(&own).ask_text("hello")).await, "hello");
    server.close();
    ended.take().await.unwrap();
    assert!(path.exists());
    server.manager().for_each(Connection::abort);
}

/// Nothing is left behind: no file, no connection.
pub async fn futures_of_unix_sockets_may_be_dropped<R: Runtime>(runtime: R) {
    let folder = Folder::new();
    let path = folder.file("socket");
    for times in 0..2 {
        let server = Builder::new(runtime.clone()).build().unwrap();
        assert!(polled(times, server.listen_unix(&path)).await.is_none());
        assert!(!path.exists(), "after {times} polls");
    }
    let server = Builder::new(runtime.clone()).build().unwrap();
    server.add(Bind::unix(&path)).unwrap();
    let ended = serve(&runtime, &server);
    let client = Dialler::new(runtime.clone());
    let mut connected = 0;
    for times in 0..12 {
        let url = "ws://localhost/";
        let stream = runtime.connect_unix(path.clone()).await.unwrap();
        for attempt in [
            polled(times, client.connect_unix(&path, url)).await,
            polled(times, client.connect_over(stream, url)).await,
        ] {
            let Some(connection) = attempt else { continue };
            let connection = connection.unwrap();
            connection.send("hello").await.unwrap();
            assert_eq!(connection.recv().await.unwrap().unwrap(), "hello".into());
            connected += 1;
        }
    }
    assert!(connected > 1, "no connection within 12 polls");
    until(&runtime, || server.manager().is_empty()).await;
    server.close();
    ended.take().await.unwrap();
}

fn serve<R: Runtime>(runtime: &R, server: &Server<R>) -> Mailbox<io::Result<()>> {
    let (own, ended) = (server.clone(), Mailbox::default());
    let end = ended.clone();
    runtime.spawn(async move { end.put(own.serve(echo).await) });
    ended
}

fn open(path: &PathBuf) -> Client<UnixStream> {
    let socket = UnixStream::connect(path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = ClientRequest::new("ws://localhost/").unwrap();
    let request = request.origin("http://localhost").unwrap();
    Client::ask_through(socket, request).unwrap_or_else(|closed| panic!("refused: {closed}"))
}
