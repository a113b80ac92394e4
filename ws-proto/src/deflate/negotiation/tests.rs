use alloc::vec;

use super::*;
use crate::http::Head;
use crate::http::first_line::RequestLine;
use crate::{Limits, Role};

/// A head with these values of `Sec-WebSocket-Extensions`, one field each.
fn headers(values: &[&str]) -> Headers {
    let fields = values.iter().map(|value| (HEADER, value.as_bytes()));
    let head: Head<RequestLine> =
        Head::from_parts("GET", "/", 1, fields, &Limits::default()).unwrap();
    head.headers
}

fn chosen(options: &Deflate, values: &[&str]) -> Option<String> {
    options.choose(&headers(values)).map(|params| params.to_string())
}

fn open_minded() -> Deflate {
    Deflate::new().server_no_context_takeover(false).client_no_context_takeover(false)
}

#[test]
fn a_server_takes_the_first_offer_that_it_can_do() {
    const PLAIN: &str = "permessage-deflate";
    for (offer, answer) in [
        (vec![PLAIN], Some(PLAIN)),
        (vec!["PerMessage-Deflate"], Some(PLAIN)),
        (vec!["permessage-deflate; client_max_window_bits"], Some(PLAIN)),
        (
            vec!["permessage-deflate; client_max_window_bits=10"],
            Some("permessage-deflate; client_max_window_bits=10"),
        ),
        (
            vec!["permessage-deflate; client_max_window_bits=8"],
            Some("permessage-deflate; client_max_window_bits=8"),
        ),
        (
            vec!["permessage-deflate; server_max_window_bits=\"9\""],
            Some("permessage-deflate; server_max_window_bits=9"),
        ),
        (
            vec![r#"permessage-deflate; server_max_window_bits="1\0""#],
            Some("permessage-deflate; server_max_window_bits=10"),
        ),
        (
            vec!["permessage-deflate; server_max_window_bits=15"],
            Some("permessage-deflate; server_max_window_bits=15"),
        ),
        (
            vec!["permessage-deflate; server_no_context_takeover; client_no_context_takeover"],
            Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        ),
        (vec!["permessage-deflate; server_max_window_bits=8"], None),
        (vec!["permessage-deflate; server_max_window_bits=8, permessage-deflate"], Some(PLAIN)),
        (
            vec![
                "x-other; permessage-deflate",
                "permessage-deflate; server_max_window_bits=8",
                "permessage-deflate; client_no_context_takeover, permessage-deflate",
            ],
            Some("permessage-deflate; client_no_context_takeover"),
        ),
        (vec!["x-webkit-deflate-frame"], None),
        (vec![""], None),
        (vec![], None),
    ] {
        assert_eq!(chosen(&open_minded(), &offer).as_deref(), answer, "{offer:?}");
    }
}

#[test]
fn a_wrong_offer_is_declined_and_the_next_one_taken() {
    for wrong in [
        "unknown",
        "server_no_context_takeover=1",
        "server_no_context_takeover; server_no_context_takeover",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=+9",
        "server_max_window_bits=09",
        "server_max_window_bits=9; server_max_window_bits=9",
        "server_max_window_bits=99999999999999999999",
        "client_max_window_bits=0",
        "client_max_window_bits=0x9",
        "client_max_window_bits; client_max_window_bits",
        "Server_Max_Window_Bits=10",
    ] {
        let offer = ["permessage-deflate; ", wrong].concat();
        assert_eq!(chosen(&open_minded(), &[&offer]), None, "{offer}");
        let second = chosen(&open_minded(), &[&offer, "permessage-deflate"]);
        assert_eq!(second.as_deref(), Some("permessage-deflate"), "{offer}");
    }
}

#[test]
fn a_server_says_what_it_wants_unasked() {
    let small = Deflate::new().server_max_window_bits(11).client_max_window_bits(10);
    for (offer, answer) in [
        (
            "permessage-deflate",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=11",
        ),
        (
            "permessage-deflate; client_max_window_bits; server_max_window_bits=12",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=11; client_max_window_bits=10",
        ),
        (
            "permessage-deflate; client_max_window_bits=9; server_max_window_bits=9",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=9; client_max_window_bits=9",
        ),
    ] {
        assert_eq!(chosen(&small, &[offer]).as_deref(), Some(answer), "{offer}");
    }
}

#[test]
fn a_client_offers_what_its_options_say() {
    assert_eq!(open_minded().offer(), "permessage-deflate; client_max_window_bits");
    assert_eq!(
        Deflate::new().server_max_window_bits(9).client_max_window_bits(10).offer(),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
         server_max_window_bits=9; client_max_window_bits=10"
    );
}

#[test]
fn a_client_takes_what_its_offer_allows() {
    let options = open_minded().server_max_window_bits(12).client_max_window_bits(12);
    assert_eq!(options.check_answer(b""), Ok(None));
    let answer = "permessage-deflate; client_max_window_bits=8; server_max_window_bits=\"8\"; \
                  client_no_context_takeover";
    let params = options.check_answer(answer.as_bytes()).unwrap().unwrap();
    let bits = (params.client_max_window_bits(), params.server_max_window_bits());
    assert_eq!(bits, (8, 8));
    assert!(params.client_no_context_takeover() && !params.server_no_context_takeover());
    let least = "permessage-deflate; server_max_window_bits=12";
    let params = options.check_answer(least.as_bytes()).unwrap().unwrap();
    assert_eq!(params.client_max_window_bits(), 12, "what it offered, it keeps");
}

#[test]
fn a_wrong_answer_is_named_with_its_clause() {
    let options = Deflate::new().server_max_window_bits(12).client_max_window_bits(12);
    let good = "permessage-deflate; server_no_context_takeover; server_max_window_bits=12";
    assert!(options.check_answer(good.as_bytes()).unwrap().is_some());
    for (answer, parameter, clause) in [
        (["; x"].concat(), "x", "7.1"),
        ("; x=y".into(), "x", "7.1"),
        ("; server_max_window_bits=10".into(), "server_max_window_bits", "7.1.2.1"),
        ("; client_max_window_bits".into(), "client_max_window_bits", "7.1.2.2"),
        ("; client_max_window_bits=13".into(), "client_max_window_bits=13", "7.1.2.2"),
        ("; client_max_window_bits=7".into(), "client_max_window_bits=7", "7.1.2.2"),
        ("; client_no_context_takeover=x".into(), "client_no_context_takeover", "7.1.1.2"),
        (", permessage-deflate".into(), "permessage-deflate", "7.1"),
    ] {
        let answer = [good, &answer].concat();
        let error = options.check_answer(answer.as_bytes()).unwrap_err();
        let HandshakeError::DeflateAnswer { parameter: named, .. } = &error else {
            panic!("{answer}: {error}")
        };
        assert_eq!(named, parameter, "{answer}");
        assert_eq!(error.clause(), ["RFC 7692 section ", clause].concat(), "{answer}");
        assert_eq!(error.status(), None);
    }
    for (answer, clause) in [
        ("permessage-deflate; server_max_window_bits=12", "7.1.1.1"),
        ("permessage-deflate; server_no_context_takeover", "7.1.2.1"),
        ("permessage-deflate; server_no_context_takeover; server_max_window_bits=13", "7.1.2.1"),
        ("permessage-deflate; server_no_context_takeover; server_max_window_bits", "7.1.2.1"),
    ] {
        let error = options.check_answer(answer.as_bytes()).unwrap_err();
        assert_eq!(error.clause(), ["RFC 7692 section ", clause].concat(), "{answer}");
    }
    let other = options.check_answer(b"x-other; a=b").unwrap_err();
    assert_eq!(other, HandshakeError::ExtensionNotOffered("x-other; a=b".into()));
}

#[test]
fn undici_cve_2026_2229_a_window_out_of_range_in_an_answer_is_an_error() {
    for bits in ["0", "7", "16", "999", "-1", "1e1", ""] {
        let answer = ["permessage-deflate; server_max_window_bits=", bits].concat();
        let error = open_minded().check_answer(answer.as_bytes()).unwrap_err();
        assert!(matches!(error, HandshakeError::DeflateAnswer { .. }), "{answer}: {error}");
    }
}

#[test]
fn both_sides_see_the_same_parameters() {
    let params = open_minded()
        .client_max_window_bits(10)
        .choose(&headers(&[&open_minded().server_max_window_bits(9).offer()]))
        .unwrap();
    assert_eq!(params.sent_by(Role::Server), params.received_by(Role::Client));
    assert_eq!(params.sent_by(Role::Client), params.received_by(Role::Server));
    assert_eq!(params.sent_by(Role::Server).window_bits, 9);
    assert_eq!(params.sent_by(Role::Client).window_bits, 10);
}
