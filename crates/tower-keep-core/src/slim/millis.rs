//! Instants in six bytes.

use crate::time::Timestamp;

/// Milliseconds since the epoch: exact for the next 8,900 years, and the greatest stands for
/// [`Timestamp::MAX`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Millis([u8; 6]);

impl Millis {
    pub(super) const MAX: Self = Self([0xff; 6]);
    /// The latest that is exact.
    pub(super) const LAST: Self = Self([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff]);

    #[inline]
    pub(super) fn exact(time: Timestamp) -> Option<Self> {
        let [bytes @ .., 0, 0] = time.as_millis().to_le_bytes() else {
            return (time == Timestamp::MAX).then_some(Self::MAX);
        };
        Some(Self(bytes)).filter(|millis| *millis != Self::MAX)
    }

    #[inline]
    pub(super) fn time(self) -> Timestamp {
        match self.number() {
            number if number == Self::MAX.number() => Timestamp::MAX,
            number => Timestamp::from_millis(number),
        }
    }

    #[inline]
    pub(super) fn min(self, other: Self) -> Self {
        if other.number() < self.number() {
            other
        } else {
            self
        }
    }

    #[inline]
    fn number(self) -> u64 {
        let mut bytes = [0; 8];
        bytes[..6].copy_from_slice(&self.0);
        u64::from_le_bytes(bytes)
    }
}
