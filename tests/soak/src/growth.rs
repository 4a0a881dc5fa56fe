//! Whether memory grows with the requests.

/// What was seen at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// How many requests had been answered.
    pub requests: u64,
    /// How much memory was in use, in bytes.
    pub memory: u64,
}

/// The straight line through samples, by least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// In bytes a request.
    pub slope: f64,
    /// Over so many requests.
    pub requests: u64,
}

impl Growth {
    /// What any request may leave behind, in bytes. A session that ended is a tombstone for ten
    /// minutes, some 300 bytes, and one request in fifty ends one.
    pub const PER_REQUEST: f64 = 64.0;
    /// What a program may come to use late, however long it runs, in bytes: rooms of queues, of pools
    /// and of the allocator, and stacks of threads for files.
    pub const ONCE: f64 = 8.0 * 1024.0 * 1024.0;

    /// The line through these; none through samples that were taken at the same request.
    pub fn of(samples: &[Sample]) -> Option<Self> {
        let (first, last) = (samples.first()?, samples.last()?);
        let count = samples.len() as f64;
        // Counted from the first, so that large numbers lose nothing.
        let x = |sample: &Sample| (sample.requests - first.requests) as f64;
        let y = |sample: &Sample| sample.memory as f64 - first.memory as f64;
        let mean = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
        let (mean_x, mean_y) = (mean(&x), mean(&y));
        let deviation = |sample: &Sample| x(sample) - mean_x;
        let spread = mean(&|sample| deviation(sample).powi(2));
        let common = mean(&|sample| deviation(sample) * (y(sample) - mean_y));
        (spread > 0.0).then(|| Self {
            slope: common / spread,
            requests: last.requests - first.requests,
        })
    }

    /// Whether it is more than what may be.
    pub fn is_a_leak(&self) -> bool {
        let requests = self.requests as f64;
        self.slope * requests > Self::ONCE + Self::PER_REQUEST * requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower_keep_testkit::Rng;

    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;

    /// A sample every 200 requests, some way off what `memory` says.
    fn samples(count: u64, off: u64, memory: impl Fn(u64) -> u64) -> Vec<Sample> {
        let mut rng = Rng::new(7);
        let sample = |number| {
            let requests = 200 * number;
            let memory = memory(requests) + rng.below(off + 1);
            Sample { requests, memory }
        };
        (0..count).map(sample).collect()
    }

    #[test]
    fn the_line_goes_through_the_samples() {
        let line = Growth::of(&samples(50, 0, |n| 9 * MIB + 3 * n)).unwrap();
        assert!((line.slope - 3.0).abs() < 1e-6, "{line:?}");
        assert_eq!(line.requests, 49 * 200);
        let falls = Growth::of(&samples(50, 0, |n| 9 * MIB - 3 * n)).unwrap();
        assert!((falls.slope + 3.0).abs() < 1e-6, "{falls:?}");
        assert_eq!(Growth::of(&[]), None);
        assert_eq!(Growth::of(&samples(1, 0, |_| MIB)), None);
    }

    #[test]
    fn a_kibibyte_a_request_is_found() {
        // Four minutes at 200 a second.
        let leak = samples(240, 2 * MIB, |n| 40 * MIB + KIB * n);
        assert!(Growth::of(&leak).unwrap().is_a_leak());
        let leak = samples(240, 2 * MIB, |n| 40 * MIB + 256 * n);
        assert!(Growth::of(&leak).unwrap().is_a_leak());
        // An hour.
        let leak = samples(3_600, 2 * MIB, |n| 40 * MIB + 80 * n);
        assert!(Growth::of(&leak).unwrap().is_a_leak());
        // A few seconds tell only of more.
        let leak = samples(5, 256 * KIB, |n| 40 * MIB + 16 * KIB * n);
        assert!(Growth::of(&leak).unwrap().is_a_leak());
    }

    #[test]
    fn what_comes_once_and_what_comes_and_goes_is_none() {
        for (what, memory) in [
            ("level", samples(240, 4 * MIB, |_| 40 * MIB)),
            (
                "a step",
                samples(240, MIB, |n| {
                    40 * MIB + if n > 20_000 { 3 * MIB } else { 0 }
                }),
            ),
            ("tombstones", samples(240, MIB, |n| 40 * MIB + 300 * n / 50)),
            (
                "waves",
                samples(240, MIB, |n| 40 * MIB + n % 10_000 * KIB / 4),
            ),
        ] {
            let growth = Growth::of(&memory).unwrap();
            assert!(!growth.is_a_leak(), "{what}: {growth:?}");
        }
    }
}
