//! A case, played against a server.

use ws_proto::Version;

use super::answer::{Answer, proof, shown};
use super::case::{Case, Opening};
use super::inbox::{Inbox, Trouble};
use super::literal::Target;
use super::peer::{Patience, Peer};
use super::step::{Expected, Item, Step, step};
use crate::requests::frame;

/// Plays a case. A strict run takes the first alternative only, what our own servers promise, and
/// closes at the end what is still open.
///
/// # Errors
/// What was wanted and what came instead.
pub fn play(case: &Case, target: &Target, peer: &mut dyn Peer, strict: bool) -> Result<(), String> {
    let opening = case.opening(target)?;
    let steps = case.entry.talk.iter().map(|line| step(line, case.version, target));
    let mut steps = steps.collect::<Result<Vec<_>, _>>()?;
    if !strict {
        steps.iter_mut().for_each(take_any_code);
    }
    let mut player = Player {
        version: case.version,
        strict,
        behind: opening.behind.clone(),
        opening,
        inbox: Inbox::default(),
        closed: false,
        farewell: false,
    };
    player.open(case, peer);
    let Some(answer) = player.answer(case, peer)? else { return Ok(()) };
    for rule in &case.entry.headers {
        answer.check(rule)?;
    }
    if answer.status != 101 {
        return if strict { player.refused(&answer, peer) } else { Ok(()) };
    }
    answer.opens(case.version, &player.opening, target)?;
    if case.version == Version::Draft76 && player.behind.len() >= 8 {
        player.proof(peer)?;
    }
    let over = player.talk(&steps, peer)?;
    if strict && !over { player.finish(peer) } else { Ok(()) }
}

/// RFC 6455 section 7.1.7: a failing side should send a close frame with a fitting code, and need
/// send none.
fn take_any_code(step: &mut Step) {
    let Step::Expect(all) = step else { return };
    for one in all {
        if let Expected::Fail(codes) = one {
            codes.clear();
        }
    }
}

struct Player {
    version: Version,
    strict: bool,
    opening: Opening,
    /// Everything that was sent behind the head.
    behind: Vec<u8>,
    inbox: Inbox,
    /// Whether this side has sent its close frame or ended its stream.
    closed: bool,
    /// Whether the server has sent its close frame or closing bytes.
    farewell: bool,
}

impl Player {
    fn open(&mut self, case: &Case, peer: &mut dyn Peer) {
        let bytes = &self.opening.bytes;
        let (first, late) = bytes.split_at(bytes.len().saturating_sub(case.entry.late));
        peer.send(first);
        if !late.is_empty() {
            peer.pause();
            peer.send(late);
        }
    }

    /// The head that answers, `None` when there is none and there need not be one.
    fn answer(&mut self, case: &Case, peer: &mut dyn Peer) -> Result<Option<Answer>, String> {
        let allowed = &case.entry.answer[..if self.strict { 1 } else { case.entry.answer.len() }];
        let may_be_quiet = allowed.iter().any(|one| one == "quiet");
        let patience = if may_be_quiet { Patience::Short } else { Patience::Case };
        let (word, answer) = match self.inbox.head(peer, patience) {
            Ok(Some(head)) => {
                let answer = Answer::parse(head)?;
                (answer.status.to_string(), Some(answer))
            }
            Ok(None) => ("end".to_owned(), None),
            Err(Trouble::Nothing) => ("quiet".to_owned(), None),
            Err(Trouble::Wrong(what)) => return Err(what),
        };
        let fits = |one: &String| match one.as_str() {
            "error" => matches!(word.as_bytes(), [b'4' | b'5', ..]),
            "http" => answer.is_some() && word != "101",
            exact => exact == word,
        };
        if allowed.iter().any(fits) {
            return Ok(answer);
        }
        let word = if word == "quiet" { "nothing in time" } else { &word };
        Err(format!("wanted {}, came {word}", allowed.join(" or ")))
    }

