//! Streams of frames: right ones, and right ones with faults put in.

use proptest::prelude::*;
use ws_proto::Role;

use crate::outcome::{CloseBody, Item, LIMIT};

/// Payload lengths beside which something changes: the three forms of a length, buffers, the limit.
const SIZES: [usize; 9] = [0, 1, 125, 126, 127, 4096, 65_535, 65_536, LIMIT];

/// A frame before it is bytes.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    first: u8,
    form: Form,
    /// Whether the masking bit is the wrong one.
    wrong_mask: bool,
    key: [u8; 4],
    payload: Vec<u8>,
}

/// How the length is written.
#[derive(Clone, Copy, Debug)]
enum Form {
    Shortest,
    In16,
    In64,
    /// In 64 bits, and not what follows.
    Claim(u64),
}

/// A fault.
#[derive(Clone, Debug)]
enum Fault {
    First(u8),
    Fin,
    Rsv(u8),
    Opcode(u8),
    Mask,
    Form(Form),
    Payload(Vec<u8>),
    /// The last byte is missing, be it in the middle of a character.
    Short,
    Drop,
    Twice,
}

impl Frame {
    fn new(first: u8, key: [u8; 4], payload: Vec<u8>) -> Self {
        Self { first, form: Form::Shortest, wrong_mask: false, key, payload }
    }

    /// The bytes for a receiver of this role.
    fn write(&self, role: Role, out: &mut Vec<u8>) {
        let masked = (role == Role::Server) != self.wrong_mask;
        let bit = if masked { 0x80 } else { 0 };
        let len = self.payload.len();
        out.push(self.first);
        match (self.form, len) {
            (Form::Claim(claim), _) => {
                out.push(bit | 0x7F);
                out.extend(claim.to_be_bytes());
            }
            (Form::Shortest, 0..126) => out.push(bit | len as u8),
            (Form::Shortest | Form::In16, 0..=0xFFFF) => {
                out.push(bit | 0x7E);
                out.extend((len as u16).to_be_bytes());
            }
            _ => {
                out.push(bit | 0x7F);
                out.extend((len as u64).to_be_bytes());
            }
        }
        if masked {
            out.extend(self.key);
            let key = self.key.iter().cycle();
            out.extend(self.payload.iter().zip(key).map(|(byte, key)| byte ^ key));
        } else {
            out.extend(&self.payload);
        }
    }

    /// The frames that are there instead of this one.
    fn with(mut self, fault: &Fault) -> Vec<Self> {
        match fault {
            Fault::First(first) => self.first = *first,
            Fault::Fin => self.first ^= 0x80,
            Fault::Rsv(bits) => self.first |= bits << 4,
            Fault::Opcode(opcode) => self.first = self.first >> 4 << 4 | opcode,
            Fault::Mask => self.wrong_mask = true,
            Fault::Form(form) => self.form = *form,
            Fault::Payload(payload) => self.payload.clone_from(payload),
            Fault::Short => drop(self.payload.pop()),
            Fault::Drop => return Vec::new(),
            Fault::Twice => return vec![self.clone(), self],
        }
        vec![self]
    }
}

/// Text of a certain length in bytes, with characters of one to four of them.
fn text_of(size: usize) -> String {
    let mut text: String = "aé€🦀".chars().cycle().take(size * 2 / 5).collect();
    while text.len() > size {
        text.pop();
    }
    let rest = size - text.len();
    text + &"x".repeat(rest)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => ".{0,40}",
        1 => prop::sample::select(SIZES.to_vec()).prop_map(text_of),
    ]
}

fn data() -> impl Strategy<Value = Item> {
    let size = prop::sample::select(SIZES.to_vec());
    prop_oneof![
        4 => text().prop_map(Item::Text),
        2 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Item::Binary),
        1 => (any::<u8>(), size).prop_map(|(byte, size)| Item::Binary(vec![byte; size])),
    ]
}

fn control() -> impl Strategy<Value = Item> {
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..10),
        prop::collection::vec(any::<u8>(), 124..=125),
    ];
    (any::<bool>(), payload)
        .prop_map(|(ping, payload)| if ping { Item::Ping(payload) } else { Item::Pong(payload) })
}

/// What an application may send.
pub(crate) fn items() -> impl Strategy<Value = Vec<Item>> {
    prop::collection::vec(prop_oneof![2 => data(), 1 => control()], 0..6)
}

/// A code and a reason that may be sent, or no close frame. 1014 is younger than the RFC, and has a
/// test of its own.
pub(crate) fn close() -> impl Strategy<Value = CloseBody> {
    let code = prop_oneof![1000u16..=1003, 1007u16..=1013, 3000u16..=4999];
    prop::option::of((code, ".{0,30}"))
}

