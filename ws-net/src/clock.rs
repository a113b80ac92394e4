use std::sync::LazyLock;
use std::time::{self, Duration};

use ws_proto::Instant;

/// The clock of the system, for runtimes that have no other.
///
/// Its instants count from the first use in the process, and never go back.
#[derive(Debug)]
pub enum SystemClock {}

static START: LazyLock<time::Instant> = LazyLock::new(time::Instant::now);

impl SystemClock {
    /// The time: what [`Runtime::now`](crate::Runtime::now) answers.
    pub fn now() -> Instant {
        START.elapsed().into()
    }

    /// The same moment as the standard library has it, for a runtime's timers.
    pub fn to_std(instant: Instant) -> time::Instant {
        let since_start = Duration::from_nanos(instant.as_nanos());
        // What no clock can hold is as good as never.
        START.checked_add(since_start).unwrap_or_else(|| *START + Duration::from_secs(1 << 30))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_those_of_the_standard_library() {
        let before = time::Instant::now();
        let found = SystemClock::to_std(SystemClock::now());
        assert!(before <= found && found <= time::Instant::now());
        assert!(SystemClock::to_std(Instant::from_nanos(u64::MAX)) > found);
    }
}
