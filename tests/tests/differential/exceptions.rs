//! Where a peer may differ, each with the clause that says who is right.
//!
//! An exception holds for one peer and one rule. [`Exception::shown_by`] is a stream that needs it,
//! so that none outlives the fault it was made for.

use ws_proto::ProtocolError::{
    ControlTooLong, ExpectedContinuation, InvalidClose, InvalidUtf8, LengthNotMinimal, Masked,
    MessageTooBig, Unmasked,
};
use ws_proto::{InvalidClose as Close, ProtocolError, Role};

use crate::ours::Ours;
use crate::outcome::{End, Item, Outcome};
use crate::peers::{FASTWEBSOCKETS, TUNGSTENITE};

pub(crate) struct Exception {
    pub(crate) peer: &'static str,
    pub(crate) name: &'static str,
    /// Who is right, and by which clause.
    pub(crate) clause: &'static str,
    applies: fn(&Ours, &Outcome) -> bool,
    /// The receiver, and what it gets.
    pub(crate) shown_by: fn() -> (Role, Vec<u8>),
}

/// The exception that this difference needs.
pub(crate) fn find(peer: &str, ours: &Ours, theirs: &Outcome) -> Option<&'static Exception> {
    EXCEPTIONS.iter().find(|exception| exception.peer == peer && (exception.applies)(ours, theirs))
}

/// The peer goes on where we fail for this fault.
fn laxer(ours: &Ours, theirs: &Outcome, fault: impl Fn(ProtocolError) -> bool) -> bool {
    let begins = theirs.items.starts_with(&ours.outcome.items);
    begins && ours.fault.is_some_and(fault) && theirs != &ours.outcome
}

/// What the peer is told next where we fail.
fn next<'a>(ours: &Ours, theirs: &'a Outcome) -> Option<&'a Item> {
    theirs.items.get(ours.outcome.items.len())
}

/// Both fail at the same place, we with the first code and the peer with the second.
fn other_code(ours: &Ours, theirs: &Outcome, codes: (u16, u16)) -> bool {
    ours.outcome.items == theirs.items
        && (&ours.outcome.end, &theirs.end) == (&End::Failed(codes.0), &End::Failed(codes.1))
}

fn long_form(ours: &Ours, theirs: &Outcome) -> bool {
    laxer(ours, theirs, |fault| matches!(fault, LengthNotMinimal(_)))
}

/// A control frame of which the peer takes the length, and not the form that it is written in.
fn long_form_of_control(ours: &Ours, theirs: &Outcome) -> bool {
    let short = match next(ours, theirs) {
        Some(Item::Ping(payload) | Item::Pong(payload)) => payload.len() <= 125,
        Some(_) => false,
        None => matches!(theirs.end, End::Closed(_) | End::Failed(1002 | 1007)),
    };
    short && laxer(ours, theirs, |fault| fault == ControlTooLong)
}

fn bad_gateway(ours: &Ours, theirs: &Outcome) -> bool {
    let closed = matches!(&ours.outcome.end, End::Closed(Some((1014, _))));
    closed && ours.outcome.items == theirs.items && theirs.end == End::Failed(1002)
}

fn limit_first(ours: &Ours, theirs: &Outcome) -> bool {
    other_code(ours, theirs, (1002, 1009))
}

fn reason_first(ours: &Ours, theirs: &Outcome) -> bool {
    let code = matches!(ours.fault, Some(InvalidClose(Close::Code(_))));
    code && other_code(ours, theirs, (1002, 1007))
}