    /// Our servers end the connection behind a refusal, and answer nothing more on it.
    fn refused(&mut self, answer: &Answer, peer: &mut dyn Peer) -> Result<(), String> {
        let rest = self.inbox.rest(peer).map_err(|trouble| match trouble {
            Trouble::Nothing => format!("the stream was not ended after status {}", answer.status),
            Trouble::Wrong(what) => what,
        })?;
        // RFC 9110 section 9.3.2: the length is that of the content that GET would get.
        let head = self.opening.bytes.starts_with(b"HEAD ");
        match answer.content_length() {
            Some(_) if head && rest.is_empty() => Ok(()),
            Some(length) if length == rest.len() && !head => Ok(()),
            length => Err(format!("{length:?} bytes of body were announced, {} came", rest.len())),
        }
    }

    fn proof(&mut self, peer: &mut dyn Peer) -> Result<(), String> {
        let came = self.inbox.exactly(16, peer).map_err(|trouble| match trouble {
            Trouble::Nothing => "the 16 bytes of the answer did not come in time".into(),
            Trouble::Wrong(what) => what,
        })?;
        match proof(&self.opening, &self.behind) {
            Some(wanted) if wanted == came => Ok(()),
            wanted => {
                Err(format!("the 16 bytes are {:?}, and {wanted:?} was wanted", shown(&came)))
            }
        }
    }

    /// Answers whether the connection is over.
    fn talk(&mut self, steps: &[Step], peer: &mut dyn Peer) -> Result<bool, String> {
        // What stands together is sent together.
        let mut unsent = Vec::new();
        for step in steps {
            if let Step::Send(bytes) = step {
                self.closed |= self.version.has_frames() && bytes.first() == Some(&0x88);
                unsent.extend(bytes);
                continue;
            }
            peer.send(&unsent);
            self.behind.append(&mut unsent);
            match step {
                Step::Eof => {
                    self.closed = true;
                    peer.end();
                }
                Step::Expect(all) if self.expect(all, peer)? => return Ok(true),
                Step::Expect(_) | Step::Send(_) => {}
            }
        }
        peer.send(&unsent);
        Ok(false)
    }

    /// Closes as a client does. Nothing but the answer to that may come: not a second echo, and
    /// not the end of a connection that was only accepted.
    fn finish(&mut self, peer: &mut dyn Peer) -> Result<(), String> {
        let says_goodbye = !self.closed && self.version != Version::Draft75;
        match self.version {
            _ if self.closed => {}
            Version::Draft75 => peer.end(),
            Version::Draft76 => peer.send(b"\xFF\0"),
            _ => peer.send(&frame(0x88, &1000_u16.to_be_bytes())),
        }
        loop {
            let item = match self.inbox.item(self.version, peer, Patience::Case) {
                Ok(item) => item,
                Err(Trouble::Nothing) => return Err("the stream was not ended at last".into()),
                Err(Trouble::Wrong(what)) => return Err(format!("at last: {what}")),
            };
            match item {
                Item::End if self.farewell || !says_goodbye => return Ok(()),
                Item::Close(_) | Item::Closing if !self.farewell => self.farewell = true,
                Item::Ping(_) => {}
                other => return Err(format!("{} came at last", described(&other))),
            }
        }
    }

