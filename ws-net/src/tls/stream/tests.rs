use std::future::poll_fn;
use std::sync::Mutex;

use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;

use super::*;
use crate::runtime::Runtime;
use crate::tls::provider::provider;
use crate::toy::{Pipe, Toy};
use crate::waiters::lock;

/// A stream that takes and gives a few bytes at a time, and says `Pending` before each.
struct Choppy {
    pipe: Pipe,
    most: usize,
    /// Whether the last call of each kind was put off.
    pending: Option<[bool; 4]>,
}

impl Choppy {
    fn pauses(&mut self, direction: usize, cx: &mut Context<'_>) -> bool {
        let Some(paused) = self.pending.as_mut().map(|pending| &mut pending[direction]) else {
            return false;
        };
        *paused = !*paused;
        if *paused {
            cx.waker().wake_by_ref();
        }
        *paused
    }
}

impl Transport for Choppy {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.pauses(0, cx) {
            return Poll::Pending;
        }
        let most = buf.len().min(self.most);
        self.pipe.poll_read(cx, &mut buf[..most])
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.pauses(1, cx) {
            return Poll::Pending;
        }
        let bytes: Vec<u8> =
            bufs.iter().flat_map(|buf| buf.iter().copied()).take(self.most).collect();
        self.pipe.poll_write_vectored(cx, &[IoSlice::new(&bytes)])
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.pauses(2, cx) { Poll::Pending } else { self.pipe.poll_flush(cx) }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.pauses(3, cx) { Poll::Pending } else { self.pipe.poll_shutdown(cx) }
    }
}

fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["example.org".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    (Arc::new(server), client_config(roots, rustls::ALL_VERSIONS))
}

fn client_config(
    roots: RootCertStore,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

fn name() -> ServerName<'static> {
    "example.org".try_into().unwrap()
}

/// Both ends of a new stream, the client's first.
fn pair() -> (TlsStream<Pipe>, TlsStream<Pipe>) {
    let (server, client) = configs();
    let (near, far) = Pipe::pair();
    (TlsStream::client(near, client, name()).unwrap(), TlsStream::server(far, server).unwrap())
}

/// Both ends, shaken hands.
fn open_pair(toy: &Toy) -> (TlsStream<Pipe>, TlsStream<Pipe>) {
    let (mut client, mut server) = pair();
    let pipes = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&pipes);
    toy.spawn(async move {
        write_all(&mut client, b"hello").await.unwrap();
        *lock(&slot) = Some(client);
    });
    let server = toy.block_on(async move {
        assert_eq!(read(&mut server, 16).await.unwrap(), b"hello");
        server
    });
    toy.settle();
    let client = lock(&pipes).take().unwrap();
    (client, server)
}

async fn read(stream: &mut impl Transport, most: usize) -> io::Result<Vec<u8>> {
    let mut buf = vec![0; most];
    let n = poll_fn(|cx| stream.poll_read(cx, &mut buf)).await?;
    buf.truncate(n);
    Ok(buf)
}

async fn write_all(stream: &mut impl Transport, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let (one, two) = bytes.split_at(bytes.len() / 2);
        let pieces = [IoSlice::new(one), IoSlice::new(two)];
        let n = poll_fn(|cx| stream.poll_write_vectored(cx, &pieces)).await?;
        bytes = &bytes[n..];
    }
    poll_fn(|cx| stream.poll_flush(cx)).await
}

async fn echo(mut stream: impl Transport, most: usize) {
    loop {
        let bytes = read(&mut stream, most).await.unwrap();
        if bytes.is_empty() {
            return poll_fn(|cx| stream.poll_shutdown(cx)).await.unwrap();
        }
        write_all(&mut stream, &bytes).await.unwrap();
    }
}

/// Writes and reads in one task, as a driver does, until as much has come back as was sent.
async fn ask(stream: &mut impl Transport, question: &[u8], most: usize) -> Vec<u8> {
    let (mut sent, mut flushed) = (0, false);
    let (mut answer, mut buf) = (Vec::new(), vec![0; most]);
    poll_fn(|cx| {
        while sent < question.len() {
            let rest = IoSlice::new(&question[sent..]);
            let Poll::Ready(n) = stream.poll_write_vectored(cx, &[rest]) else { break };
            sent += n.unwrap();
        }
        if sent == question.len() && !flushed {
            flushed = stream.poll_flush(cx).is_ready();
        }
        while answer.len() < question.len() {
            let n = ready!(stream.poll_read(cx, &mut buf)).unwrap();
            assert_ne!(n, 0, "the answer is too short");
            answer.extend_from_slice(&buf[..n]);
        }
        Poll::Ready(())
    })
    .await;
    answer
}

fn conversation(most: usize, pauses: bool, length: usize, read_size: usize) {
    let toy = Toy::default();
    let (server, client) = configs();
    let (near, far) = Pipe::pair();
    let choppy = |pipe| Choppy { pipe, most, pending: pauses.then_some([false; 4]) };
    let server = TlsStream::server(choppy(far), server).unwrap();
    let mut client = TlsStream::client(choppy(near), client, name()).unwrap();
    toy.spawn(echo(server, read_size));
    let question: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
    let expected = question.clone();
    let answer = toy.block_on(async move {
        let answer = ask(&mut client, &question, read_size).await;
        poll_fn(|cx| client.poll_shutdown(cx)).await.unwrap();
        assert_eq!(read(&mut client, read_size).await.unwrap(), b"", "a clean end");
        answer
    });
    assert!(answer == expected);
    toy.settle();
    assert_eq!(toy.tasks(), 0);
}

