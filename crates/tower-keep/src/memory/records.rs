//! The records of a shard, by id.

use tower_keep_core::data::Patch;
use tower_keep_core::{
    Finish, Finished, Open, Opened, Palette, Record, Revision, SessionId, Slim, Stats, Sweep,
    Swept, Timestamp,
};

use super::index::Index;
use super::slab::{Removed, Slab, Verdict};

#[derive(Default)]
pub(super) struct Records {
    index: Index,
    slab: Slab,
    palette: Palette,
}

/// What one step of a sweep came to.
pub(super) struct Step {
    /// Where the next one goes on, if there is more in this shard.
    pub(super) next: Option<usize>,
    pub(super) swept: Swept,
    pub(super) removed: Removed,
}

impl Records {
    /// Decides on a record and changes it, as [`Slim::step`]; `None` if there is none.
    #[inline]
    pub(super) fn step<T>(
        &mut self,
        id: SessionId,
        decide: impl FnOnce(&mut Record) -> (T, bool),
    ) -> Option<T> {
        let slot = self.find(id)?;
        let (slim, due) = self.slab.get_mut(slot)?;
        let answer = slim.step(&mut self.palette, decide);
        *due = slim.due().min(*due);
        Some(answer)
    }

    /// As [`Slim::open`].
    #[inline]
    pub(super) fn open(&mut self, open: &Open, now: Timestamp) -> Option<Opened> {
        let slot = self.find(open.id)?;
        // A deadline only ever moves away here.
        let (slim, _) = self.slab.get_mut(slot)?;
        Some(slim.open(&mut self.palette, open, now))
    }

    /// As [`Slim::finish`].
    #[inline]
    pub(super) fn finish(
        &mut self,
        finish: &Finish,
        patch: &Patch,
        now: Timestamp,
    ) -> Option<Finished> {
        let slot = self.find(finish.id)?;
        let (slim, due) = self.slab.get_mut(slot)?;
        let finished = slim.finish(&mut self.palette, finish, patch, now);
        *due = slim.due().min(*due);
        Some(finished)
    }

    pub(super) fn revision(&self, id: SessionId) -> Option<Revision> {
        Some(self.slab.get(self.find(id)?)?.revision())
    }

    /// Puts a record where none is.
    pub(super) fn insert(&mut self, record: Record) {
        let slim = Slim::new(record, &mut self.palette);
        let hash = hash(slim.id());
        self.index.insert(hash, self.slab.insert(slim));
    }

    pub(super) fn ids(&mut self) -> Vec<SessionId> {
        self.slab.iter_mut().map(|slim| slim.id()).collect()
    }

    pub(super) fn count(&mut self, stats: &mut Stats, now: Timestamp) {
        for slim in self.slab.iter_mut() {
            slim.step(&mut self.palette, |record| {
                (stats.count(record, now), false)
            });
        }
    }

    /// Removes what may be removed from the next chunk of records in which there may be any.
    /// Nothing is freed before the caller drops it.
    pub(super) fn sweep(
        &mut self,
        from: usize,
        sweep: Sweep,
        now: Timestamp,
        mut leaves: impl FnMut(SessionId, &mut Record),
    ) -> Step {
        let mut step = Step {
            next: None,
            swept: Swept::default(),
            removed: Removed::default(),
        };
        let chunk = match self.slab.next_due(from, now) {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return step,
            Err(next) => {
                step.next = Some(next);
                return step;
            }
        };
        let Self {
            index,
            slab,
            palette,
        } = self;
        let swept = &mut step.swept;
        let judge = |slot, slim: &mut Slim| {
            let id = slim.id();
            let verdict = slim.step(palette, |record| {
                if !record.is_sweepable(now, sweep.keep_tombstones) {
                    return (Verdict::Keep, false);
                }
                if swept.removed() == sweep.limit {
                    swept.more = true;
                    return (Verdict::Stop, false);
                }
                match record.gone_at {
                    Some(_) => swept.tombstones += 1,
                    None => swept.expired.push(id),
                }
                leaves(id, record);
                (Verdict::Remove, true)
            });
            if matches!(verdict, Verdict::Remove) {
                index.remove(hash(id), slot);
            }
            verdict
        };
        let ended = slab.sweep(chunk, now, &mut step.removed, judge);
        index.shrink();
        step.next = Some(chunk + usize::from(ended));
        step
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
