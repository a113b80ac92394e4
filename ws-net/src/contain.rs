use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use tracing::error;

/// What code of users panicked with.
pub(crate) struct Panic(Box<dyn Any + Send>);

/// Runs code of users that concerns no connection; a panic is logged, and nothing else happens.
pub(crate) fn contain(what: &str, f: impl FnOnce()) {
    catch(f, |text| error!(target: "ws::server", "{what} panicked: {text:?}; the server goes on"));
}

/// Wakes a task; no other waits in vain because of it.
pub(crate) fn wake(waker: Waker) {
    contain("a waker", || waker.wake());
}

/// Runs code of users; what it panicked with is reported as text, and answered with `None`.
pub(crate) fn catch<T>(f: impl FnOnce() -> T, report: impl FnOnce(&str)) -> Option<T> {
    attempt(f).map_err(|panic| panic.tell(report)).ok()
}

/// Runs code of users.
#[inline]
pub(crate) fn attempt<T>(f: impl FnOnce() -> T) -> Result<T, Panic> {
    catch_unwind(AssertUnwindSafe(f)).map_err(Panic)
}

impl Panic {
    /// Reports it as text.
    #[cold]
    pub(crate) fn tell(self, report: impl FnOnce(&str)) {
        // The report goes through a subscriber, and what was thrown may have an end of its own. What
        // these throw goes nowhere.
        let told = attempt(|| report(message(self.0.as_ref())));
        let ended = attempt(|| drop(self.0));
        mem::forget((told, ended));
    }
}

fn message(payload: &(dyn Any + Send)) -> &str {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "a value that is no text",
    }
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    struct Explosive;

    impl Drop for Explosive {
        fn drop(&mut self) {
            panic!("once more");
        }
    }

    #[test]
    fn whatever_is_thrown_is_caught() {
        let mut told = String::new();
        assert_eq!(catch(|| 1, |_| {}), Some(1));
        assert_eq!(catch(|| panic!("{}", 2), |text| told = text.into()), None::<u8>);
        assert_eq!(told, "2");
        assert_eq!(catch(|| panic_any(Explosive), |text| told = text.into()), None::<u8>);
        assert_eq!(told, "a value that is no text");
        assert_eq!(catch(|| panic!("3"), |_| panic!("who reports")), None::<u8>);
        assert_eq!(catch(|| panic_any(Explosive), |_| panic!("both")), None::<u8>);
    }
}
