use ws_proto::Deflate;

use super::{ClientBuilder, Toy, connecting, take};
use crate::toy::party::{echo, serve};

#[test]
fn compression_is_what_both_sides_want() {
    let takeover = || Deflate::new().client_no_context_takeover(false);
    for (offered, wanted, agreed) in [
        (None, None, None),
        (Some(Deflate::new()), None, None),
        (None, Some(Deflate::new()), None),
        (
            Some(takeover()),
            Some(takeover()),
            Some("permessage-deflate; server_no_context_takeover"),
        ),
    ] {
        let toy = Toy::default();
        let server = serve(&toy, crate::Builder::new(toy.clone()).deflate(wanted), echo);
        toy.settle();
        let client = ClientBuilder::new(toy.clone()).deflate(offered).build().unwrap();
        let connection = take(&connecting(&toy, &client, "ws://localhost/")).unwrap().unwrap();
        let deflate = connection.deflate().map(|params| params.to_string());
        assert_eq!(deflate.as_deref(), agreed);
        let other_side = server.manager().snapshot()[0].deflate();
        assert_eq!(other_side.map(|params| params.to_string()).as_deref(), agreed);
        let long = "all work and no play ".repeat(500);
        for text in [long.as_str(), "short", "", &long] {
            let (own, text) = (connection.clone(), text.to_owned());
            let echoed = toy.block_on(async move {
                own.send(text.as_str()).await.unwrap();
                (own.recv().await.unwrap().unwrap(), text)
            });
            assert_eq!(echoed.0.as_text(), Some(echoed.1.as_str()));
        }
    }
}

#[test]
fn compression_that_makes_no_sense_is_named() {
    let builder = ClientBuilder::new(Toy::default()).deflate(Deflate::new().level(1));
    let error = builder.build().unwrap_err().to_string();
    assert!(error.contains("`level`"), "{error}");
}
