//! How long answers took.

use std::fmt;
use std::time::Duration;

/// Times, as they came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies(Vec<Duration>);

/// What half of them, 99 of 100 and all did not exceed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Percentiles {
    half: Duration,
    most: Duration,
    worst: Duration,
}

impl Latencies {
    pub(crate) fn add(&mut self, span: Duration) {
        self.0.push(span);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn percentiles(mut self) -> Percentiles {
        self.0.sort_unstable();
        // The nearest rank.
        let rank = |percent: usize| {
            let rank = (self.0.len() * percent).div_ceil(100);
            let found = self.0.get(rank.saturating_sub(1));
            found.copied().unwrap_or_default()
        };
        Percentiles {
            half: rank(50),
            most: rank(99),
            worst: rank(100),
        }
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [half, most, worst] =
            [self.half, self.most, self.worst].map(|span| span.as_secs_f64() * 1_000.0);
        write!(f, "{half:.1} / {most:.1} / {worst:.0} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.clone().percentiles(), Percentiles::default());
        for millis in (1..=200).rev() {
            latencies.add(Duration::from_millis(millis));
        }
        let shown = latencies.percentiles().to_string();
        assert_eq!(shown, "100.0 / 198.0 / 200 ms");
    }
}