pub(crate) const EXCEPTIONS: [Exception; 15] = [
    Exception {
        peer: TUNGSTENITE,
        name: "takes data lengths that are not in their shortest form",
        clause: "section 5.2, \"the minimal number of bytes MUST be used\": we are right",
        applies: long_form,
        shown_by: || (Role::Client, b"\x82\x7E\0\x01a".to_vec()),
    },
    Exception {
        peer: TUNGSTENITE,
        name: "takes control lengths that are not in their shortest form",
        clause: "section 5.2, \"the minimal number of bytes MUST be used\": we are right",
        applies: long_form_of_control,
        shown_by: || (Role::Client, b"\x89\x7E\0\x01a".to_vec()),
    },
    Exception {
        peer: TUNGSTENITE,
        name: "refuses close code 1014",
        clause: "section 7.4.2 and the registry of section 11.7, which has it: we are right",
        applies: bad_gateway,
        shown_by: || (Role::Client, b"\x88\x02\x03\xF6".to_vec()),
    },
    Exception {
        peer: TUNGSTENITE,
        name: "measures a frame before it looks at its bits",
        clause: "section 7.4.1 has no order for frames with two faults: both are right",
        applies: limit_first,
        shown_by: || (Role::Client, b"\xF2\x7F\0\0\0\x01\0\0\0\0".to_vec()),
    },
    Exception {
        peer: TUNGSTENITE,
        name: "reads the reason of a close frame before its code",
        clause: "section 7.4.1 has no order for frames with two faults: both are right",
        applies: reason_first,
        shown_by: || (Role::Client, b"\x88\x03\0\0\xFF".to_vec()),
    },
    Exception {
        peer: FASTWEBSOCKETS,
        name: "takes data lengths that are not in their shortest form",
        clause: "section 5.2, \"the minimal number of bytes MUST be used\": we are right",
        applies: long_form,
        shown_by: || (Role::Client, b"\x82\x7E\0\x01a".to_vec()),
    },
    Exception {
        peer: FASTWEBSOCKETS,
        name: "takes control lengths in any form, and pongs and close frames of any length",
        clause: "section 5.5, \"a payload length of 125 bytes or less\": we are right",
        applies: |ours, theirs| laxer(ours, theirs, |fault| fault == ControlTooLong),
        shown_by: || (Role::Client, [&b"\x8A\x7E\0\x7E"[..], &[0; 126]].concat()),
    },
    Exception {
        peer: FASTWEBSOCKETS,
        name: "takes frames of clients that are not masked",
        clause: "section 5.1, \"MUST close the connection upon receiving a frame that is not \
                 masked\": we are right",
        applies: |ours, theirs| laxer(ours, theirs, |fault| fault == Unmasked),
        shown_by: || (Role::Server, b"\x82\x01a".to_vec()),
    },
    Exception {
        peer: FASTWEBSOCKETS,
        name: "takes masked frames of servers, and leaves them masked",
        clause: "section 5.1, \"MUST close a connection if it detects a masked frame\": we are \
                 right",
        applies: |ours, theirs| laxer(ours, theirs, |fault| fault == Masked),
        shown_by: || (Role::Client, b"\x82\x81\x01\x02\x03\x04a".to_vec()),
    },
    Exception {
        peer: FASTWEBSOCKETS,
        name: "forgets an unfinished message when another begins that is fragmented, too",
        clause: "section 5.4, \"fragments of one message MUST NOT be interleaved\": we are right",
        applies: |ours, theirs| laxer(ours, theirs, |fault| fault == ExpectedContinuation),
        shown_by: || (Role::Client, b"\x02\x01a\x02\x01b\x80\x01c".to_vec()),
    },
    Exception {
        peer: FASTWEBSOCKETS,
        name: "drops the first half of a character at the end of a fragmented text",
        clause: "section 8.1, \"MUST Fail the WebSocket Connection\": we are right",
        applies: |ours, theirs| {
            let text = matches!(next(ours, theirs), Some(Item::Text(_)));
            text && laxer(ours, theirs, |fault| fault == InvalidUtf8)
        },
        shown_by: || (Role::Client, b"\x01\x02a\xC3\x80\0".to_vec()),
    },
    Exception {
        peer: FASTWEBSOCKETS,
        name: "limits frames, and not the messages that they make up",
        clause: "section 10.4, \"the total message size after reassembly from multiple frames\": \
                 we are right",
        applies: |ours, theirs| laxer(ours, theirs, |fault| matches!(fault, MessageTooBig(_))),
        shown_by: || {
            let fragment = |first| [&[first, 126, 0xEA, 0x60][..], &[0; 60_000]].concat();
            (Role::Client, [fragment(0x02), fragment(0x80)].concat())
        },
    },
    Exception {
        peer: FASTWEBSOCKETS,
        name: "refuses close code 1014",
        clause: "section 7.4.2 and the registry of section 11.7, which has it: we are right",
        applies: bad_gateway,
        shown_by: || (Role::Client, b"\x88\x02\x03\xF6".to_vec()),
    },
    Exception {
        peer: FASTWEBSOCKETS,
        name: "measures a frame before it looks at its place",
        clause: "section 7.4.1 has no order for frames with two faults: both are right",
        applies: limit_first,
        shown_by: || (Role::Client, b"\x80\x7F\0\0\0\x01\0\0\0\0".to_vec()),
    },
    Exception {
        peer: FASTWEBSOCKETS,
        name: "reads the reason of a close frame before its code",
        clause: "section 7.4.1 has no order for frames with two faults: both are right",
        applies: reason_first,
        shown_by: || (Role::Client, b"\x88\x03\0\0\xFF".to_vec()),
    },
];
