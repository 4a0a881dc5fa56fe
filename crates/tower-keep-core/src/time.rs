//! Instants and the clocks that give them.

use std::fmt;
use std::num::NonZeroU64;
use std::time::{Duration, Instant, SystemTime};

/// A wall-clock instant in whole milliseconds since the Unix epoch.
///
/// The instant zero is not representable (it becomes one millisecond past the epoch), so that an
/// `Option<Timestamp>` is as small as a `Timestamp`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NonZeroU64);

impl Timestamp {
    /// The latest instant there is.
    pub const MAX: Self = Self(NonZeroU64::MAX);

    /// The instant `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        match NonZeroU64::new(millis) {
            Some(millis) => Self(millis),
            None => Self(NonZeroU64::MIN),
        }
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0.get()
    }

    /// This instant plus `span`, or [`Timestamp::MAX`]. Parts of a millisecond are dropped.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// This instant minus `span`, not before the epoch.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self::from_millis(self.as_millis().saturating_sub(millis))
    }

    /// How long after `earlier` this instant is; zero if it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.as_millis().saturating_sub(earlier.as_millis()))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

/// Where the time comes from.
///
/// Stores in this process take wall-clock instants from it, the layer takes the age of a request
/// from [`monotonic`](Clock::monotonic). Tests put their own clock in its place.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The wall-clock time.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary origin, never going backwards; only differences mean anything.
    fn monotonic(&self) -> Duration;
}

/// The operating system's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    origin: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_goes_on() {
        let second = Duration::from_secs(1);
        let origin = Instant::now().checked_sub(second).unwrap();
        let clock = SystemClock { origin };
        assert!(clock.monotonic() >= second);
        assert!(clock.now() > Timestamp::from_millis(1_700_000_000_000));
    }

    #[test]
    fn an_instant_is_shown_in_milliseconds() {
        assert_eq!(format!("{:?}", Timestamp::from_millis(12)), "12ms");
    }

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let t = Timestamp::from_millis(1_000);
        assert_eq!(t.plus(Duration::from_secs(1)).as_millis(), 2_000);
        assert_eq!(t.minus(Duration::from_secs(5)), Timestamp::from_millis(0));
        assert_eq!(t.plus(Duration::MAX), Timestamp::MAX);
        assert_eq!(t.since(Timestamp::MAX), Duration::ZERO);
        assert_eq!(size_of::<Option<Timestamp>>(), 8);
    }
}
