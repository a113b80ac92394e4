//! What a client sees of the answer to its request.

use std::sync::{Arc, Mutex};

use ws_proto::{Event, Reject, Version};
use ws_tests::pair::Pair;

#[test]
fn a_client_sees_the_answer_that_lets_it_in_or_refuses_it() {
    for version in Version::ALL {
        for cut in [usize::MAX, 1] {
            let mut pair = Pair::connected(version);
            let response = pair.client.connection.response().expect("it was read");
            assert_eq!((response.status(), response.headers().contains("UPGRADE")), (101, true));
            assert!(pair.server.connection.response().is_none());

            pair = Pair::new(version);
            (pair.cut, pair.server.accepts) = (cut, false);
            let closed = Arc::new(Mutex::new(None));
            let end = Arc::clone(&closed);
            pair.client.watch = Some(Box::new(move |event| {
                if let Event::Closed(closed) = event {
                    *end.lock().unwrap() = Some(closed.clone());
                }
            }));
            pair.drive();
            let reject = Reject::new(503).header("Retry-After", "7").unwrap();
            pair.server.connection.reject(&reject, pair.now).unwrap();
            pair.drive();
            assert!(pair.client.connection.response().is_none());
            let closed = closed.lock().unwrap().take().expect("it was refused");
            let response = closed.response.as_ref().expect("its head was read");
            assert_eq!(response.status(), 503, "{version}");
            assert_eq!(response.headers().text("retry-after"), Some("7"));
        }
    }
}
