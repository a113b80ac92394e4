//! Our client, against our server and against servers and proxies that do something else.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use ws_net::{
    Accept, Cause, Client, ClientBuilder, Close, ConnectError, Connection, HandshakeError, Limits,
    Message, ProtocolError, Proxy, ProxyError, Reject, Runtime, SendError, Stage, State,
    SubprotocolPolicy, Timeouts, Version,
};

use super::support::{Mailbox, Running, aside, echo, polled, until};
use crate::client::PATIENCE;

fn url(address: SocketAddr) -> String {
    format!("ws://{address}/")
}

/// Connects with the options that `change` sets.
async fn connect<R: Runtime>(
    runtime: &R,
    address: SocketAddr,
    change: impl FnOnce(ClientBuilder<R>) -> ClientBuilder<R>,
) -> Result<Connection, ConnectError> {
    change(ClientBuilder::new(runtime.clone())).connect(&url(address)).await
}

/// Runs `serve` with the first stream of a new listening socket, on a thread.
fn serve_one<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (SocketAddr, impl Future<Output = T>) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("it is bound");
    let served = aside(move || {
        let (stream, _) = socket.accept().expect("the client connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("a TCP socket");
        serve(stream)
    });
    (address, served)
}

/// A head, read byte by byte.
fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a whole head");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("ASCII")
}

/// Moves bytes between two streams until both ended.
fn splice(near: TcpStream, far: TcpStream) {
    let pairs = [(near.try_clone(), far.try_clone()), (Ok(far), Ok(near))];
    let threads = pairs.map(|(from, to)| {
        let (mut from, mut to) = (from.expect("a socket"), to.expect("a socket"));
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        })
    });
    for thread in threads {
        thread.join().expect("no panic");
    }
}

/// Short and long, text and, where there is some, binary.
pub async fn a_client_talks_to_a_server_in_every_version<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    for version in Version::ALL {
        let connected = connect(&runtime, server.address, |client| client.version(version)).await;
        let connection = connected.unwrap();
        assert_eq!((connection.version(), connection.state()), (Some(version), State::Connected));
        assert_eq!(connection.peer_addr(), server.address.into());
        assert_eq!(connection.local_addr(), None);
        for n in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
            let mut messages = vec![Message::from("é".repeat(n / 2))];
            if version.has_frames() {
                messages.push(Message::from(vec![7; n]));
            }
            for message in messages {
                connection.send(message.clone()).await.unwrap();
                assert_eq!(connection.recv().await.unwrap().unwrap(), message, "{version} {n}");
            }
        }
        connection.close(Close::normal());
        assert!(connection.recv().await.is_none(), "{version}");
        assert!(connection.closed().await.clean, "{version}");
    }
}

/// A server may cut a message as it likes.
pub async fn a_client_takes_fragments_and_answers_pings<R: Runtime>(runtime: R) {
    let (address, pongs) = serve_one(|mut stream| {
        let request = read_head(&mut stream);
        stream.write_all(&answer_to(&request)).unwrap();
        stream.write_all(b"\x01\x02He\x89\x01p\x00\x00\x80\x03llo").unwrap();
        let mut pong = [0; 7];
        stream.read_exact(&mut pong).unwrap();
        pong
    });
    let connection = connect(&runtime, address, |client| client).await.unwrap();
    assert_eq!(connection.recv().await.unwrap().unwrap(), "Hello".into());
    let pong = pongs.await;
    assert_eq!(pong[..2], [0x8A, 0x81], "a masked pong");
    assert_eq!(pong[6] ^ pong[2], b'p');
    drop(connection);
}

/// The answer of RFC 6455 to this request, made by the core.
fn answer_to(request: &str) -> Vec<u8> {
    use bytes::Buf;
    use ws_proto::{Config, Event, Instant, OriginPolicy, RecvBuf, Transmit};

    let config = Config::builder().origin(OriginPolicy::any()).build().expect("valid");
    let now = Instant::from_nanos(0);
    let mut core = ws_proto::Connection::server(config.into(), now);
    let mut input = RecvBuf::default();
    input.feed(request.as_bytes());
    while let Some(event) = core.poll_event(&mut input, now) {
        if let Event::Request(_) = event {
            core.accept(&Accept::new(), now).expect("a request waits");
        }
    }
    match core.poll_transmit() {
        Some(Transmit::Data(mut data)) => data.copy_to_bytes(data.remaining()).to_vec(),
        other => panic!("no answer: {other:?}"),
    }
}

