//! A clock that tests move.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tower_keep_core::{Clock, Timestamp};

/// A clock that stands still until a test moves it. Clones are the same clock.
///
/// ```
/// use std::time::Duration;
/// use tower_keep_core::Clock;
/// use tower_keep_testkit::TestClock;
///
/// let clock = TestClock::new();
/// let start = clock.now();
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(clock.now(), start.plus(Duration::from_secs(5)));
///
/// // A correction of the wall clock does not move the monotonic one.
/// let monotonic = clock.monotonic();
/// clock.jump_wall(-60_000);
/// assert!(clock.now() < start);
/// assert_eq!(clock.monotonic(), monotonic);
/// ```
#[derive(Debug, Clone)]
pub struct TestClock {
    shared: Arc<Shared>,
    /// In milliseconds, added to the wall clock.
    skew: i64,
}

#[derive(Debug)]
struct Shared {
    /// Where tokio's time counts from, if this clock follows it.
    origin: Option<tokio::time::Instant>,
    moved: Mutex<Moved>,
}

#[derive(Debug)]
struct Moved {
    /// Since the Unix epoch.
    wall: Duration,
    monotonic: Duration,
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl TestClock {
    /// A clock that stands at 1,700,000,000 s after the Unix epoch.
    pub fn new() -> Self {
        Self::at(Timestamp::from_millis(1_700_000_000_000))
    }

    /// A clock that stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self::starting(now, None)
    }

    /// A clock that starts as [`new`](Self::new) does and moves with tokio's time, which a test
    /// pauses. What [`advance`](Self::advance) and [`jump_wall`](Self::jump_wall) do is added.
    pub fn following_tokio() -> Self {
        Self::starting(Self::new().now(), Some(tokio::time::Instant::now()))
    }

    fn starting(now: Timestamp, origin: Option<tokio::time::Instant>) -> Self {
        let moved = Moved {
            wall: Duration::from_millis(now.as_millis()),
            monotonic: Duration::ZERO,
        };
        Self {
            shared: Arc::new(Shared {
                origin,
                moved: Mutex::new(moved),
            }),
            skew: 0,
        }
    }

    /// The same clock as seen from a machine whose wall clock is `millis` ahead, or behind if
    /// negative. Whatever moves one moves the other.
    #[must_use]
    pub fn skewed(&self, millis: i64) -> Self {
        Self {
            shared: self.shared.clone(),
            skew: self.skew.saturating_add(millis),
        }
    }

    /// Lets `span` pass on both clocks.
    pub fn advance(&self, span: Duration) {
        let mut moved = self.moved();
        moved.wall = moved.wall.saturating_add(span);
        moved.monotonic = moved.monotonic.saturating_add(span);
    }

    /// Steps the wall clock alone, by `millis` milliseconds, back if negative, as a correction by
    /// NTP does. Not before the epoch.
    pub fn jump_wall(&self, millis: i64) {
        let span = Duration::from_millis(millis.unsigned_abs());
        let mut moved = self.moved();
        moved.wall = if millis < 0 {
            moved.wall.saturating_sub(span)
        } else {
            moved.wall.saturating_add(span)
        };
    }

    /// Sets the wall clock alone to show `now`.
    pub fn set(&self, now: Timestamp) {
        let unskewed = signed(now) - i128::from(self.skew);
        let wall = u64::try_from(unskewed).unwrap_or_default();
        self.moved().wall = Duration::from_millis(wall).saturating_sub(self.followed());
    }

    fn followed(&self) -> Duration {
        self.shared.origin.map_or(Duration::ZERO, |at| at.elapsed())
    }

    fn moved(&self) -> MutexGuard<'_, Moved> {
        // Every change under the lock is complete or did not begin.
        let moved = &self.shared.moved;
        moved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let wall = self.moved().wall.saturating_add(self.followed());
        let millis = i128::try_from(wall.as_millis()).unwrap_or(i128::MAX);
        let skewed = millis.saturating_add(i128::from(self.skew)).max(0);
        Timestamp::from_millis(u64::try_from(skewed).unwrap_or(u64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.moved().monotonic.saturating_add(self.followed())
    }
}

fn signed(at: Timestamp) -> i128 {
    i128::from(at.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn clones_are_one_clock_and_fractions_add_up() {
        let clock = TestClock::new();
        let start = clock.now();
        for _ in 0..2 {
            clock.clone().advance(Duration::from_micros(500));
        }
        assert_eq!(clock.now(), start.plus(Duration::from_millis(1)));
        assert_eq!(clock.monotonic(), Duration::from_millis(1));
    }

    #[test]
    fn steps_of_the_wall_clock_saturate_and_leave_the_monotonic_one() {
        let clock = TestClock::at(Timestamp::from_millis(1_000));
        clock.jump_wall(i64::MIN);
        assert_eq!(clock.now(), Timestamp::from_millis(0));
        clock.set(Timestamp::MAX);
        assert_eq!(clock.now(), Timestamp::MAX);
        assert_eq!(clock.monotonic(), Duration::ZERO);
    }

    #[test]
    fn a_skewed_clock_moves_with_its_original() {
        let clock = TestClock::new();
        let start = clock.now();
        let behind = clock.skewed(-3_000);
        clock.advance(SECOND);
        assert_eq!(behind.now(), start.minus(2 * SECOND));
        behind.set(start);
        assert_eq!((behind.now(), clock.now()), (start, start.plus(3 * SECOND)));
    }

    #[tokio::test(start_paused = true)]
    async fn it_follows_paused_time() {
        let clock = TestClock::following_tokio();
        let start = clock.now();
        tokio::time::advance(SECOND).await;
        clock.advance(SECOND);
        assert_eq!(clock.now(), start.plus(2 * SECOND));
        assert_eq!(clock.monotonic(), 2 * SECOND);
        clock.set(start);
        assert_eq!(clock.now(), start);
    }
}
