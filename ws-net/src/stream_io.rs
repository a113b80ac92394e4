use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};

use crate::runtime::Transport;

/// Reads what comes next; 0 is the end of the stream. Cancel-safe: a dropped future has read nothing.
pub(crate) async fn read<S: Transport>(stream: &mut S, buf: &mut [u8]) -> io::Result<usize> {
    poll_fn(|cx| stream.poll_read(cx, buf)).await
}

/// Fills `buf`, and reads nothing behind it.
pub(crate) async fn read_exact<S: Transport>(stream: &mut S, buf: &mut [u8]) -> io::Result<()> {
    let mut left = buf;
    while !left.is_empty() {
        let n = read(stream, left).await?;
        if n == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        left = left.get_mut(n..).unwrap_or_default();
    }
    Ok(())
}

/// Writes all of `bytes`.
pub(crate) async fn write_all<S: Transport>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    let mut left = bytes;
    while !left.is_empty() {
        let n = poll_fn(|cx| stream.poll_write_vectored(cx, &[IoSlice::new(left)])).await?;
        if n == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        left = left.get(n..).unwrap_or_default();
    }
    poll_fn(|cx| stream.poll_flush(cx)).await
}
