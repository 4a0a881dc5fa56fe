//! Reproducible randomness.

use std::time::Duration;

/// A small seeded generator (`SplitMix64`), so that what a test does can be done again.
///
/// ```
/// use tower_keep_testkit::Rng;
///
/// let (mut a, mut b) = (Rng::new(7), Rng::new(7));
/// assert_eq!(a.below(100), b.below(100));
/// ```
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// A generator whose numbers follow from `seed` alone.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `end` − 1; 0 if `end` is 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        match self.next_u64().checked_rem(end) {
            Some(n) => n,
            None => 0,
        }
    }

    /// Whether something happens that does so in `percent` of all cases.
    pub const fn percent(&mut self, percent: u32) -> bool {
        self.below(100) < percent as u64
    }

    /// A span up to `max`, in whole milliseconds.
    pub fn up_to(&mut self, max: Duration) -> Duration {
        let millis = u64::try_from(max.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.below(millis.saturating_add(1)))
    }

    /// One of `choices`, or `None` if there are none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        let index = self.below(choices.len() as u64);
        choices.get(usize::try_from(index).unwrap_or_default())
    }
}

/// The seed that the environment variable `KEEP_SEED` names, else `default`.
pub fn seed_or(default: u64) -> u64 {
    let named = std::env::var("KEEP_SEED").ok();
    named.and_then(|seed| seed.parse().ok()).unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_from_the_seed_and_stay_in_range() {
        let draw = |seed| {
            let mut rng = Rng::new(seed);
            (0..1_000).map(|_| rng.below(10)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!((0..10).all(|n| draw(1).contains(&n)));
        assert!(draw(1).iter().all(|n| *n < 10));
        let mut rng = Rng::new(3);
        assert_eq!(rng.below(0), 0);
        assert!(!rng.percent(0) && rng.percent(100));
        assert_eq!(rng.pick::<u8>(&[]), None);
    }
}
