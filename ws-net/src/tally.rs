use std::sync::Mutex;
use std::time::Duration;

use ws_proto::Instant;

use crate::waiters::lock;

/// What goes wrong with connections in a way that strangers can bring about as often as they like,
/// or that happens to everybody when it happens. Each kind has a line of its own.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// A request for a WebSocket that broke a rule.
    Handshake,
    /// Frames that did.
    Protocol,
    /// TLS that failed.
    Tls,
    /// Nobody has decided about a request in time.
    Decision,
    /// The application refused a client.
    Refused,
    /// It has said why.
    Reason,
    /// It could not decide.
    Failure,
    /// A handler failed.
    Handler,
    /// A client is gone without a word.
    Lost,
}

impl Fault {
    const ALL: [Self; 9] = [
        Self::Handshake,
        Self::Protocol,
        Self::Tls,
        Self::Decision,
        Self::Refused,
        Self::Reason,
        Self::Failure,
        Self::Handler,
        Self::Lost,
    ];
}

/// How often each of them has happened, from the first one on.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Option<Box<[Tally; Fault::ALL.len()]>>>);

/// Things of one kind that happened, and how many of them no line of the log has told yet.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) total: u64,
    untold: u64,
    told: Option<Instant>,
}

/// How often they are logged.
const PAUSE: Duration = Duration::from_secs(1);

impl Faults {
    /// Counts one. Answers how many of its kind there were since the last warning when it is time
    /// for another.
    pub(crate) fn count(&self, fault: Fault, now: Instant) -> Option<u64> {
        let mut tallies = lock(&self.0);
        tallies.get_or_insert_default().get_mut(fault as usize)?.count(now)
    }
}

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

    #[test]
    fn each_kind_of_fault_is_told_by_itself() {
        let (faults, now) = (Faults::default(), Instant::from_nanos(0));
        for fault in Fault::ALL {
            assert_eq!([faults.count(fault, now), faults.count(fault, now)], [Some(1), None]);
        }
        #[cfg(target_os = "linux")]
        assert!(size_of::<Faults>() <= 16, "every connection of a client has one");
    }
}
