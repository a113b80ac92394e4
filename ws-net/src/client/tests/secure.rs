//! `wss://`.

use super::*;

/// The server's side and the client's configuration for `example.org`.
fn certified() -> (crate::Tls, rustls::ClientConfig) {
    use rustls::pki_types::PrivateKeyDer;

    let made = rcgen::generate_simple_self_signed(["example.org".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = rustls::ServerConfig::builder_with_provider(crate::tls::provider::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(crate::tls::provider::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server.into(), client)
}

#[test]
fn tls_is_spoken_with_whom_the_certificate_names() {
    let (tls, config) = certified();
    let toy = Toy::default();
    let server = crate::Builder::new(toy.clone()).build().unwrap();
    server.add(crate::Bind::tcp("127.0.0.1:0").tls(tls)).unwrap();
    let own = server.clone();
    toy.spawn(async move { own.run().await.unwrap() });
    toy.settle();
    for version in Version::ALL {
        let client = ClientBuilder::new(toy.clone()).version(version).tls_config(config.clone());
        let client = client.build().unwrap();
        let connection = take(&connecting(&toy, &client, "wss://example.org/")).unwrap().unwrap();
        assert_eq!(connection.version(), Some(version));

        let failed = error(&connecting(&toy, &client, "wss://other.example/"));
        assert!(matches!(&failed, ConnectError::Tls { host, .. } if host == "other.example"));
        assert!(!failed.is_transient(), "{failed}");
    }
    // Nobody the system believes has signed it.
    let failed = error(&connecting(&toy, &Client::new(toy.clone()), "wss://example.org/"));
    assert!(matches!(&failed, ConnectError::Tls { .. }), "{failed}");
    server.close();
}

#[test]
fn tls_has_its_part_of_the_deadline_and_its_own_error() {
    let (_, config) = certified();
    let (toy, slot) = connect(|client| client.tls_config(config), "wss://example.org/");
    let pipe = toy.take_stream().unwrap();
    toy.advance(Duration::from_secs(10));
    assert!(matches!(error(&slot), ConnectError::Timeout { stage: Stage::Tls, .. }));
    assert!(pipe.ended() && toy.tasks() == 0);

    let (toy, slot) = connect(|client| client, "wss://example.org/");
    let pipe = toy.take_stream();
    if let Some(pipe) = pipe {
        answer(&toy, &pipe, "HTTP/1.1 400 Bad Request\r\n\r\n");
        assert!(matches!(error(&slot), ConnectError::Tls { .. }));
    }
    let missing = ClientBuilder::new(Toy::default()).tls_roots("/no/such/file").map(drop);
    assert!(missing.unwrap_err().to_string().contains("/no/such/file"));
}
