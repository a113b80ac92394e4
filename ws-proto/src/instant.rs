use core::num::NonZeroU64;
use core::ops::Add;
use core::time::Duration;

/// A point in time: nanoseconds since a start that the caller chooses.
///
/// The core reads no clock. Every call that needs the time takes it as an argument, and all
/// instants given to one connection must count from the same start and never go back.
/// An `Option<Instant>` takes 8 bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Instant(NonZeroU64);

impl Instant {
    /// The instant `nanos` nanoseconds after the start; the range is about 584 years.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(nanos))
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0.get() - 1
    }

    /// The time that passed since `earlier`, or zero when `earlier` is later.
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.as_nanos().saturating_sub(earlier.as_nanos()))
    }
}

/// Saturates at the end of the range.
impl Add<Duration> for Instant {
    type Output = Self;

    #[inline]
    fn add(self, duration: Duration) -> Self {
        let seconds = duration.as_secs().saturating_mul(1_000_000_000);
        let nanos = seconds.saturating_add(u64::from(duration.subsec_nanos()));
        Self(self.0.saturating_add(nanos))
    }
}

/// The time since the start chosen by the caller.
impl From<Duration> for Instant {
    #[inline]
    fn from(since_start: Duration) -> Self {
        Self::from_nanos(0) + since_start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_as_small_as_the_number() {
        assert_eq!(size_of::<Option<Instant>>(), 8);
    }

    #[test]
    fn adding_saturates() {
        let start = Instant::from_nanos(5);
        assert_eq!((start + Duration::from_nanos(7)).as_nanos(), 12);
        assert_eq!(start + Duration::MAX, Instant::from_nanos(u64::MAX));
        assert_eq!(start.saturating_duration_since(start + Duration::from_secs(1)), Duration::ZERO);
    }
}
