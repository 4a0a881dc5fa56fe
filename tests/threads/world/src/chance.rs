//! What is random elsewhere, and here the same in every run.

use std::cell::Cell;
use std::hash::{BuildHasher, DefaultHasher, Hasher};

thread_local! {
    static DRAWN: Cell<u64> = const { Cell::new(0) };
}

pub(crate) fn begin() {
    DRAWN.set(0);
}

/// In place of `std::hash::RandomState`.
#[derive(Debug, Clone)]
pub struct RandomState(u64);

impl RandomState {
    /// Another one than all before in this schedule.
    #[expect(clippy::new_without_default, reason = "nobody asks for it")]
    pub fn new() -> Self {
        DRAWN.set(DRAWN.get() + 1);
        Self(DRAWN.get())
    }
}

impl BuildHasher for RandomState {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}
