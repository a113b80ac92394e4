use std::error::Error;
use std::iter::successors;

use ws_proto::{CloseCode, Reject, SendErrorKind, State};

use crate::Connection;
use crate::log;

/// What the handler of a connection may answer: nothing, or a `Result` with nothing in it, so that
/// `?` can be used in it.
///
/// `Ok` closes the connection as nothing does, with code 1000. `Err` is a fault of this side: it is
/// logged as an error under `ws::connection` with the connection's id, one a second and the others
/// for debugging, and closes with 1011, if the connection is still open; nothing of it is sent. One
/// that says no more than that the connection is over, when it is, is no fault: what
/// [`recv`](Connection::recv) or [`send`](Connection::send) answered, passed on by `?`, also inside
/// of an error of your own that names it as its source.
///
/// An error is what becomes a `Box<dyn Error + Send + Sync>`: a type of your own, such a box, those
/// of `anyhow` and `eyre`, a text.
///
/// ```no_run
/// # use ws_net::{Connection, Runtime, Server};
/// use std::error::Error;
///
/// async fn add(connection: Connection) -> Result<(), Box<dyn Error + Send + Sync>> {
///     let mut sum = 0;
///     while let Some(message) = connection.recv().await {
///         sum += message?.as_text().unwrap_or_default().parse::<u32>()?;
///         connection.send(sum.to_string()).await?;
///     }
///     Ok(())
/// }
/// # async fn f<R: Runtime>(server: Server<R>) -> std::io::Result<()> {
/// server.serve(add).await
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "a handler cannot answer `{Self}`",
    note = "it answers nothing, or a `Result<(), E>` where `E` becomes a `Box<dyn Error + Send + Sync>`"
)]
pub trait Outcome: Settle {}

mod sealed {
    use super::{CloseCode, Connection};

    pub trait Settle {
        /// Logs what has to be, and answers the code to close with. Runs code of users.
        fn settle(self, connection: &Connection) -> CloseCode;
    }

    /// What a function answers.
    pub trait Function {
        type Answer;
    }

    impl<T> Function for fn() -> T {
        type Answer = T;
    }
}

pub(crate) use sealed::Settle;

impl Outcome for () {}

