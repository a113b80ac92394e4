//! TLS: what is spoken through it, who has shown what, and what is in the way.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use bytes::Bytes;
use ws_net::rustls::ClientConfig;
use ws_net::{
    Accept, Bind, Builder, ClientBuilder, Close, Connection, Reject, Runtime, Tls, Version,
};
use ws_proto::ClientRequest;

use super::support::{Mailbox, Running, aside, echo, until};
use crate::client::{Client, dial, exchange};
use crate::pki::{Authority, TlsSocket, encrypt};

/// Also the drafts whose answers say the address, which begins with `wss://` here.
pub async fn every_version_is_echoed_over_tls<R: Runtime>(runtime: R) {
    let authority = Authority::new();
    let server = encrypted(&runtime, &authority).await;
    server.start_serving(&runtime, echo);
    let (address, config) = (server.address, authority.client(None));
    aside(move || {
        for version in Version::ALL {
            let mut client = open(address, &config, version);
            assert_eq!(client.ask_text("hello"), "hello", "{version}");
            let long = "long ".repeat(40_000);
            assert_eq!(client.ask_text(&long), long, "{version}");
            assert!(client.close(Close::normal()).clean, "{version}");
        }
    })
    .await;
}

/// Those who show one are known by it, the others are served all the same.
pub async fn clients_may_show_a_certificate<R: Runtime>(runtime: R) {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("server");
    let tls = Tls::from_pem_files(certificate, key).unwrap();
    let tls = tls.request_client_certificates(authority.file("ca.pem")).unwrap();
    let server = Running::bind(&runtime, |builder| builder.tls(tls)).await;
    server.start_serving(&runtime, tell_certificate);
    authority.sign("ann");
    let address = server.address;
    let (known, unknown) = (authority.client(Some("ann")), authority.client(None));
    let length = authority.der("ann").len();
    aside(move || {
        let mut client = open(address, &known, Version::Rfc6455);
        assert_eq!(client.recv_text(), format!("1 certificate of {length} bytes"));
        let mut client = open(address, &unknown, Version::Rfc6455);
        assert_eq!(client.recv_text(), "nobody");
    })
    .await;
}

/// Before anything is answered: to the function of users, in `accept` and to listeners.
pub async fn a_certificate_is_known_before_the_answer<R: Runtime>(runtime: R) {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("server");
    let tls = Tls::from_pem_files(certificate, key).unwrap();
    let tls = tls.request_client_certificates(authority.file("ca.pem")).unwrap();
    authority.sign("ann");
    let ann = vec![Bytes::from(authority.der("ann").to_vec())];
    let told = Mailbox::default();
    let (post, known) = (told.clone(), ann.clone());
    let server = Running::bind(&runtime, |builder| {
        builder.tls(tls).authorize(move |candidate| {
            let chain = candidate.peer_certificates().map(<[_]>::to_vec);
            let is_ann = chain.as_ref().is_some_and(|chain| *chain == known);
            post.put(chain);
            async move { if is_ann { Ok(Accept::new()) } else { Err(Reject::new(401)) } }
        })
    })
    .await;
    let post = told.clone();
    server.on_connection(move |connection| {
        post.put(connection.peer_certificates().map(<[_]>::to_vec));
    });
    let address = server.address;
    let (known, unknown) = (authority.client(Some("ann")), authority.client(None));
    let client = aside(move || {
        assert!(Client::ask_through(encrypt(dial(address), unknown), request(address)).is_err());
        open(address, &known, Version::Draft76)
    });
    let incoming = server.accept().await.unwrap();
    assert_eq!(told.take().await, None, "a stranger");
    assert_eq!(told.take().await.expect("the one who waits"), ann);
    assert_eq!(incoming.peer_certificates().expect("the same one"), ann);
    let connection = incoming.accept(Accept::new()).await.unwrap();
    assert_eq!(told.take().await.expect("a listener sees it"), ann);
    assert_eq!(connection.peer_certificates().expect("and so does everybody"), ann);
    drop(client.await);
}

