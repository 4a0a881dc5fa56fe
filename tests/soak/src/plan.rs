//! The sizes of a run.

use std::time::Duration;

/// How long a run is and how much is done in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Whether it has time. Long runs take turns, so that none makes another one wait.
    pub(crate) is_long: bool,
    pub(crate) visitors: u32,
    /// Requests a second of all visitors together.
    pub(crate) rate: u32,
    /// How many requests the hostile neighbour has at a time.
    pub(crate) crowd: usize,
    /// Everything is used once, and what is made once is made.
    pub(crate) warm_up: Duration,
    /// Without the neighbour, and with.
    pub(crate) phase: Duration,
    pub(crate) fault_every: Duration,
    pub(crate) sample_every: Duration,
}

impl Plan {
    const SHORT: Self = Self {
        is_long: false,
        visitors: 64,
        rate: 100,
        crowd: 500,
        warm_up: Duration::from_millis(1_200),
        phase: Duration::from_millis(1_800),
        fault_every: Duration::from_millis(600),
        sample_every: Duration::from_millis(100),
    };

    fn of_minutes(minutes: u32) -> Self {
        // Longer than two hours alone, and the neighbour's session is over.
        let all = Duration::from_mins(minutes.min(180).into());
        let warm_up = (all / 8).min(Duration::from_mins(1));
        Self {
            is_long: true,
            rate: 200,
            warm_up,
            phase: all.saturating_sub(warm_up) / 2,
            fault_every: Duration::from_secs(30),
            sample_every: Duration::from_secs(1),
            ..Self::SHORT
        }
    }

    /// As `KEEP_HEAVY` and `KEEP_TEST_MINUTES` have it.
    pub(crate) fn from_environment() -> Self {
        if std::env::var_os("KEEP_HEAVY").is_none_or(|value| value == "0") {
            return Self::SHORT;
        }
        let minutes = std::env::var("KEEP_TEST_MINUTES").ok();
        let minutes = minutes.and_then(|minutes| minutes.parse().ok());
        Self::of_minutes(minutes.unwrap_or(10))
    }

    /// How long one visitor has for each request.
    pub(crate) fn pace(&self) -> Duration {
        Duration::from_secs(1) * self.visitors / self.rate
    }

    /// Things go wrong while it warms up too.
    pub(crate) fn fault_every_while_warming(&self) -> Duration {
        self.fault_every.min(self.warm_up / 3)
    }
}