/// The code and the reason arrive.
pub async fn close_codes_go_both_ways<R: Runtime>(runtime: R) {
    let close = || Close::new(4321, "done").unwrap();
    let server = Running::serve(&runtime, move |connection| async move {
        if let Some(Ok(_)) = connection.recv().await {
            connection.close(close());
        }
        connection.closed().await;
    })
    .await;
    for by_server in [true, false] {
        let connection = connect(&runtime, server.address, |client| client).await.unwrap();
        if by_server {
            connection.send("close").await.unwrap();
        } else {
            connection.close(close());
        }
        let closed = connection.closed().await;
        assert_eq!((closed.clean, closed.code()), (true, 4321));
        // Whoever answers says nothing new.
        let (cause, reason) = if by_server { (Cause::Peer, "done") } else { (Cause::Local, "") };
        assert_eq!(closed.cause, cause);
        assert_eq!(closed.received.as_ref().map(Close::reason), Some(reason));
    }
}

/// As with a connection that a server accepted.
pub async fn the_last_handle_of_a_client_closes<R: Runtime>(runtime: R) {
    let ends = Mailbox::default();
    let post = ends.clone();
    let server = Running::serve(&runtime, move |connection| {
        let post = post.clone();
        async move { post.put(connection.closed().await.code()) }
    })
    .await;
    let connection = connect(&runtime, server.address, |client| client).await.unwrap();
    let other = connection.clone();
    drop(connection);
    assert_eq!(other.state(), State::Connected);
    drop(other);
    assert_eq!(ends.take().await, 1000);
}

/// A message over the client's own limit ends the connection with 1009.
pub async fn a_client_has_limits<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let limited = |client: ClientBuilder<R>| client.limits(Limits::new().max_message(10));
    let connection = connect(&runtime, server.address, limited).await.unwrap();
    connection.send("x".repeat(11)).await.unwrap();
    let closed = connection.recv().await.unwrap().unwrap_err();
    assert_eq!(closed.cause, Cause::Protocol(ProtocolError::MessageTooBig(10)));
}

/// A server that says nothing is given up, and so is one that never accepts.
pub async fn a_client_has_one_deadline<R: Runtime>(runtime: R) {
    let hurried = |client: ClientBuilder<R>| {
        // It must not be over before the client is connected.
        client.timeouts(Timeouts::new().handshake(Duration::from_secs(1)))
    };
    for through_proxy in [false, true] {
        let (address, ended) = serve_one(|mut stream| stream.read_to_end(&mut Vec::new()).is_ok());
        let client = hurried(ClientBuilder::new(runtime.clone()));
        let proxy = Proxy::new(&format!("http://{address}")).unwrap();
        let client = if through_proxy { client.proxy(proxy) } else { client };
        let error = client.connect(&url(address)).await.unwrap_err();
        let expected = if through_proxy { Stage::Proxy } else { Stage::Handshake };
        assert!(matches!(error, ConnectError::Timeout { stage, .. } if stage == expected));
        assert!(ended.await, "the stream is ended");
    }
}

/// The names are looked up beside the tasks, and a closed port is named.
pub async fn a_client_looks_names_up<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    // Some resolvers ask several servers that do not answer.
    let timeouts = Timeouts::new().handshake(Duration::from_secs(50));
    let client = ClientBuilder::new(runtime.clone()).timeouts(timeouts).build().unwrap();
    let connection = client.connect(&format!("ws://LocalHost:{}/", server.address.port())).await;
    assert_eq!(connection.unwrap().state(), State::Connected);
    let error = client.connect("ws://no-such-name.invalid/").await.unwrap_err();
    assert!(matches!(&error, ConnectError::Lookup { host, .. } if host == "no-such-name.invalid"));

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = client.connect(&url(closed)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&closed.to_string()), "{error}");
}