/// Strangers are refused, whatever they show.
pub async fn clients_must_show_a_certificate_when_it_is_required<R: Runtime>(runtime: R) {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("server");
    let tls = Tls::from_pem_files(certificate, key).unwrap();
    let tls = tls.require_client_certificates(authority.file("ca.pem")).unwrap();
    let server = Running::bind(&runtime, |builder| builder.tls(tls)).await;
    let incoming = Mailbox::default();
    let (own, seen) = (ws_net::Server::clone(&server), incoming.clone());
    runtime.spawn(async move {
        while let Ok(one) = own.accept().await {
            seen.put(one.peer_certificates().map(<[_]>::to_vec));
        }
    });
    authority.sign("ann");
    let address = server.address;
    let (known, unknown) = (authority.client(Some("ann")), authority.client(None));
    let refusal = aside(move || {
        let mut socket = encrypt(dial(address), unknown);
        let asked = socket.write_all(b"GET / HTTP/1.1\r\n\r\n");
        let refusal = asked.and_then(|()| socket.read(&mut [0; 64])).unwrap_err().to_string();
        drop(Client::ask_through(encrypt(dial(address), known), request(address)));
        refusal
    })
    .await;
    assert!(refusal.contains("CertificateRequired"), "{refusal}");
    // What the first one asked never came through.
    assert_eq!(incoming.take().await.unwrap(), [authority.der("ann").to_vec()]);
}

/// A bad file changes nothing.
pub async fn a_reload_changes_the_certificate_of_new_handshakes<R: Runtime>(runtime: R) {
    let authority = Authority::new();
    let server = encrypted(&runtime, &authority).await;
    server.start_serving(&runtime, echo);
    let (address, config) = (server.address, authority.client(None));
    let shown = move |config: Arc<ClientConfig>| {
        let mut socket = encrypt(dial(address), config);
        socket.flush().unwrap();
        while socket.conn.is_handshaking() {
            socket.conn.complete_io(&mut socket.sock).unwrap();
        }
        socket.conn.peer_certificates().unwrap()[0].clone()
    };
    let (first, own) = (authority.der("server"), Arc::clone(&config));
    let mut old = aside(move || open(address, &own, Version::Rfc6455)).await;

    authority.sign("server");
    let second = authority.der("server");
    assert_ne!(first, second);
    let own = Arc::clone(&config);
    assert_eq!(aside(move || shown(own)).await, first, "nobody said that it is there");
    server.reload_tls().unwrap();
    let own = Arc::clone(&config);
    assert_eq!(aside(move || shown(own)).await, second);

    fs::write(authority.file("server.pem"), "no certificate").unwrap();
    let error = server.reload_tls().unwrap_err().to_string();
    assert!(error.contains("server.pem") && error.contains("no certificate"), "{error}");
    assert_eq!(aside(move || shown(config)).await, second);
    assert_eq!(aside(move || old.ask_text("still here")).await, "still here");
}

/// Which file, and what about it.
#[expect(clippy::unused_async, reason = "every case is a future")]
pub async fn files_that_cannot_be_used_are_an_error_that_names_them<R: Runtime>(runtime: R) {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("server");
    let (_, other) = authority.sign("other");
    fs::write(authority.file("broken.pem"), "-----BEGIN CERTIFICATE-----\n!\n").unwrap();
    let (missing, broken) = (authority.file("missing.pem"), authority.file("broken.pem"));
    for (certificate, key, file, problem) in [
        (&missing, &key, "missing.pem", "cannot be read"),
        (&certificate, &missing, "missing.pem", "cannot be read"),
        (&broken, &key, "broken.pem", ""),
        (&key, &key, "server.key", "holds no certificate"),
        (&certificate, &certificate, "server.pem", "holds no private key"),
        (&certificate, &other, "other.key", "is not the key of"),
    ] {
        let error = Tls::from_pem_files(certificate, key).unwrap_err().to_string();
        assert!(error.contains(file) && error.contains(problem), "{error}");
    }
    let tls = Tls::from_pem_files(certificate, key).unwrap();
    let error = tls.require_client_certificates(&missing).unwrap_err().to_string();
    assert!(error.contains("missing.pem"), "{error}");
    let plain = Builder::new(runtime).build().unwrap();
    assert!(plain.reload_tls().is_err(), "there is nothing to reload");
}