/// The frames of an item, data in up to four fragments, with control frames between them.
fn frames() -> impl Strategy<Value = Vec<Frame>> {
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    let between = prop::collection::vec(control(), 0..3);
    let data = (data(), cuts, between, any::<[u8; 4]>());
    let data = data.prop_map(|(item, cuts, between, key)| {
        let (kind, payload) = match item {
            Item::Text(text) => (1, text.into_bytes()),
            Item::Binary(payload) | Item::Ping(payload) | Item::Pong(payload) => (2, payload),
        };
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
        cuts.sort_unstable();
        let mut frames = Vec::new();
        let mut between = between.into_iter();
        let mut from = 0;
        for (at, to) in cuts.iter().copied().chain([payload.len()]).enumerate() {
            let fin = if at == cuts.len() { 0x80 } else { 0 };
            let opcode = if at == 0 { kind } else { 0 };
            frames.push(Frame::new(fin | opcode, key, payload[from..to].to_vec()));
            if fin == 0 {
                frames.extend(between.next().map(|item| control_frame(item, key)));
            }
            from = to;
        }
        frames
    });
    let control = (control(), any::<[u8; 4]>());
    prop_oneof![3 => data, 1 => control.prop_map(|(item, key)| vec![control_frame(item, key)])]
}

fn control_frame(item: Item, key: [u8; 4]) -> Frame {
    match item {
        Item::Pong(payload) => Frame::new(0x8A, key, payload),
        Item::Ping(payload) | Item::Binary(payload) => Frame::new(0x89, key, payload),
        Item::Text(text) => Frame::new(0x89, key, text.into_bytes()),
    }
}

/// A close frame: empty, too short, or with any code and any reason.
fn close_frame() -> impl Strategy<Value = Frame> {
    let code = prop_oneof![
        3 => 1000u16..=1016,
        1 => prop::sample::select(vec![0u16, 999, 2999, 3000, 4999, 5000, 65_535]),
        1 => any::<u16>(),
    ];
    let reason = prop_oneof![
        3 => ".{0,30}".prop_map(String::into_bytes),
        1 => Just(vec![b'r'; 123]),
        1 => bad_text(),
    ];
    let body =
        (code, reason).prop_map(|(code, reason)| [&code.to_be_bytes()[..], &reason].concat());
    let body = prop_oneof![5 => body, 1 => Just(Vec::new()), 1 => Just(vec![3])];
    (any::<[u8; 4]>(), body).prop_map(|(key, body)| Frame::new(0x88, key, body))
}

/// Bytes that are not UTF-8: overlong, surrogates, beyond the last character, cut.
fn bad_text() -> impl Strategy<Value = Vec<u8>> {
    let bad: [&[u8]; 8] = [
        b"\xC0\xAF",
        b"\xE0\x80\xAF",
        b"\xED\xA0\x80",
        b"\xF4\x90\x80\x80",
        b"\xFF",
        b"\x80",
        b"\xE2\x82",
        b"\xF0\x9F\xA6",
    ];
    ("[a-zé]{0,5}", prop::sample::select(bad.to_vec()), "[a-z]{0,3}")
        .prop_map(|(before, bad, after)| [before.as_bytes(), bad, after.as_bytes()].concat())
}

fn fault() -> impl Strategy<Value = Fault> {
    let claim = prop_oneof![
        0u64..300,
        Just(LIMIT as u64 + 1),
        Just(1u64 << 40),
        Just(u64::MAX >> 1),
        Just(1u64 << 63),
        Just(u64::MAX),
    ];
    prop_oneof![
        any::<u8>().prop_map(Fault::First),
        Just(Fault::Fin),
        (1u8..8).prop_map(Fault::Rsv),
        (0u8..16).prop_map(Fault::Opcode),
        Just(Fault::Mask),
        Just(Fault::Form(Form::In16)),
        Just(Fault::Form(Form::In64)),
        claim.prop_map(|claim| Fault::Form(Form::Claim(claim))),
        bad_text().prop_map(Fault::Payload),
        prop::collection::vec(any::<u8>(), 120..140).prop_map(Fault::Payload),
        Just(Fault::Payload(vec![b'x'; LIMIT * 2 / 3])),
        Just(Fault::Short),
        Just(Fault::Drop),
        Just(Fault::Twice),
    ]
}

/// Frames in a row, the last of which may close, with up to two faults, a wrong byte, and cut.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) role: Role,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Server), Just(Role::Client)]
}

fn stream(faults: std::ops::Range<usize>) -> impl Strategy<Value = (Role, Vec<u8>)> {
    let frames = prop::collection::vec(frames(), 0..4);
    let faults = prop::collection::vec((any::<prop::sample::Index>(), fault()), faults);
    (role(), frames, prop::option::of(close_frame()), faults).prop_map(
        |(role, frames, close, faults)| {
            let mut frames: Vec<_> = frames.into_iter().flatten().chain(close).collect();
            for (at, fault) in faults {
                if !frames.is_empty() {
                    let at = at.index(frames.len());
                    let with = frames[at].clone().with(&fault);
                    frames.splice(at..=at, with);
                }
            }
            let mut bytes = Vec::new();
            for frame in &frames {
                frame.write(role, &mut bytes);
            }
            (role, bytes)
        },
    )
}

/// Streams whose frames are right; their close frames need not be.
pub(crate) fn right() -> impl Strategy<Value = Stream> {
    stream(0..1).prop_map(|(role, bytes)| Stream { role, bytes })
}

/// Streams with faults.
pub(crate) fn wrong() -> impl Strategy<Value = Stream> {
    let index = any::<prop::sample::Index>;
    let flip = prop::option::weighted(0.2, (index(), 0u32..8));
    let cut = prop::option::weighted(0.2, index());
    (stream(1..3), flip, cut).prop_map(|((role, mut bytes), flip, cut)| {
        if let Some((at, bit)) = flip.filter(|_| !bytes.is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        Stream { role, bytes }
    })
}
