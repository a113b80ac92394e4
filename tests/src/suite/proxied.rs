//! Places where proxies tell by the PROXY protocol whom they speak for.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ws_net::{Bind, Builder, CloseCode, Connection, Runtime, Timeouts, Tls, Version};
use ws_proto::ClientRequest;

use super::support::{Running, aside, echo, until};
use crate::client::{Client, dial, exchange, read_to_end, request};
use crate::pki::{Authority, encrypt};

/// From 203.0.113.9, port 4711, over TLS.
const OVER_TLS: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x14\
    \xcb\x00\x71\x09\xc6\x33\x64\x01\x12\x67\x01\xbb\x20\x00\x05\x01\x00\x00\x00\x00";

/// From the proxy itself.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

/// A server with a place for proxies, and that place.
async fn behind_proxies<R: Runtime>(
    runtime: &R,
    change: impl FnOnce(Builder<R>) -> Builder<R>,
) -> (Running<R>, SocketAddr) {
    let server = Running::bind(runtime, change).await;
    let place = server.add(Bind::tcp("127.0.0.1:0").proxy_protocol()).unwrap();
    server.start_serving(runtime, introduce);
    (server, place.socket_addr().unwrap())
}

/// Says who the client is, and sends every message back.
async fn introduce(connection: Connection) {
    let (peer, secure) = (connection.peer_addr(), connection.is_secure());
    if connection.send(format!("{peer} {secure}")).await.is_ok() {
        echo(connection).await;
    }
}

/// A proxy's connection, which begins with this header.
fn through(address: SocketAddr, header: &[u8]) -> TcpStream {
    let mut socket = dial(address);
    socket.write_all(header).unwrap();
    socket
}

/// A client behind that proxy.
fn open(address: SocketAddr, header: &[u8], version: Version) -> Client {
    // The drafts' answers say how the client came.
    let scheme = if header == OVER_TLS { "wss" } else { "ws" };
    let request = ClientRequest::new(&format!("{scheme}://{address}/")).unwrap();
    Client::ask_through(through(address, header), request.version(version)).unwrap()
}

/// With every version of the WebSocket, whose first bytes may come with the header.
pub async fn the_client_is_whom_the_proxy_names<R: Runtime>(runtime: R) {
    let (server, address) = behind_proxies(&runtime, |builder| builder).await;
    let plain = server.address;
    aside(move || {
        for version in Version::ALL {
            let line = b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 443\r\n";
            let mut client = open(address, line, version);
            assert_eq!(client.recv_text(), "[2001:db8::7]:40000 false", "{version}");
            assert_eq!(client.ask_text("hello"), "hello", "{version}");
            let mut client = open(address, OVER_TLS, version);
            assert_eq!(client.recv_text(), "203.0.113.9:4711 true", "{version}");
        }
        for header in [LOCAL, b"PROXY UNKNOWN\r\n"] {
            let mut client = open(address, header, Version::Rfc6455);
            assert_eq!(client.recv_text(), format!("127.0.0.1:{} false", client.port()));
        }
        // The other place knows nothing of it.
        let mut client = Client::open(plain, Version::Rfc6455);
        assert_eq!(client.recv_text(), format!("127.0.0.1:{} false", client.port()));
        assert!(exchange(plain, b"PROXY UNKNOWN\r\n\r\n").starts_with("HTTP/1.1 400 "));
    })
    .await;
}

/// Nobody gets in without a header, and who sends half of one holds up nobody.
pub async fn what_begins_otherwise_is_dropped<R: Runtime>(runtime: R) {
    let soon = |builder: Builder<R>| {
        // Longer than a handshake takes on a busy machine.
        builder.timeouts(Timeouts::new().handshake(Duration::from_secs(2)))
    };
    let (server, address) = behind_proxies(&runtime, soon).await;
    aside(move || {
        let request = crate::requests::RFC6455;
        assert_eq!(exchange(address, crate::client::addressed(request, address).as_bytes()), "");
        let mut slow = through(address, b"PROXY TCP4 203.0.113.7 ");
        let mut silent = dial(address);
        let mut client = open(address, OVER_TLS, Version::Rfc6455);
        assert_eq!(client.recv_text(), "203.0.113.9:4711 true");
        assert_eq!(read_to_end(&mut slow), "");
        assert_eq!(read_to_end(&mut silent), "");
        assert_eq!(client.ask_text("still here"), "still here");
    })
    .await;
    assert_eq!(server.load().refused, 1);
    until(&runtime, || server.manager().is_empty()).await;
}

/// The share is that of the client, not of the proxy.
pub async fn each_client_has_its_share<R: Runtime>(runtime: R) {
    let (server, address) =
        behind_proxies(&runtime, |builder| builder.max_connections_per_ip(1)).await;
    aside(move || {
        let line = |client: u8| format!("PROXY TCP4 203.0.113.{client} 192.0.2.1 40000 80\r\n");
        let enter = |client| open(address, line(client).as_bytes(), Version::Rfc6455);
        let (mut first, mut second) = (enter(1), enter(2));
        assert_eq!(read_to_end(&mut through(address, line(1).as_bytes())), "");
        for client in [&mut first, &mut second] {
            client.recv_text();
            assert_eq!(client.ask_text("hello"), "hello");
        }
    })
    .await;
    assert_eq!(server.load().refused_for_share, 1);
}

/// The header is in front of TLS.
pub async fn a_proxy_may_pass_tls_on<R: Runtime>(runtime: R) {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("server");
    let tls = Tls::from_pem_files(certificate, key).unwrap();
    let (_server, address) = behind_proxies(&runtime, |builder| builder.tls(tls)).await;
    let config = authority.client(None);
    aside(move || {
        let line = b"PROXY TCP4 203.0.113.7 192.0.2.1 40000 443\r\n";
        let socket = encrypt(through(address, line), config);
        let mut client = Client::ask_through(socket, request(address)).unwrap();
        assert_eq!(client.recv_text(), "203.0.113.7:40000 true");
    })
    .await;
}

/// Those whose header is not complete do not keep the server from ending.
pub async fn a_shutdown_waits_for_no_header<R: Runtime>(runtime: R) {
    let (server, address) = behind_proxies(&runtime, |builder| builder).await;
    let mut waiting = aside(move || through(address, b"PROXY TCP4 ")).await;
    // It has been accepted when one behind it is served.
    aside(move || open(address, OVER_TLS, Version::Rfc6455).recv_text()).await;
    let end = runtime.now() + Duration::from_secs(5);
    server.shutdown(CloseCode::GOING_AWAY, Duration::from_secs(20)).await;
    assert!(runtime.now() < end, "it waited for the header");
    let ended: io::Result<String> = aside(move || Ok(read_to_end(&mut waiting))).await;
    assert_eq!(ended.unwrap(), "");
}
