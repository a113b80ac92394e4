use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of an answer: the handler's, or a short text of ours.
    #[project = PageProjection]
    pub(super) enum Page<B> {
        Theirs {
            #[pin]
            body: B,
        },
        Ours {
            text: Bytes,
        },
    }
}

impl<B: Body> Body for Page<B> {
    type Data = Piece<B::Data>;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, B::Error>>> {
        match self.project() {
            PageProjection::Theirs { body } => {
                body.poll_frame(cx).map_ok(|frame| frame.map_data(Piece::Theirs))
            }
            PageProjection::Ours { text } if text.is_empty() => Poll::Ready(None),
            PageProjection::Ours { text } => {
                Poll::Ready(Some(Ok(Frame::data(Piece::Ours(std::mem::take(text))))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Theirs { body } => body.is_end_stream(),
            Self::Ours { text } => text.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Theirs { body } => body.size_hint(),
            Self::Ours { text } => SizeHint::with_exact(text.len() as u64),
        }
    }
}

/// A piece of such a body.
pub(super) enum Piece<D> {
    Theirs(D),
    Ours(Bytes),
}

impl<D: Buf> Buf for Piece<D> {
    fn remaining(&self) -> usize {
        match self {
            Self::Theirs(data) => data.remaining(),
            Self::Ours(text) => text.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Theirs(data) => data.chunk(),
            Self::Ours(text) => text.chunk(),
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match self {
            Self::Theirs(data) => data.chunks_vectored(slices),
            Self::Ours(text) => text.chunks_vectored(slices),
        }
    }

    fn advance(&mut self, n: usize) {
        match self {
            Self::Theirs(data) => data.advance(n),
            Self::Ours(text) => text.advance(n),
        }
    }
}
