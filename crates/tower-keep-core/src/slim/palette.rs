//! The few different limits that the sessions of a store have.

use crate::record::Limits;

/// Different limits at most; sessions with others keep their own.
const MOST: usize = u8::MAX as usize;

/// The limits that the [`Slim`](super::Slim) records of a store, or of a part of it, have in
/// common: each record only says which. There are 255 at most, and they stay.
#[derive(Debug, Default)]
pub struct Palette(Vec<Limits>);

impl Palette {
    #[inline]
    pub(super) fn get(&self, place: u8) -> Limits {
        self.0.get(usize::from(place)).copied().unwrap_or_default()
    }

    /// Where these limits are, now at least; `guess` is where they may be.
    #[inline]
    pub(super) fn place(&mut self, limits: Limits, guess: u8) -> Option<u8> {
        if self.0.get(usize::from(guess)) == Some(&limits) {
            return Some(guess);
        }
        self.find(limits)
    }

    #[cold]
    fn find(&mut self, limits: Limits) -> Option<u8> {
        let found = self.0.iter().position(|known| *known == limits);
        let place = found.unwrap_or(self.0.len());
        if place == self.0.len() {
            if place == MOST {
                return None;
            }
            self.0.push(limits);
        }
        u8::try_from(place).ok()
    }
}
