//! What our client has to do with servers of other people, generic over [`Runtime`].
//!
//! The servers are those of `tests/foreign/servers`: they send text back as text and binary as
//! binary, obey texts that begin with `!`, and say what their library cannot do. README.md there
//! has the commands. A check that fails says why; none of them waits for longer than ten seconds.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ws_net::{
    Client, ClientBuilder, ConnectError, Connection, Message, Runtime, Version, Versions,
};

mod answers;
mod closes;
mod deflate;
mod handshakes;
mod messages;

/// How long a check may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// What servers need not be able to do. Checks of what one cannot do are left out.
pub const ABILITIES: [&str; 12] = [
    "binary",
    "close",
    "deflate",
    "empty-deflate",
    "echoed-code",
    "fragments",
    "header",
    "last-close",
    "origin",
    "ping",
    "pings",
    "subprotocol",
];

/// Reads `NAME=URL`.
///
/// # Errors
/// What is wrong with it, in words.
pub fn variant(text: &str) -> Result<(String, String), String> {
    // The names of those for compression have the sign in them, URLs do not.
    let (name, url) = text.rsplit_once('=').ok_or_else(|| format!("{text:?} is no NAME=URL"))?;
    if !name.starts_with("deflate:") && !answers::is_known(name) {
        return Err(format!("there is no variant {name:?}"));
    }
    Ok((name.into(), url.into()))
}

/// Why a check failed, in words.
pub type Outcome = Result<(), String>;

/// A server, and what it says about itself.
#[derive(Debug)]
pub struct Target {
    /// Where it listens.
    pub url: String,
    /// The versions it speaks. With every other one it must refuse our client.
    pub speaks: Versions,
    /// Those of [`ABILITIES`] that it does not have, or not in a version: `ABILITY/VERSION`.
    pub cannot: Vec<String>,
    /// URLs at which it behaves in another way, by the name of that way.
    pub variants: BTreeMap<String, String>,
    /// The checks that its faults make fail. One of them that passes is a failure.
    pub deviations: Vec<String>,
}

/// Counts what became of the checks, and prints each.
pub struct Judge<R> {
    runtime: R,
    target: Target,
    passed: usize,
    failed: usize,
    deviated: usize,
}

impl<R: Runtime> Judge<R> {
    /// A judge of our client on `runtime`, with `target` at the other end.
    pub fn new(runtime: R, target: Target) -> Self {
        Self { runtime, target, passed: 0, failed: 0, deviated: 0 }
    }

    /// Runs every check in every one of `versions`. Answers how many passed, how many failed, and
    /// how many the server's known faults made fail.
    pub async fn run(mut self, versions: Versions) -> [usize; 3] {
        for version in Version::ALL {
            if !versions.contains(version) {
                continue;
            }
            if !self.target.speaks.contains(version) {
                handshakes::refused(&mut self, version).await;
                continue;
            }
            handshakes::all(&mut self, version).await;
            messages::all(&mut self, version).await;
            closes::all(&mut self, version).await;
            answers::all(&mut self, version).await;
            if version == Version::Rfc6455 {
                deflate::all(&mut self, version).await;
            }
        }
        for name in std::mem::take(&mut self.target.deviations) {
            self.report(&name, &Err("it is listed as a deviation, but was not run".into()));
        }
        [self.passed, self.failed, self.deviated]
    }

    /// Whether the server has one of [`ABILITIES`] in this version.
    fn can(&self, version: Version, ability: &str) -> bool {
        assert!(ABILITIES.contains(&ability), "{ability} is not in the list");
        let in_version = format!("{ability}/{version}");
        !self.target.cannot.iter().any(|cannot| *cannot == ability || *cannot == in_version)
    }

    /// Runs one check and prints what became of it.
    async fn check(
        &mut self,
        version: Version,
        name: impl Display,
        check: impl AsyncFnOnce(&Peer<R>) -> Outcome,
    ) {
        let url = self.target.url.clone();
        self.check_at(url, version, name, check).await;
    }