    /// Waits for one of these; answers whether the connection is over.
    fn expect(&mut self, all: &[Expected], peer: &mut dyn Peer) -> Result<bool, String> {
        let all = if self.strict { &all[..1] } else { all };
        if all.contains(&Expected::Proof) {
            return self.proof(peer).map(|()| false);
        }
        let quiet = all.contains(&Expected::Quiet);
        let patience = if quiet { Patience::Short } else { Patience::Case };
        let asked_for_ping = all.iter().any(|one| matches!(one, Expected::Item(Item::Ping(_))));
        loop {
            let item = match self.inbox.item(self.version, peer, patience) {
                Ok(Item::Ping(_)) if !asked_for_ping => continue,
                Ok(item) => item,
                Err(Trouble::Nothing) if quiet => return Ok(false),
                Err(Trouble::Nothing) => {
                    return Err(format!("nothing came, and {} was wanted", wanted(all)));
                }
                Err(Trouble::Wrong(what)) => return Err(what),
            };
            self.farewell |= matches!(item, Item::Close(_) | Item::Closing);
            self.answer_close(&item, peer);
            for one in all {
                match (one, &item) {
                    (Expected::Item(wanted) | Expected::Until(wanted), item)
                        if matches(wanted, item) =>
                    {
                        return Ok(*item == Item::End);
                    }
                    (Expected::AnyClose, Item::Close(_)) => return Ok(false),
                    // Strictly, a code that is named has to come.
                    (Expected::Fail(codes), Item::End) if !self.strict || codes.is_empty() => {
                        return Ok(true);
                    }
                    (Expected::Fail(codes), item) if fails(codes, item) => {
                        return self.end_after(item, peer).map(|()| true);
                    }
                    _ => {}
                }
            }
            let skipped = matches!(item, Item::Text(_) | Item::Binary(_) | Item::Pong(_));
            if !(skipped && all.iter().any(|one| matches!(one, Expected::Until(_)))) {
                return Err(format!("{} came, and {} was wanted", described(&item), wanted(all)));
            }
        }
    }

    /// Closes as a client does, with the code that came.
    fn answer_close(&mut self, item: &Item, peer: &mut dyn Peer) {
        if let Item::Close(payload) = item
            && !self.closed
        {
            self.closed = true;
            peer.send(&frame(0x88, &payload[..payload.len().min(2)]));
        }
    }

    fn end_after(&mut self, item: &Item, peer: &mut dyn Peer) -> Result<(), String> {
        match self.inbox.item(self.version, peer, Patience::Case) {
            Ok(Item::End) => Ok(()),
            Ok(next) => Err(format!("{} came after {}", described(&next), described(item))),
            Err(Trouble::Nothing) => {
                Err(format!("the stream was not ended after {}", described(item)))
            }
            Err(Trouble::Wrong(what)) => Err(format!("after {}: {what}", described(item))),
        }
    }
}

/// Whether this is what was wanted; a close without a reason stands for any reason.
fn matches(wanted: &Item, item: &Item) -> bool {
    match (wanted, item) {
        (Item::Close(code), Item::Close(payload)) if code.len() == 2 => payload.starts_with(code),
        _ => wanted == item,
    }
}

fn fails(codes: &[u16], item: &Item) -> bool {
    match item {
        Item::Closing => true,
        Item::Close(payload) => {
            let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
            codes.is_empty() || code.is_some_and(|code| codes.contains(&code))
        }
        _ => false,
    }
}

fn wanted(all: &[Expected]) -> String {
    let one = |one: &Expected| match one {
        Expected::Item(item) => described(item),
        Expected::Until(item) => format!("at last {}", described(item)),
        Expected::AnyClose => "any close frame".into(),
        Expected::Fail(codes) if codes.is_empty() => "failing the connection".into(),
        Expected::Fail(codes) => format!("failing the connection with {codes:?}"),
        Expected::Proof => "the 16 bytes".into(),
        Expected::Quiet => "silence".into(),
    };
    all.iter().map(one).collect::<Vec<_>>().join(" or ")
}

fn described(item: &Item) -> String {
    match item {
        Item::Text(text) => format!("text {:?}", shown(text)),
        Item::Binary(bytes) => format!("binary {:?}", shown(bytes)),
        Item::Ping(payload) => format!("ping {:?}", shown(payload)),
        Item::Pong(payload) => format!("pong {:?}", shown(payload)),
        Item::Close(payload) => match payload.split_first_chunk::<2>() {
            None => "close without a code".into(),
            Some((code, reason)) => {
                format!("close {} {:?}", u16::from_be_bytes(*code), shown(reason))
            }
        },
        Item::Closing => "the closing bytes".into(),
        Item::End => "the end of the stream".into(),
    }
}
