use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::error;

/// Runs code of users that concerns no connection; a panic is logged, and nothing else happens.
pub(crate) fn contain(what: &str, f: impl FnOnce()) {
    catch(f, |text| error!(target: "ws::server", "{what} panicked: {text:?}; the server goes on"));
}

/// Runs code of users; what it panicked with is reported as text, and answered with `None`.
pub(crate) fn catch<T>(f: impl FnOnce() -> T, report: impl FnOnce(&str)) -> Option<T> {
    let payload = match catch_unwind(AssertUnwindSafe(f)) {
        Ok(answer) => return Some(answer),
        Err(payload) => payload,
    };
    report(message(payload.as_ref()));
    None
}

fn message(payload: &(dyn Any + Send)) -> &str {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "a value that is no text",
    }
}
