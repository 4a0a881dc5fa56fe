//! How long locks last and how long requests wait for them.

use std::time::Duration;

/// How exclusive sessions are held and waited for.
///
/// ```
/// use std::time::Duration;
/// use tower_keep::LockConfig;
///
/// let patient = LockConfig { wait: Duration::from_secs(30), ..LockConfig::default() };
/// ```
#[derive(Debug, Clone, Copy)]
pub struct LockConfig {
    /// How long a lease lasts if its holder dies; a holder renews it at a third. Default 10 s.
    pub lease: Duration,
    /// How long one request may keep renewing. After that its commit still succeeds unless
    /// somebody else took the session over. Default 60 s.
    pub hold: Duration,
    /// How long a request waits for a session that is taken, then it is answered with 503. Longer
    /// than the lease by more than a second, so that a crashed holder is outlasted. Default 15 s.
    pub wait: Duration,
    /// How many requests may wait for one session in this process, and on a store that does I/O as
    /// many again that merge ([`MergeSession`](crate::MergeSession)); more are answered with 503.
    /// Default 64.
    pub max_waiting: usize,
    /// How many requests of this process may hand a session to one another before other
    /// processes get their chance. Default 16.
    pub cohort: u32,
    /// The shortest pause before a store is asked again for a session that another process holds;
    /// it doubles up to 8 times this. Default 10 ms.
    pub poll: Duration,
    /// How long one call to the store may take before it counts as failed. Default 5 s.
    pub store_timeout: Duration,
}

impl Default for LockConfig {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            hold: Duration::from_secs(60),
            wait: Duration::from_secs(15),
            max_waiting: 64,
            cohort: 16,
            poll: Duration::from_millis(10),
            store_timeout: Duration::from_secs(5),
        }
    }
}

impl LockConfig {
    /// What is wrong with it, if anything.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if self.lease < Duration::from_millis(10) {
            Some("`lease` must be at least 10 ms")
        } else if self.wait <= self.lease + Duration::from_secs(1) {
            Some(
                "`wait` must be more than a second longer than `lease`, or a crashed holder cannot be outlasted",
            )
        } else if self.hold < self.lease {
            Some("`hold` must be at least as long as `lease`")
        } else if self.poll.is_zero() {
            Some("`poll` must be longer than zero")
        } else if self.store_timeout.is_zero() {
            Some("`store_timeout` must be longer than zero")
        } else if self.max_waiting == 0 {
            Some("`max_waiting` must be at least 1")
        } else if self.cohort == 0 {
            Some("`cohort` must be at least 1")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    type Change = fn(&mut LockConfig);

    fn problem(change: impl FnOnce(&mut LockConfig)) -> Option<&'static str> {
        let mut config = LockConfig::default();
        change(&mut config);
        config.problem()
    }

    #[test]
    fn what_would_not_work_is_named_and_what_just_works_is_not() {
        assert_eq!(problem(|_| {}), None);
        let wrong: [(Change, &str); 7] = [
            (|c| c.lease = 9 * MILLI, "`lease`"),
            (|c| c.wait = c.lease + 1_000 * MILLI, "`wait`"),
            (|c| c.hold = c.lease.saturating_sub(MILLI), "`hold`"),
            (|c| c.poll = Duration::ZERO, "`poll`"),
            (|c| c.store_timeout = Duration::ZERO, "`store_timeout`"),
            (|c| c.max_waiting = 0, "`max_waiting`"),
            (|c| c.cohort = 0, "`cohort`"),
        ];
        for (change, named) in wrong {
            let said = problem(change);
            assert!(said.is_some_and(|said| said.starts_with(named)), "{said:?}");
        }
        let just: [Change; 7] = [
            |c| c.lease = 10 * MILLI,
            |c| c.wait = c.lease + 1_001 * MILLI,
            |c| c.hold = c.lease,
            |c| c.poll = MILLI,
            |c| c.store_timeout = MILLI,
            |c| c.max_waiting = 1,
            |c| c.cohort = 1,
        ];
        for change in just {
            assert_eq!(problem(change), None);
        }
    }
}