/// Somebody typed `http://`.
pub async fn plain_http_on_a_tls_port_gets_a_hint<R: Runtime>(runtime: R) {
    let authority = Authority::new();
    let server = encrypted(&runtime, &authority).await;
    server.start_serving(&runtime, echo);
    let address = server.address;
    let answer = aside(move || exchange(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("wss://"), "{answer}");
}

/// Somebody typed `https://`. The client sees that the answer is no TLS.
pub async fn tls_on_a_plain_port_is_refused_at_once<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let (address, config) = (server.address, Authority::new().client(None));
    let answer = aside(move || {
        let mut hello = Vec::new();
        let mut session = encrypt(dial(address), config).conn;
        session.write_tls(&mut hello).unwrap();
        exchange(address, &hello)
    });
    let answer = answer.await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("TLS"), "{answer}");
}

/// Kept alive, and beside a `WebSocket`.
pub async fn http_is_served_over_tls<R: Runtime>(runtime: R) {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("server");
    let tls = Tls::from_pem_files(certificate, key).unwrap();
    let tls = tls.request_client_certificates(authority.file("ca.pem")).unwrap();
    let server = Running::bind(&runtime, |builder| {
        builder.tls(tls).on_request(|request| async move {
            let known = request.extensions().get::<ws_net::http::PeerCertificates>().is_some();
            let scheme = request.extensions().get::<ws_net::http::Scheme>().unwrap();
            let body = format!("{scheme} {} known: {known}", request.uri().path());
            ws_net::http::Response::new(body)
        })
    })
    .await;
    server.start_serving(&runtime, echo);
    authority.sign("ann");
    let (address, known) = (server.address, authority.client(Some("ann")));
    let answers = aside(move || {
        let mut socket = encrypt(dial(address), Arc::clone(&known));
        socket.write_all(b"GET /one HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut first = [0; 20];
        socket.read_exact(&mut first).unwrap();
        socket.write_all(b"GET /two HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        assert_eq!(open(address, &known, Version::Rfc6455).ask_text("beside"), "beside");
        let mut rest = String::new();
        socket.read_to_string(&mut rest).expect("it ends with a goodbye");
        String::from_utf8_lossy(&first).into_owned() + &rest
    });
    let answers = answers.await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
    assert!(answers.contains("https /one known: true"), "{answers}");
    assert!(answers.contains("https /two known: true"), "{answers}");
}

/// A stream that is cut off is a lost client, also where TLS notices it first.
pub async fn a_close_is_clean_and_a_cut_is_not<R: Runtime>(runtime: R) {
    let authority = Authority::new();
    let server = encrypted(&runtime, &authority).await;
    let ends = Mailbox::default();
    let told = ends.clone();
    server.on_close(move |_, closed| told.put((closed.clean, closed.code())));
    server.start_serving(&runtime, echo);
    let (address, config) = (server.address, authority.client(None));
    aside(move || {
        let mut cut = open(address, &config, Version::Rfc6455);
        assert_eq!(cut.ask_text("hello"), "hello");
        drop(cut);
        let polite = open(address, &config, Version::Rfc6455);
        assert!(polite.close(Close::normal()).clean);
    })
    .await;
    let mut seen = [ends.take().await, ends.take().await];
    seen.sort_unstable();
    assert_eq!(seen, [(false, 1006), (true, 1000)]);
}

/// One server, three places.
pub async fn plain_and_encrypted_ports_are_served_together<R: Runtime>(runtime: R) {
    let authority = Authority::new();
    let server = encrypted(&runtime, &authority).await;
    let anywhere = "127.0.0.1:0";
    let plain = server.add(Bind::tcp(anywhere).plain()).unwrap();
    let (certificate, key) = authority.sign("other");
    let tls = Tls::from_pem_files(certificate, key).unwrap();
    let other = server.add(Bind::tcp(anywhere).tls(tls)).unwrap();
    let places = server.local_addrs();
    assert_eq!(places[1..], [plain, other]);
    let ports: Vec<SocketAddr> =
        places.iter().map(|place| place.to_string().parse().unwrap()).collect();
    server.start_serving(&runtime, echo);
    let config = authority.client(None);
    aside(move || {
        let mut everybody: Vec<Box<dyn FnMut() -> String>> = Vec::new();
        let mut plain = Client::open(ports[1], Version::Draft76);
        everybody.push(Box::new(move || plain.ask_text("hello")));
        for port in [ports[0], ports[2]] {
            let mut client = open(port, &config, Version::Draft76);
            everybody.push(Box::new(move || client.ask_text("hello")));
        }
        for ask in &mut everybody {
            assert_eq!(ask(), "hello");
        }
    })
    .await;
    until(&runtime, || server.manager().is_empty()).await;
}

/// To who decides, who accepts and who hears of a refusal, also behind a page; and to the client.
pub async fn who_came_over_tls_is_known<R: Runtime>(runtime: R) {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("server");
    let tls = Tls::from_pem_files(certificate, key).unwrap();
    let server = Running::bind(&runtime, |builder| {
        let page = |_| async { ws_net::http::Response::new(String::new()) };
        builder.tls(tls).on_request(page).authorize(|candidate| async move {
            let accepts = candidate.is_secure() || candidate.request().path() == "/";
            if accepts { Ok(Accept::new()) } else { Err(Reject::new(403)) }
        })
    })
    .await;
    let plain = server.add(Bind::tcp("127.0.0.1:0").plain()).unwrap().to_string();
    let told = Mailbox::default();
    let post = told.clone();
    server.on_rejected(move |client| post.put(client.secure));
    let config = authority.client(None);
    for (url, secure) in
        [(format!("ws://{plain}/"), false), (format!("wss://{}/secret", server.address), true)]
    {
        let client = ClientBuilder::new(runtime.clone()).tls_config(Arc::clone(&config));
        let (connected, post) = (Mailbox::default(), Mailbox::default());
        let opened = connected.clone();
        runtime.spawn(async move { opened.put(client.connect(&url).await.unwrap()) });
        let incoming = server.accept().await.unwrap();
        assert_eq!(incoming.is_secure(), secure);
        post.put(incoming.accept(Accept::new()).await.unwrap());
        for side in [connected.take().await, post.take().await] {
            assert_eq!(side.is_secure(), secure);
        }
    }
    let client = ClientBuilder::new(runtime.clone());
    assert!(client.connect(&format!("ws://{plain}/secret")).await.is_err());
    assert!(!told.take().await, "a password is not taken there");

    let address = server.address;
    let behind = aside(move || {
        let mut socket = encrypt(dial(address), config);
        socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut page = Vec::new();
        while !page.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).expect("a page without a body");
            page.push(byte[0]);
        }
        Client::ask_through(socket, request(address)).expect("it is accepted")
    });
    let incoming = server.accept().await.unwrap();
    assert!(incoming.is_secure(), "behind a page");
    incoming.accept(Accept::new()).await.unwrap();
    drop(behind.await);
}

async fn encrypted<R: Runtime>(runtime: &R, authority: &Authority) -> Running<R> {
    let (certificate, key) = authority.sign("server");
    let tls = Tls::from_pem_files(certificate, key).unwrap();
    Running::bind(runtime, |builder| builder.tls(tls)).await
}

async fn tell_certificate(connection: Connection) {
    let told = match connection.peer_certificates() {
        Some(chain) => format!("{} certificate of {} bytes", chain.len(), chain[0].len()),
        None => "nobody".to_owned(),
    };
    connection.send(told).await.unwrap();
}

fn request(address: SocketAddr) -> ClientRequest {
    let request = ClientRequest::new(&format!("wss://{address}/")).unwrap();
    request.origin(&format!("https://{address}")).unwrap()
}

fn open(address: SocketAddr, config: &Arc<ClientConfig>, version: Version) -> Client<TlsSocket> {
    let socket: TcpStream = dial(address);
    let request = request(address).version(version);
    match Client::ask_through(encrypt(socket, Arc::clone(config)), request) {
        Ok(client) => client,
        Err(closed) => panic!("{version} was refused: {closed}"),
    }
}
