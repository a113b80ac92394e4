use futures::{FutureExt as _, Sink, SinkExt as _, Stream, StreamExt as _};

/// How many messages [`echo_in_batches`] gathers at most.
const BATCH: usize = 32;

/// Sends every message back, one flush for each: the loop of every README.
///
/// # Errors
/// Those of the stream.
pub async fn echo<S, M, E>(mut socket: S, is_data: impl Fn(&M) -> bool) -> Result<(), E>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    while let Some(message) = socket.next().await {
        let message = message?;
        if is_data(&message) {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// Takes all messages that are at hand, feeds all replies, and flushes once: what a user of a
/// `Sink` can do by hand. Some libraries flush whenever they are read from, so reading comes first.
///
/// # Errors
/// Those of the stream.
pub async fn echo_in_batches<S, M, E>(mut socket: S, is_data: impl Fn(&M) -> bool) -> Result<(), E>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(message) = socket.next().await {
        batch.push(message?);
        while batch.len() < BATCH
            && let Some(Some(message)) = socket.next().now_or_never()
        {
            batch.push(message?);
        }
        for message in batch.drain(..).filter(&is_data) {
            socket.feed(message).await?;
        }
        socket.flush().await?;
    }
    Ok(())
}
