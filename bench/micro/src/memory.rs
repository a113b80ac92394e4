use std::{
    hint::black_box,
    io::{self, IoSlice, Read, Write},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
/// What one read gives at most, as a socket with its default buffers does.
const READ: usize = 64 * 1024;

/// A stream that repeats its input for ever and forgets its output.
#[derive(Debug)]
pub(crate) struct Memory {
    input: Bytes,
    at: usize,
}

impl Memory {
    pub(crate) fn new(input: Bytes) -> Self {
        Self { input, at: 0 }
    }

    /// Copies the next bytes out, as `read` of a socket does.
    pub(crate) fn copy_to(&mut self, buffer: &mut [u8]) -> usize {
        if self.at == self.input.len() {
            self.at = 0;
        }
        let n = buffer.len().min(READ).min(self.input.len() - self.at);
        buffer[..n].copy_from_slice(&self.input[self.at..self.at + n]);
        self.at += n;
        n
    }
}

/// Takes bytes as `writev` of a socket does, and returns how many they were.
pub(crate) fn swallow(slices: &[IoSlice<'_>]) -> usize {
    slices.iter().map(|slice| black_box(slice).len()).sum()
}

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.copy_to(buffer))
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(swallow(&[IoSlice::new(bytes)]))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(swallow(slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n = self.copy_to(buffer.initialize_unfilled());
        buffer.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(swallow(&[IoSlice::new(bytes)])))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(swallow(slices)))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// `count` messages of `size` bytes behind each other in the framing of draft76.
pub fn sentinel_frames(size: usize, count: usize) -> Bytes {
    let mut out = BytesMut::new();
    for _ in 0..count {
        out.put_u8(0x00);
        out.extend((0..size).map(|at| b'a' + (at % 26) as u8));
        out.put_u8(0xFF);
    }
    out.freeze()
}

/// `count` masked messages of `size` bytes behind each other, as a client sends them.
pub fn frames(size: usize, count: usize, text: bool) -> Bytes {
    let mut out = BytesMut::new();
    for _ in 0..count {
        out.put_u8(if text { 0x81 } else { 0x82 });
        match size {
            0..=125 => out.put_u8(0x80 | size as u8),
            126..=0xFFFF => {
                out.put_u8(0x80 | 0x7E);
                out.put_u16(size as u16);
            }
            _ => {
                out.put_u8(0x80 | 0x7F);
                out.put_u64(size as u64);
            }
        }
        out.put_slice(&MASK);
        out.extend((0..size).map(|at| (b'a' + (at % 26) as u8) ^ MASK[at % 4]));
    }
    out.freeze()
}