/// What the server refuses comes as an error with its status or its headers.
pub async fn a_client_is_told_what_is_wrong<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| {
        builder.versions(Version::Rfc6455).subprotocols(SubprotocolPolicy::list(["chat"]))
    })
    .await;
    let accepting = (*server).clone();
    runtime.spawn(async move {
        while let Ok(incoming) = accepting.accept().await {
            incoming.reject(&Reject::new(404));
        }
    });
    let error = connect(&runtime, server.address, |client| client).await.unwrap_err();
    let ConnectError::Answer { error, .. } = error else { panic!("{error}") };
    assert_eq!(error, HandshakeError::Status(404));
    let old = |client: ClientBuilder<R>| client.version(Version::Hybi08);
    let error = connect(&runtime, server.address, old).await.unwrap_err().to_string();
    assert!(error.contains("426") && error.contains("\"13\""), "{error}");

    let head = "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    for (answer, text, clause) in [
        ("HTTP/1.1 101 x\r\nConnection: Upgrade\r\n", "header Upgrade is missing", "section 11.3"),
        (head, "header Sec-WebSocket-Accept is missing", "section 11.3"),
        (&format!("{head}Sec-WebSocket-Accept: x\r\n"), "Sec-WebSocket-Accept does not", "4.1)"),
        ("SMTP", "byte 0x53 at offset 0 of the status line", "RFC 9112 section 4"),
    ] {
        let bytes = format!("{answer}\r\n");
        let (address, done) = serve_one(move |mut stream| {
            read_head(&mut stream);
            stream.write_all(bytes.as_bytes()).unwrap();
            stream.read_to_end(&mut Vec::new()).ok();
        });
        let error = connect(&runtime, address, |client| client).await.unwrap_err().to_string();
        assert!(error.contains(text) && error.contains(clause), "{error}");
        done.await;
    }
}

/// Of one that lets it in, of a refusal, and of a redirect that is not followed.
pub async fn a_client_sees_the_headers_of_the_answer<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| {
        builder.authorize(|candidate| async move {
            let status = candidate.request().query().unwrap_or_default().parse();
            match status {
                Ok(status) => Err(Reject::new(status)
                    .header("WWW-Authenticate", "Basic realm=\"a\"")
                    .and_then(|reject| reject.header("Location", "/elsewhere"))
                    .expect("good headers")
                    .body("which nobody reads")),
                Err(_) => Ok(Accept::new().header("Set-Cookie", "a=1").expect("a good header")),
            }
        })
    })
    .await;
    server.start_serving(&runtime, echo);
    for version in Version::ALL {
        let client = || ClientBuilder::new(runtime.clone()).version(version);
        let connection = client().connect(&url(server.address)).await.unwrap();
        let response = connection.response().expect("a client has one");
        assert_eq!(response.status(), 101, "{version}");
        assert_eq!(response.headers().text("set-cookie"), Some("a=1"));
        for status in [401, 307] {
            let refused = client().connect(&format!("{}?{status}", url(server.address))).await;
            let response = match refused.unwrap_err() {
                ConnectError::Answer { response, error: HandshakeError::Status(401), .. } => {
                    response
                }
                ConnectError::Redirect { response, status: 307, .. } => response,
                other => panic!("{other}"),
            };
            let response = response.expect("its head was read");
            assert_eq!(response.status(), status, "{version}");
            let realm = response.headers().text("WWW-Authenticate");
            assert_eq!(realm, Some("Basic realm=\"a\""), "{version}");
        }
    }
    server.manager().for_each(|connection| assert!(connection.response().is_none()));
}

/// Only when it is allowed.
pub async fn a_redirect_is_followed_if_it_may_be<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    for allowed in [0, 1] {
        let to = url(server.address);
        let (address, done) = serve_one(move |mut stream| {
            read_head(&mut stream);
            let answer = format!("HTTP/1.1 307 x\r\nLocation: {to}\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let connected = connect(&runtime, address, |client| client.max_redirects(allowed)).await;
        done.await;
        match connected {
            Ok(connection) => assert_eq!((allowed, connection.state()), (1, State::Connected)),
            Err(error) => {
                assert_eq!(allowed, 0);
                assert!(error.to_string().contains(&url(server.address)), "{error}");
            }
        }
    }
}

/// The proxy gets the name and the credentials; then the stream is the server's.
pub async fn a_connect_proxy_is_used<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let to = server.address;
    let (address, head) = serve_one(move |mut stream| {
        let head = read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
        splice(stream, TcpStream::connect(to).unwrap());
        head
    });
    let proxy = Proxy::new(&format!("http://{address}")).unwrap().credentials("me", "pw").unwrap();
    talk_through(&runtime, proxy).await;
    let head = head.await;
    assert!(head.starts_with("CONNECT name.invalid:80 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic bWU6cHc=\r\n"), "{head}");
}

/// The same with SOCKS 5.
pub async fn a_socks_proxy_is_used<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let to = server.address;
    let (address, asked) = serve_one(move |mut stream| {
        let mut asked = vec![0; 4];
        stream.read_exact(&mut asked).unwrap();
        stream.write_all(&[5, 2]).unwrap();
        for (length, answer) in [(7, &[1, 0][..]), (19, &[5, 0, 0, 1, 127, 0, 0, 1, 0, 80])] {
            let mut part = vec![0; length];
            stream.read_exact(&mut part).unwrap();
            asked.extend(part);
            stream.write_all(answer).unwrap();
        }
        splice(stream, TcpStream::connect(to).unwrap());
        asked
    });
    let proxy = Proxy::new(&format!("socks5://{address}")).unwrap();
    talk_through(&runtime, proxy.credentials("me", "pw").unwrap()).await;
    assert_eq!(
        asked.await,
        b"\x05\x02\x00\x02\x01\x02me\x02pw\x05\x01\x00\x03\x0cname.invalid\x00\x50"
    );
}

