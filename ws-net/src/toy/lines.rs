//! What a test writes to the log.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::with_default;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::waiters::lock;

/// A line: its level, its target, and its message and fields.
pub(crate) type Line = (Level, &'static str, String);

/// The lines that `f` writes on this thread.
pub(crate) fn lines(f: impl FnOnce()) -> Vec<Line> {
    let lines = Arc::new(Lines::default());
    with_default(Arc::clone(&lines), f);
    std::mem::take(&mut *lock(&lines.0))
}

#[derive(Default)]
struct Lines(Mutex<Vec<Line>>);

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("ws::")
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let metadata = event.metadata();
        lock(&self.0).push((*metadata.level(), metadata.target(), text.0));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}
