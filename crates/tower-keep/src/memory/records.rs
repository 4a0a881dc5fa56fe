//! The records of a shard, by id.

use tower_keep_core::{SessionId, Slim, Sweep, Timestamp};

use super::index::Index;
use super::slab::Slab;

/// Records that a sweep looks at under one lock, a few microseconds' work.
pub(super) const STEP: usize = 64;

#[derive(Default)]
pub(super) struct Records {
    index: Index,
    slab: Slab,
}

/// Where a step of a sweep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Go on from this slot.
    Slot(u32),
    /// There is no more in this shard.
    Shard,
    /// There is more to remove than there may be.
    Full,
}

impl Records {
    #[inline]
    pub(super) fn get(&self, id: SessionId) -> Option<&Slim> {
        self.slab.get(self.find(id)?)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut Slim> {
        let slot = self.find(id)?;
        self.slab.get_mut(slot)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slim> {
        self.slab.iter()
    }

    /// Adds a record under an id that is not there.
    pub(super) fn insert(&mut self, slim: Slim) {
        // Before there are more, the memory of any machine is full.
        let slot = u32::try_from(self.slab.len()).unwrap_or(u32::MAX);
        self.index.insert(hash(slim.id()), slot);
        self.slab.push(slim);
    }

    /// Looks at some records from this slot on, and moves those that may be removed to `removed`,
    /// until it is as long as the limit.
    pub(super) fn sweep(
        &mut self,
        from: u32,
        sweep: Sweep,
        now: Timestamp,
        removed: &mut Vec<Slim>,
    ) -> Next {
        let mut slot = from;
        for _ in 0..STEP {
            let Some(slim) = self.slab.get(slot) else {
                self.index.shrink();
                return Next::Shard;
            };
            if !slim.is_sweepable(now, sweep.keep_tombstones) {
                slot += 1;
            } else if removed.len() == sweep.limit {
                return Next::Full;
            } else {
                // Another one takes its place, and is looked at next.
                removed.extend(self.remove(slot));
            }
        }
        Next::Slot(slot)
    }

    fn remove(&mut self, slot: u32) -> Option<Slim> {
        let slim = self.slab.swap_remove(slot)?;
        self.index.remove(hash(slim.id()), slot);
        if let Some(moved) = self.slab.get(slot) {
            let before = u32::try_from(self.slab.len()).unwrap_or(u32::MAX);
            self.index.replace(hash(moved.id()), before, slot);
        }
        Some(slim)
    }

    #[inline]
    fn find(&self, id: SessionId) -> Option<u32> {
        let is_right = |slot| self.slab.get(slot).is_some_and(|slim| slim.id() == id);
        self.index.find(hash(id), is_right)
    }
}

/// 32 of an id's random bits: below the variant, which is the same in every id, and above those
/// that chose the shard.
#[inline]
fn hash(id: SessionId) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the bits above do not count"
    )]
    let hash = (id.random_bits() >> 30) as u32;
    hash
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use tower_keep_core::data::Data;
    use tower_keep_core::{CommitId, Limits, NewSession, Record, SecretHash};
    use tower_keep_testkit::Rng;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000 * seconds)
    }

    fn slim(seconds: u64) -> Slim {
        let new = NewSession {
            id: SessionId::new(at(1)),
            secret: SecretHash::from_bytes([1; 32]),
            commit: CommitId::unique(),
            limits: Limits {
                idle: Duration::from_secs(seconds),
                ..Limits::default()
            },
            extend: None,
            user: None,
            cap: None,
            authenticated: false,
            client: None,
            remember: false,
            data: Data::default(),
        };
        Slim::new(Record::create(&new, at(1)))
    }

    #[test]
    fn a_step_looks_at_no_more_than_it_may_and_removes_what_is_over() {
        let mut rng = Rng::new(7);
        let (mut records, mut model) = (Records::default(), BTreeMap::new());
        for now in 2..40 {
            for _ in 0..rng.below(200) {
                let slim = slim(1 + rng.below(20));
                model.insert(slim.id(), slim.record().head.deadline());
                records.insert(slim);
            }
            let (mut next, mut before, mut steps) = (Next::Slot(0), model.len(), 0);
            while let Next::Slot(slot) = next {
                let mut removed = Vec::new();
                next = records.sweep(slot, Sweep::default(), at(now), &mut removed);
                assert!(removed.len() <= STEP);
                for slim in &removed {
                    let deadline = model.remove(&slim.id());
                    assert!(deadline.is_some_and(|deadline| deadline <= at(now)));
                }
                (before, steps) = (before - removed.len(), steps + 1);
                assert_eq!(records.iter().count(), before);
            }
            assert_eq!(next, Next::Shard);
            assert!(steps > model.len() / STEP);
            assert!(model.values().all(|deadline| *deadline > at(now)));
            for id in model.keys() {
                assert_eq!(records.get(*id).map(Slim::id), Some(*id));
            }
        }
    }

    #[test]
    fn a_step_removes_no_more_than_the_limit() {
        let mut records = Records::default();
        (0..10).for_each(|_| records.insert(slim(1)));
        let mut removed = Vec::new();
        let sweep = Sweep {
            limit: 10,
            ..Sweep::default()
        };
        let limited = Sweep { limit: 4, ..sweep };
        assert_eq!(records.sweep(0, limited, at(2), &mut removed), Next::Full);
        assert_eq!((removed.len(), records.iter().count()), (4, 6));
        assert_eq!(records.sweep(0, sweep, at(2), &mut removed), Next::Shard);
        assert_eq!((removed.len(), records.iter().count()), (10, 0));
        assert_eq!(records.sweep(0, sweep, at(2), &mut removed), Next::Shard);
    }
}
