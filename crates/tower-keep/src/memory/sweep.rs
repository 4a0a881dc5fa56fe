//! Sweeping in steps, none of which keeps anybody waiting.
//!
//! A step looks at a few records of one shard under its mutex: some microseconds. What it removed
//! is freed when the mutex is free again.

use tower_keep_core::{Slim, Sweep, Swept};

use super::Inner;
use super::records::{Next, STEP};
use super::shard::SHARDS;
use super::users::After;
use crate::sync::atomic::Ordering;

/// Steps before other tasks have their turn, a few hundred microseconds' work.
const BREATH: usize = 4_096 / STEP;

/// One call of a sweep: once around all records, from where the last one stopped.
pub(super) struct Round<'a> {
    inner: &'a Inner,
    sweep: Sweep,
    /// The shard and the slot that it began with.
    start: (usize, u32),
    /// Shards done, of one more than there are: the first comes again for what is before `start`.
    shards: usize,
    slot: u32,
    steps: usize,
    removed: Vec<Slim>,
    swept: Swept,
}

impl<'a> Round<'a> {
    pub(super) fn new(inner: &'a Inner, sweep: Sweep) -> Self {
        let at = inner.swept.load(Ordering::Relaxed);
        let slot = u32::try_from(at / SHARDS).unwrap_or(0);
        Self {
            inner,
            sweep,
            start: (at % SHARDS, slot),
            shards: 0,
            slot,
            steps: 0,
            removed: Vec::new(),
            swept: Swept::default(),
        }
    }

    /// Takes a step, and tells whether there are more to take.
    pub(super) fn step(&mut self) -> bool {
        let limited = Sweep {
            limit: self.sweep.limit - self.swept.removed(),
            ..self.sweep
        };
        let now = self.inner.clock.now();
        let mut after = After::default();
        let shard = self.inner.shards.at(self.start.0 + self.shards);
        let next = shard.step(&mut after, |s| {
            s.sweep(self.slot, limited, now, &mut self.removed)
        });
        self.inner
            .len
            .fetch_sub(self.removed.len(), Ordering::Relaxed);
        for slim in self.removed.drain(..) {
            if slim.is_gone() {
                self.swept.tombstones += 1;
            } else {
                self.swept.expired.push(slim.id());
            }
            after
                .left
                .extend(slim.user().map(|user| (user.clone(), slim.id())));
        }
        self.inner.follow(after);
        match next {
            Next::Slot(slot) => self.slot = slot,
            Next::Shard => (self.shards, self.slot) = (self.shards + 1, 0),
            Next::Full => self.swept.more = true,
        }
        self.steps += 1;
        let again = self.shards == SHARDS && self.slot >= self.start.1;
        !(self.swept.more || again || self.shards > SHARDS)
    }

    /// Whether other tasks should have their turn.
    pub(super) fn is_tired(&self) -> bool {
        self.steps.is_multiple_of(BREATH)
    }

    pub(super) fn swept(mut self) -> Swept {
        std::mem::take(&mut self.swept)
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        let slot = usize::try_from(self.slot).unwrap_or(0);
        let at = (self.start.0 + self.shards) % SHARDS + slot * SHARDS;
        self.inner.swept.store(at, Ordering::Relaxed);
    }
}