/// The name is the proxy's to look up: here nobody could.
async fn talk_through<R: Runtime>(runtime: &R, proxy: Proxy) {
    let client = ClientBuilder::new(runtime.clone()).proxy(proxy);
    let connection = client.connect("ws://name.invalid/").await.unwrap();
    connection.send("through").await.unwrap();
    assert_eq!(connection.recv().await.unwrap().unwrap(), "through".into());
    connection.close(Close::normal());
    assert!(connection.closed().await.clean);
}

/// The status is in the error.
pub async fn a_proxy_that_refuses_says_so<R: Runtime>(runtime: R) {
    let (address, done) = serve_one(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").unwrap();
    });
    let proxy = Proxy::new(&format!("http://{address}")).unwrap();
    let client = ClientBuilder::new(runtime).proxy(proxy);
    let error = client.connect("ws://name.invalid/").await.unwrap_err();
    done.await;
    let ConnectError::Proxy { problem: ProxyError::Status { status, .. }, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*status, 403);
    assert!(error.to_string().starts_with(&format!("the proxy {address} refuses")), "{error}");
}

/// After any number of polls: the server sees the stream end and keeps nobody.
pub async fn an_attempt_can_be_dropped_at_every_point<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let client = Client::new(runtime.clone());
    let url = url(server.address);
    for polls in 0..12 {
        let attempt = client.connect(&url);
        if let Some(connected) = polled(polls, attempt).await {
            assert!(polls > 0);
            drop(connected.unwrap());
        }
    }
    until(&runtime, || server.manager().is_empty()).await;
}

/// A pause is short here, so that the test is.
pub async fn reconnecting_brings_the_next_connection<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let client = Client::new(runtime.clone());
    let reconnect = client.reconnect(url(server.address));
    let mut reconnect = reconnect.first_pause(Duration::from_millis(1));
    for turn in ["first", "second", "third"] {
        let connection = reconnect.connect().await.unwrap();
        connection.send(turn).await.unwrap();
        assert_eq!(connection.recv().await.unwrap().unwrap(), turn.into());
        server.manager().for_each(Connection::abort);
        assert!(connection.recv().await.unwrap().is_err());
    }
    server.close();
}

/// Where it was refused, and to another place.
pub async fn reconnecting_goes_on_with_other_credentials<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| {
        builder.authorize(|candidate| async move {
            match candidate.request().headers().text("Authorization") {
                Some("Bearer fresh") => Ok(Accept::new()),
                _ => Err(Reject::new(401)),
            }
        })
    })
    .await;
    server.start_serving(&runtime, |connection| async move {
        let target = connection.request().map_or("", |request| request.target());
        connection.send(target).await?;
        connection.closed().await;
        Ok::<_, SendError<Message>>(())
    });
    let client = |token: &str| {
        let client = ClientBuilder::new(runtime.clone());
        client.header("Authorization", format!("Bearer {token}")).build().unwrap()
    };
    let reconnect = client("stale").reconnect(url(server.address));
    let mut reconnect = reconnect.first_pause(Duration::from_millis(1));
    let refused = reconnect.connect().await.unwrap_err();
    let ConnectError::Answer { error, .. } = refused else { panic!("{refused}") };
    assert_eq!(error, HandshakeError::Status(401));
    reconnect.set_client(client("fresh"));
    let connection = reconnect.connect().await.unwrap();
    assert_eq!(connection.recv().await.unwrap().unwrap(), "/".into());
    reconnect.set_url(format!("{}elsewhere", url(server.address)));
    let connection = reconnect.connect().await.unwrap();
    assert_eq!(connection.recv().await.unwrap().unwrap(), "/elsewhere".into());
}