impl Settle for () {
    fn settle(self, _: &Connection) -> CloseCode {
        CloseCode::NORMAL
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> Outcome for Result<(), E> {}

impl<E: Into<Box<dyn Error + Send + Sync>>> Settle for Result<(), E> {
    fn settle(self, connection: &Connection) -> CloseCode {
        match self {
            Ok(()) => CloseCode::NORMAL,
            Err(error) => fail(error.into(), connection),
        }
    }
}

/// The type of what never returns, which is `!` and has no name yet.
type Never = <fn() -> ! as sealed::Function>::Answer;

/// A loop without an end answers nothing.
impl Outcome for Never {}

impl Settle for Never {
    fn settle(self, _: &Connection) -> CloseCode {
        self
    }
}

/// The handler failed (RFC 6455 section 7.4.1: 1011), unless its connection did.
#[cold]
fn fail(error: Box<dyn Error + Send + Sync>, connection: &Connection) -> CloseCode {
    if is_the_end(&*error, connection) {
        return CloseCode::NORMAL;
    }
    // It puts an error and what is behind it into words.
    let reject = Reject::from(error);
    log::handler_failed(connection, reject.reason().unwrap_or_default());
    CloseCode::INTERNAL
}

/// Whether an error says that the connection is over, which it has to be. By its words: those that
/// are passed on by others, as by anyhow, do not show their type.
fn is_the_end(error: &(dyn Error + 'static), connection: &Connection) -> bool {
    let inner = connection.shared().lock();
    let (state, end) = (inner.core.state(), inner.end.clone());
    drop(inner);
    if state < State::Closing {
        return false;
    }
    let refusals = [State::Closing, State::Closed].map(SendErrorKind::NotConnected);
    let mut words: Vec<_> = refusals.iter().map(ToString::to_string).collect();
    words.extend(end.map(|end| end.to_string()));
    let mut causes = successors(Some(error), |&error| error.source());
    causes.any(|error| words.contains(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::future::pending;
    use std::io;

    use ws_proto::{Close, Message, SendError};

    use super::*;
    use crate::Builder;
    use crate::runtime::Runtime;
    use crate::toy::Toy;
    use crate::toy::lines::{Line, lines};
    use crate::toy::party::{REQUEST, join, listening, only, serving};

    /// What a client sees behind its handshake.
    fn seen<H>(handler: impl Fn(Connection) -> H + Send + Sync + 'static) -> Vec<u8>
    where
        H: Future<Output: Outcome> + Send + 'static,
    {
        let toy = Toy::default();
        let server = listening(Builder::new(toy.clone()));
        toy.spawn(async move { server.serve(handler).await.unwrap() });
        let client = toy.dial();
        client.send(REQUEST);
        toy.settle();
        let (answer, _) = client.take();
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        answer[head + 4..].to_vec()
    }

    #[test]
    fn what_a_handler_answers_is_the_code_of_the_close() {
        assert_eq!(seen(|_| async {}), b"\x88\x02\x03\xE8");
        assert_eq!(seen(|_| async { Ok::<_, io::Error>(()) }), b"\x88\x02\x03\xE8");
        assert_eq!(seen(|_| async { Err(io::Error::other("lost")) }), b"\x88\x02\x03\xF3");
        assert_eq!(seen(|_| async { Err("a text") }), b"\x88\x02\x03\xF3");
        let endless = |_| async {
            loop {
                pending::<()>().await;
            }
        };
        assert_eq!(seen(endless), b"");
    }

    #[test]
    fn an_error_that_panics_is_a_panic() {
        #[derive(Debug)]
        struct Rude;
        impl fmt::Display for Rude {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("asked to panic");
            }
        }
        impl Error for Rude {}
        let told = lines(|| assert_eq!(seen(|_| async { Err(Rude) }), b"\x88\x02\x03\xF3"));
        let panicked =
            |(_, _, line): &Line| line.contains("the handler panicked: \"asked to panic\"");
        assert!(told.iter().any(panicked), "{told:?}");
    }

    /// An error of an application.
    #[derive(Debug, thiserror::Error)]
    enum Own {
        #[error("the last message was lost")]
        Lost(#[source] SendError<Message>),
        #[error(transparent)]
        Passed(SendError<Message>),
        #[error("the disk is full")]
        Disk,
    }

    #[test]
    fn what_says_that_the_connection_is_over_is_no_fault() {
        let (toy, server) = serving(|connection| async move { drop(connection.closed().await) });
        let client = join(&toy);
        let connection = only(&server);
        let refused = || SendError {
            message: Message::text("late"),
            kind: SendErrorKind::NotConnected(State::Closing),
        };
        assert_eq!(fail(refused().into(), &connection), CloseCode::INTERNAL, "it is open");
        connection.close(Close::normal());
        assert_eq!(connection.try_send("late").unwrap_err().to_string(), refused().to_string());
        for no_fault in [Own::Lost(refused()), Own::Passed(refused())] {
            assert_eq!(fail(no_fault.into(), &connection), CloseCode::NORMAL);
        }
        drop(client);
        let end = toy.block_on(async move {
            let end = connection.closed().await;
            assert_eq!(fail(ws_proto::Closed::clone(&end).into(), &connection), CloseCode::NORMAL);
            assert_eq!(fail(end.into(), &connection), CloseCode::NORMAL);
            assert_eq!(fail(refused().into(), &connection), CloseCode::NORMAL);
            fail(Own::Disk.into(), &connection)
        });
        assert_eq!(end, CloseCode::INTERNAL);
    }

    #[test]
    fn what_is_behind_an_error_is_told_once() {
        let refused = SendError { message: Message::text(""), kind: SendErrorKind::TextOnly };
        assert_eq!(
            Reject::from(Own::Lost(refused)).reason().unwrap(),
            "the last message was lost: draft75 and draft76 carry text only"
        );
        let end = ws_proto::Closed::new(ws_proto::Cause::Eof);
        let words = end.to_string();
        assert_eq!(Reject::from(crate::AcceptError::Closed(end.into())).reason().unwrap(), {
            format!("the connection ended before it was open: {words}")
        });
    }
}
