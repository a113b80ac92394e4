use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;
use flate2::{Compress, FlushCompress};

use super::forms::Forms;
use super::inflater::TAIL;
use super::options::Deflate;
use super::params::{DeflateParams, Direction};
use super::pool::{self, Kind};
use crate::Role;

/// The first buffer for what is compressed.
const FIRST: usize = 4 << 10;

/// Compresses what this side sends (RFC 7692 section 7.2.1).
pub(crate) struct Deflater {
    kind: Kind,
    no_context_takeover: bool,
    threshold: usize,
    /// With context takeover, from the first compressed message on.
    context: Option<Box<Compress>>,
}

impl Deflater {
    /// `None` when the peer wants a window that the compressor does not have: then every message
    /// is sent as it is, which is always allowed (section 6).
    pub(crate) fn new(options: &Deflate, params: DeflateParams, role: Role) -> Option<Box<Self>> {
        let Direction { no_context_takeover, window_bits } = params.sent_by(role);
        (window_bits >= Direction::MIN_OWN_BITS).then(|| {
            let kind = Kind { level: options.level, window_bits };
            // An empty message is never smaller.
            let threshold = options.threshold.max(1);
            Box::new(Self { kind, no_context_takeover, threshold, context: None })
        })
    }

    /// The compressed payload, or `None` when it is to be sent as it is: when it is short, or
    /// would not get shorter.
    pub(crate) fn deflate(&mut self, payload: &[u8]) -> Option<Bytes> {
        if payload.len() < self.threshold {
            return None;
        }
        let mut context = self.context.take().unwrap_or_else(|| pool::compressor(self.kind));
        let smaller = compress(&mut context, payload);
        if smaller.is_some() && !self.no_context_takeover {
            self.context = Some(context);
        } else {
            // The peer does not learn what was not sent, so nothing may refer to it.
            pool::put_compressor(self.kind, context);
        }
        smaller
    }

    /// The same of a message for many, which is compressed once for all with the same parameters.
    ///
    /// The peer's window then has what this compressor never saw, so that it has to begin anew.
    pub(crate) fn deflate_shared(&mut self, payload: &[u8], forms: &Forms) -> Option<Bytes> {
        if payload.len() < self.threshold {
            return None;
        }
        let kind = self.kind;
        let form = forms.of(kind.window_bits, || {
            let mut context = pool::compressor(kind);
            let smaller = compress(&mut context, payload);
            pool::put_compressor(kind, context);
            smaller
        })?;
        self.forget();
        Some(form)
    }

    /// Gives the context back; the next message refers to none before it.
    pub(crate) fn forget(&mut self) {
        if let Some(context) = self.context.take() {
            pool::put_compressor(self.kind, context);
        }
    }
}

/// Compresses up to a sync flush and drops the tail; `None` as soon as it is no shorter.
fn compress(context: &mut Compress, payload: &[u8]) -> Option<Bytes> {
    let most = payload.len() + TAIL.len();
    pool::with_buffer(FIRST.min(most), |out| {
        let start = context.total_in();
        loop {
            let used = (context.total_in() - start) as usize;
            let rest = payload.get(used..)?;
            context.compress_vec(rest, out, FlushCompress::Sync).ok()?;
            if out.len() < out.capacity() {
                break;
            }
            if out.len() >= most {
                return None;
            }
            grow(out, most);
        }
        let body = out.strip_suffix(&TAIL)?;
        (body.len() < payload.len()).then(|| Bytes::copy_from_slice(body))
    })
}

fn grow(out: &mut Vec<u8>, most: usize) {
    out.reserve_exact(out.len().min(most - out.len()));
}
