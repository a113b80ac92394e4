use alloc::string::String;
use alloc::sync::Arc;
use core::{fmt, iter};

use memchr::memchr;

use super::lines::Starts;
use crate::HandshakeError;

/// The fields of an HTTP head as they were received: in order, with names and values untouched.
///
/// Names are found in any case (RFC 9110 section 5.1). The head is kept as one piece with 4 bytes
/// for each line, because every open connection keeps its request. Cloning shares it.
#[derive(Clone)]
pub struct Headers {
    /// The head from the first line to the blank line. Behind it where each line but the first
    /// starts, in 4 bytes (little-endian); the last one is the blank line. Then as many zeros as the
    /// last but one byte says, and the mark.
    piece: Arc<[u8]>,
}

/// A line end, which each line has.
const LINE_END: &[u8; 2] = b"\r\n";

impl Headers {
    /// Takes a head, and where its lines start: those of the fields, each checked to have a token
    /// and a colon in front, and the blank line behind them.
    pub(super) fn new(head: &[u8], starts: &Starts) -> Self {
        let len = head.len() + starts.len() * size_of::<u32>() + 2;
        let zeros = zeros_behind(len);
        // Filled where it stays: in a vector it would be allocated twice.
        let mut piece: Arc<[u8]> = iter::repeat_n(0, len + zeros).collect();
        if let Some(piece) = Arc::get_mut(&mut piece) {
            let [few, more] = starts.parts();
            let mut at = 0;
            for part in [head, few.as_flattened(), more.as_flattened()] {
                let end = at + part.len();
                if let Some(place) = piece.get_mut(at..end) {
                    place.copy_from_slice(part);
                }
                at = end;
            }
            if let [.., count, _mark] = piece {
                *count = zeros as u8;
            }
        }
        Self { piece }
    }

    /// Notes a fact about the head beside it. Nothing else shares the head yet.
    pub(crate) fn set_mark(&mut self, mark: u8) {
        let last = Arc::get_mut(&mut self.piece).and_then(<[u8]>::last_mut);
        debug_assert!(last.is_some(), "the head is shared");
        if let Some(last) = last {
            *last = mark;
        }
    }

    /// What was noted, or 0.
    pub(crate) fn mark(&self) -> u8 {
        self.piece.last().copied().unwrap_or_default()
    }

    /// The value of the first field with this name, without the blanks around it. It can hold any
    /// byte but control bytes; [`text`](Self::text) is for the usual case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// The values of all fields with this name, in order.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.raw(name).map(<[u8]>::trim_ascii)
    }

    /// The value of the first field with this name as text, or `None` when there is no such field
    /// or its value is not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| str::from_utf8(value).ok())
    }

    /// Whether a field with this name is there.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All fields in order, as name and value.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.lines().map(|line| {
            let colon = memchr(b':', line).unwrap_or(line.len());
            let (name, rest) = line.split_at_checked(colon).unwrap_or((line, &[]));
            (str::from_utf8(name).unwrap_or_default(), after_colon(rest).trim_ascii())
        })
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.lines().len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of the field with this name.
    ///
    /// # Errors
    /// [`HandshakeError::Duplicate`] when there is more than one.
    pub(crate) fn single(&self, name: &'static str) -> Result<Option<&[u8]>, HandshakeError> {
        let mut values = self.get_all(name);
        let value = values.next();
        if values.next().is_some() { Err(HandshakeError::Duplicate(name)) } else { Ok(value) }
    }

    /// The value of the field with this name, which must be there once.
    pub(crate) fn required(&self, name: &'static str) -> Result<&[u8], HandshakeError> {
        match self.single(name)? {
            Some(value) => Ok(value),
            None => Err(HandshakeError::Missing(name)),
        }
    }

    /// The values of all fields with this name, with the blanks around them.
    pub(crate) fn raw<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let (head, starts) = self.parts();
        let lines = starts.iter().zip(starts.get(1..).unwrap_or_default());
        lines.filter_map(move |(start, next)| value(head, (*start, *next), name.as_bytes()))
    }

    /// The value of the field at `index`, if it has this name, without the blanks around it.
    pub(super) fn at(&self, index: usize, name: &str) -> Option<&[u8]> {
        let (head, starts) = self.parts();
        let line = (*starts.get(index)?, *starts.get(index + 1)?);
        value(head, line, name.as_bytes()).map(trim)
    }

    /// The whole head, from the first line to the blank line.
    pub(crate) fn head(&self) -> &[u8] {
        self.parts().0
    }

    fn lines(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let (head, starts) = self.parts();
        starts.iter().zip(starts.iter().skip(1)).map(|(start, next)| {
            head.get(offset(*start)..offset(*next) - LINE_END.len()).unwrap_or_default()
        })
    }

    /// The head, and where its lines start.
    fn parts(&self) -> (&[u8], &[[u8; 4]]) {
        let (piece, [zeros, _]) = self.piece.split_last_chunk().unwrap_or((&[], &[0; 2]));
        let used = piece.len() - usize::from(*zeros);
        let piece = piece.get(..used).unwrap_or_default();
        let end = piece.last_chunk().map_or(0, |blank| offset(*blank) + LINE_END.len());
        let (head, starts) = piece.split_at_checked(end).unwrap_or_default();
        (head, starts.as_chunks().0)
    }
}

/// The value of the field between these offsets, if it has this name.
#[inline]
fn value<'a>(head: &'a [u8], line: ([u8; 4], [u8; 4]), name: &[u8]) -> Option<&'a [u8]> {
    let (start, next) = (offset(line.0), offset(line.1));
    let colon = start + name.len();
    // Most lines are passed over here. What is no colon of this line, but of a later one, has a
    // line end before it, and so the value would end before it began.
    if head.get(colon) != Some(&b':') {
        return None;
    }
    let same = is_same(head.get(start..colon)?, name);
    if same { head.get(colon + 1..next - LINE_END.len()) } else { None }
}

/// Without the blanks around it, of which there is mostly one in front.
fn trim(value: &[u8]) -> &[u8] {
    match value {
        [b' ', text @ ..] if has_bare_ends(text) => text,
        _ => value.trim_ascii(),
    }
}

fn has_bare_ends(text: &[u8]) -> bool {
    matches!(text, [b'!'..=b'~', .., b'!'..=b'~'])
}

/// Whether these are the same but for the case of letters, which mostly is the same, too.
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    one == other || one.eq_ignore_ascii_case(other)
}

/// How many zeros make a piece of this length one that leaves no holes behind it.
///
/// Tokio has two allocations for each connection that are aligned to 128 bytes. glibc cuts each out
/// of 176 bytes more, and joins what is behind it with the free memory only if that is more than
/// 128 bytes, so if no more than 32 are in front. Otherwise both are holes, and the next connection
/// begins at a bad place, too. Up to 80 bytes here, 32 as a rule, save up to 280.
fn zeros_behind(len: usize) -> usize {
    // With the counts of the `Arc` and what glibc keeps itself.
    let chunk = (len + 24).next_multiple_of(16);
    match chunk % 128 {
        rest @ ..80 => 80 - rest,
        96 => 16,
        _ => 0,
    }
}

fn offset(start: [u8; 4]) -> usize {
    u32::from_le_bytes(start) as usize
}

fn after_colon(rest: &[u8]) -> &[u8] {
    rest.split_first().map_or(rest, |(_, value)| value)
}

/// Names and values, escaped so that they can go into a log.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value))))
            .finish()
    }
}
