use std::time::Duration;

use ws_proto::Instant;

/// Things of one kind that happened, and how many of them no line of the log has told yet.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) total: u64,
    untold: u64,
    told: Option<Instant>,
}

/// How often they are logged.
const PAUSE: Duration = Duration::from_secs(1);

impl Tally {
    /// Counts one. Answers how many there were since the last line when it is time for one.
    pub(crate) fn count(&mut self, now: Instant) -> Option<u64> {
        self.total += 1;
        self.untold += 1;
        if self.told.is_some_and(|told| now < told + PAUSE) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_often_is_told_once_a_second() {
        let mut tally = Tally::default();
        let at = |millis| Instant::from(Duration::from_millis(millis));
        assert_eq!(tally.count(at(0)), Some(1));
        assert_eq!((tally.count(at(1)), tally.count(at(999))), (None, None));
        assert_eq!(tally.count(at(1000)), Some(3));
        assert_eq!(tally.total, 4);
    }
}
