//! Sweeping in steps, none of which keeps anybody waiting.
//!
//! A step looks at one chunk of one shard under its mutex: some microseconds. Chunks in which
//! nothing can be over yet are passed over without a look at their records.

use std::sync::atomic::Ordering;

use tower_keep_core::{Sweep, Swept};

use super::Inner;
use super::shard::SHARDS;
use super::slab::CHUNK;
use super::users::After;

/// Chunks that are looked at before other tasks have their turn, a few hundred microseconds'
/// work.
const BREATH: usize = 4_096 / CHUNK;

/// One call of a sweep: once around all records, from where the last one stopped.
pub(super) struct Round<'a> {
    inner: &'a Inner,
    sweep: Sweep,
    /// The shard and the chunk that it began with.
    start: (usize, usize),
    /// Shards done, of one more than there are: the first comes again for what is before `start`.
    shards: usize,
    chunk: usize,
    /// Chunks since the last pause.
    looked: usize,
    swept: Swept,
}

impl<'a> Round<'a> {
    pub(super) fn new(inner: &'a Inner, sweep: Sweep) -> Self {
        let at = inner.swept.load(Ordering::Relaxed);
        let start = (at % SHARDS, at / SHARDS);
        Self {
            inner,
            sweep,
            start,
            shards: 0,
            chunk: start.1,
            looked: 0,
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
        let step = shard.step(&mut after, |s| s.sweep(self.chunk, limited, now));
        self.inner.follow(after);
        let removed = step.swept.removed();
        self.inner.len.fetch_sub(removed, Ordering::Relaxed);
        self.swept.expired.extend(step.swept.expired);
        self.swept.tombstones += step.swept.tombstones;
        self.swept.more = step.swept.more;
        match step.next {
            Some(chunk) => (self.chunk, self.looked) = (chunk, self.looked + 1),
            None => (self.shards, self.chunk) = (self.shards + 1, 0),
        }
        let again = self.shards == SHARDS && self.chunk >= self.start.1;
        !(self.swept.more || again || self.shards > SHARDS)
    }

    /// Whether other tasks should have their turn.
    pub(super) fn is_tired(&mut self) -> bool {
        let tired = self.looked >= BREATH;
        self.looked %= BREATH;
        tired
    }

    pub(super) fn swept(mut self) -> Swept {
        std::mem::take(&mut self.swept)
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        let at = (self.start.0 + self.shards) % SHARDS + self.chunk * SHARDS;
        self.inner.swept.store(at, Ordering::Relaxed);
    }
}
