//! `WebSocket`s on the routes of axum.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;
use ws_tests::client::{dial, read_answer, read_to_end};
use ws_tests::requests::frame;
use ws_tests::suite::{aside, echo};
use ws_tokio::axum::Upgrade;
use ws_tokio::{Accept, Reject, Server};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Serves these routes, and answers where.
async fn start(routes: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

/// The next frame of the server, which is short and text.
fn hear(socket: &mut TcpStream) -> String {
    let mut head = [0; 2];
    socket.read_exact(&mut head).unwrap();
    assert_eq!(head[0], 0x81);
    let mut payload = vec![0; head[1].into()];
    socket.read_exact(&mut payload).unwrap();
    String::from_utf8(payload).unwrap()
}

/// Says goodbye and waits for the answer.
fn close(socket: &mut TcpStream) {
    socket.write_all(&frame(0x88, b"\x03\xE8")).unwrap();
    assert_eq!(read_to_end(socket).chars().count(), 4, "a close frame");
}

#[tokio::test]
async fn axum_and_websockets_share_a_port() {
    async fn chat(State(server): State<Server>, upgrade: Upgrade) -> Response {
        upgrade.accept_with(Accept::new().subprotocol("chat")).on(&server, echo).await
    }

    let server = Server::builder().build().unwrap();
    let routes = Router::new().route("/", get(|| async { "page" })).route("/chat", get(chat));
    let address = start(routes.with_state(server.clone())).await;
    aside(move || {
        let mut socket = dial(address);
        let page = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let ask = ASK.replace("Host: a", "Host: a\r\nSec-WebSocket-Protocol: news, chat");
        let asked = [page.as_bytes(), ask.as_bytes(), &frame(0x81, b"hi")].concat();
        socket.write_all(&asked).unwrap();
        let (head, body) = read_answer(&mut socket, true);
        assert!(head.starts_with("HTTP/1.1 200 ") && body == "page", "{head}{body}");
        let (head, _) = read_answer(&mut socket, false);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains("\r\nsec-websocket-protocol: chat\r\n"), "{head}");
        assert_eq!(hear(&mut socket), "hi");
        assert_eq!(server.manager().len(), 1);
        close(&mut socket);
        let mut plain = dial(address);
        plain.write_all(&[ASK.as_bytes(), &frame(0x81, b"hi")].concat()).unwrap();
        let (head, _) = read_answer(&mut plain, false);
        assert!(head.starts_with("HTTP/1.1 101 ") && !head.contains("protocol"), "{head}");
        assert_eq!(hear(&mut plain), "hi");
        close(&mut plain);
        let mut bad = dial(address);
        bad.write_all(ASK.replace("Version: 13", "Version: 99").as_bytes()).unwrap();
        let answer = read_to_end(&mut bad);
        assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    })
    .await;
}

#[tokio::test]
async fn behind_axum_connections_are_taken_in_each_way() {
    async fn listen(State(server): State<Server>, upgrade: Upgrade) -> Response {
        upgrade.peer(SocketAddr::from(([10, 0, 0, 1], 1))).secure(true).run(&server).await
    }

    async fn choose(State(server): State<Server>, upgrade: Upgrade) -> Response {
        let (incoming, answer) = match upgrade.incoming(&server).await {
            Ok(asked) => asked,
            Err(refusal) => return refusal,
        };
        tokio::spawn(async move {
            if incoming.request().query() == Some("out") {
                return incoming.reject(&Reject::new(403));
            }
            echo(incoming.accept(Accept::default()).await.unwrap()).await;
        });
        answer.await
    }

    let server = Server::builder().build().unwrap();
    server.on_message(|connection, _| {
        let text = format!("{} {}", connection.peer_addr(), connection.is_secure());
        connection.try_send(text).unwrap();
    });
    let routes = Router::new().route("/listen", get(listen)).route("/choose", get(choose));
    let address = start(routes.with_state(server)).await;
    aside(move || {
        for (target, heard) in [("/listen", "10.0.0.1:1 true"), ("/choose", "hi")] {
            let mut socket = dial(address);
            let asked = ASK.replace("/chat", target);
            socket.write_all(&[asked.as_bytes(), &frame(0x81, b"hi")].concat()).unwrap();
            let (head, _) = read_answer(&mut socket, false);
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            assert_eq!(hear(&mut socket), heard);
            close(&mut socket);
        }
        let unfit = ASK.replace("Version: 13", "Version: 99");
        for (asked, target, status) in
            [(ASK, "/choose?out", 403), (&unfit, "/choose", 426), (&unfit, "/listen", 426)]
        {
            let mut socket = dial(address);
            socket.write_all(asked.replace("/chat", target).as_bytes()).unwrap();
            let answer = read_to_end(&mut socket);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {answer}");
        }
    })
    .await;
}