#[test]
fn what_is_sent_arrives_however_the_stream_is_cut() {
    for pauses in [false, true] {
        conversation(if pauses { 20 } else { 1 }, pauses, 300, 64);
        conversation(50, pauses, 10_000, 1000);
        conversation(1000, pauses, 100, 1);
        conversation(50_000, pauses, 400_000, 65_536);
        conversation(usize::MAX, pauses, 1_000_000, 20_000);
    }
}

#[test]
fn both_versions_shake_hands() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let toy = Toy::default();
        let made = rcgen::generate_simple_self_signed(["example.org".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let server = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let (near, far) = Pipe::pair();
        let client = client_config(roots, &[version]);
        let mut client = TlsStream::client(near, client, name()).unwrap();
        toy.spawn(echo(TlsStream::server(far, server.into()).unwrap(), 100));
        let (answer, seen) = toy.block_on(async move {
            let answer = ask(&mut client, b"hello", 100).await;
            poll_fn(|cx| client.poll_shutdown(cx)).await.unwrap();
            (answer, client.peer_certificates())
        });
        assert_eq!(answer, b"hello");
        assert_eq!(*seen.unwrap(), [made.cert.der().to_vec()]);
    }
}

#[test]
fn a_stream_that_is_cut_off_is_no_clean_end() {
    let toy = Toy::default();
    let (client, mut server) = open_pair(&toy);
    drop(client);
    let error = toy.block_on(async move { read(&mut server, 16).await.unwrap_err() });
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert!(error.to_string().contains("close_notify"), "{error}");
}

#[test]
fn a_goodbye_is_a_clean_end_and_what_follows_it_does_not_count() {
    let toy = Toy::default();
    let (mut client, mut server) = open_pair(&toy);
    toy.block_on(async move {
        write_all(&mut client, b"last words").await.unwrap();
        poll_fn(|cx| client.poll_shutdown(cx)).await.unwrap();
        client.socket.send(b"garbage");
    });
    toy.block_on(async move {
        assert_eq!(read(&mut server, 100).await.unwrap(), b"last words");
        for _ in 0..2 {
            assert_eq!(read(&mut server, 100).await.unwrap(), b"");
        }
        write_all(&mut server, b"this direction is open").await.unwrap();
    });
}

#[test]
fn an_end_in_the_handshake_is_an_error_for_reads_and_writes() {
    for writes in [false, true] {
        let (server, client) = configs();
        let (near, far) = Pipe::pair();
        drop((server, far));
        let mut client = TlsStream::client(near, client, name()).unwrap();
        let error = Toy::default().block_on(async move {
            if writes {
                write_all(&mut client, b"hello").await.unwrap_err()
            } else {
                read(&mut client, 16).await.map(drop).unwrap_err()
            }
        });
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert!(error.to_string().contains("handshake"), "{error}");
    }
}

#[test]
fn plain_http_is_told_what_this_port_speaks() {
    let toy = Toy::default();
    let (server, _) = configs();
    let (near, far) = Pipe::pair();
    near.send(b"GET / HTTP/1.1\r\n\r\n");
    let mut server = TlsStream::server(far, server).unwrap();
    let error = toy.block_on(async move { read(&mut server, 1000).await.unwrap_err() });
    assert!(error.to_string().contains("plain HTTP"), "{error}");
    let answer = String::from_utf8(near.take().0).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 "));
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
    assert!(body.contains("wss://") && near.ended());
}

#[test]
fn both_sides_learn_why_a_certificate_is_refused() {
    let toy = Toy::default();
    let (server, _) = configs();
    let (_, stranger) = configs();
    let (near, far) = Pipe::pair();
    let mut server = TlsStream::server(far, server).unwrap();
    let mut client = TlsStream::client(near, stranger, name()).unwrap();
    let failure = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&failure);
    toy.spawn(async move { *lock(&slot) = Some(read(&mut server, 16).await.unwrap_err()) });
    let error = toy.block_on(async move { write_all(&mut client, b"hello").await.unwrap_err() });
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(error.to_string().contains("certificate"), "{error}");
    let error = lock(&failure).take().unwrap();
    assert!(error.to_string().contains("alert"), "{error}");
}

#[test]
fn what_came_before_a_broken_record_is_read_first() {
    let toy = Toy::default();
    let (mut client, mut server) = open_pair(&toy);
    toy.block_on(async move {
        write_all(&mut client, b"good").await.unwrap();
        client.socket.send(&[23, 3, 3, 0, 40]);
        client.socket.send(&[7; 40]);
        drop(client);
    });
    toy.block_on(async move {
        assert_eq!(read(&mut server, 1000).await.unwrap(), b"good");
        for _ in 0..2 {
            let error = read(&mut server, 1000).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        }
    });
}

#[test]
fn a_peer_that_reads_nothing_holds_the_writer_back() {
    let toy = Toy::default();
    let (client, mut server) = open_pair(&toy);
    client.socket.set_room(0);
    let cx = &mut Context::from_waker(std::task::Waker::noop());
    let block = vec![7; 1 << 20];
    let Poll::Ready(taken) = server.poll_write_vectored(cx, &[IoSlice::new(&block)]) else {
        panic!("the first block is encrypted at once");
    };
    assert!(taken.unwrap() <= 64 << 10);
    assert!(server.poll_write_vectored(cx, &[IoSlice::new(&block)]).is_pending());
    assert!(server.poll_flush(cx).is_pending() && server.poll_shutdown(cx).is_pending());
}