    /// The same at another URL.
    async fn check_at(
        &mut self,
        url: String,
        version: Version,
        name: impl Display,
        check: impl AsyncFnOnce(&Peer<R>) -> Outcome,
    ) {
        let name = format!("{version}, {name}");
        let peer = Peer { runtime: self.runtime.clone(), url, version };
        let mut timer = pin!(peer.runtime.sleep_until(peer.runtime.now() + DEADLINE));
        let mut body = pin!(check(&peer));
        let outcome = poll_fn(|cx| {
            if let Poll::Ready(outcome) = body.as_mut().poll(cx) {
                return Poll::Ready(outcome);
            }
            timer.as_mut().poll(cx).map(|()| Err(format!("not done within {DEADLINE:?}")))
        });
        let outcome = outcome.await;
        self.report(&name, &outcome);
    }

    fn report(&mut self, name: &str, outcome: &Outcome) {
        let known = self.target.deviations.iter().position(|deviation| deviation == name);
        if let Some(known) = known {
            self.target.deviations.remove(known);
        }
        match (outcome, known) {
            (Ok(()), None) => {
                self.passed += 1;
                println!("ok {name}");
            }
            (Ok(()), Some(_)) => {
                self.failed += 1;
                println!("not ok {name}: it is listed as a deviation, and passes");
            }
            (Err(why), None) => {
                self.failed += 1;
                println!("not ok {name}: {}", why.replace('\n', " "));
            }
            (Err(why), Some(_)) => {
                self.deviated += 1;
                println!("deviates {name}: {}", why.replace('\n', " "));
            }
        }
    }
}

/// A server during one check.
struct Peer<R> {
    runtime: R,
    url: String,
    version: Version,
}

impl<R: Runtime> Peer<R> {
    /// Connects with the options of `change`.
    async fn try_connect(
        &self,
        change: impl FnOnce(ClientBuilder<R>) -> ClientBuilder<R>,
    ) -> Result<Connection, ConnectError> {
        let client = ClientBuilder::new(self.runtime.clone()).version(self.version);
        let client: Client<R> = change(client).build()?;
        client.connect(&self.url).await
    }

    /// The same; why there is no connection in words.
    async fn connect_with(
        &self,
        change: impl FnOnce(ClientBuilder<R>) -> ClientBuilder<R>,
    ) -> Result<Connection, String> {
        self.try_connect(change).await.map_err(|error| error.to_string())
    }

    async fn connect(&self) -> Result<Connection, String> {
        self.connect_with(|client| client).await
    }
}

async fn say(connection: &Connection, message: impl Into<Message>) -> Outcome {
    connection.send(message).await.map_err(|error| format!("it cannot be sent: {error}"))
}

async fn hear(connection: &Connection) -> Result<Message, String> {
    match connection.recv().await {
        Some(Ok(message)) => Ok(message),
        Some(Err(closed)) => Err(format!("the connection failed: {closed}")),
        None => Err(format!("the connection was closed: {}", connection.closed().await)),
    }
}

async fn hear_text(connection: &Connection) -> Result<String, String> {
    let message = hear(connection).await?;
    message.as_text().map(String::from).ok_or_else(|| "binary came in place of text".into())
}

/// Sends a command and hears what the server has to say.
async fn ask(connection: &Connection, command: &str) -> Result<String, String> {
    say(connection, command).await?;
    hear_text(connection).await
}

/// Sends a message and wants the same back.
async fn echo(connection: &Connection, message: impl Into<Message>) -> Outcome {
    let message = message.into();
    say(connection, message.clone()).await?;
    let answer = hear(connection).await?;
    if answer == message {
        return Ok(());
    }
    let kind = |message: &Message| if message.is_text() { "text" } else { "binary" };
    Err(format!(
        "{} bytes of {} came back as {} bytes of {}",
        message.len(),
        kind(&message),
        answer.len(),
        kind(&answer)
    ))
}

/// `found` has to be `expected`.
#[expect(clippy::needless_pass_by_value, reason = "what is compared is made for it")]
fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: T, what: &str) -> Outcome {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what} is {found:?}, not {expected:?}"))
}
