//! A part of the memory store: records, and the queues for those whose lease is taken.
//!
//! Invariant, under the shard's mutex: a queue exists only where somebody waits in it, and where
//! it exists the record's lease is taken. Every step that frees a lease or buries a record
//! therefore ends in [`Shard::advance`].

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tower_keep_core::data::{Data, Patch};
use tower_keep_core::{
    Clock, Created, Finish, Finished, LocalOpened, NewSession, Open, Opened, Owner, Record,
    Revision, SessionId, Slim, Stats, Sweep, Timestamp, Turn, TurnState, View,
};

use super::records::{Next, Records};
use super::users::After;
use crate::sync::Mutex;

/// Enough that threads seldom meet; a power of two.
pub(super) const SHARDS: usize = 64;

/// Ids are random where it counts, so hashing them again would be a waste.
#[derive(Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, bits: u64) {
        // The top two bits are the UUID's variant, the same in every id, and the table looks at
        // the top seven; the shard was chosen by the lowest.
        self.0 = bits.rotate_left(24);
    }
}

#[derive(Default)]
pub(super) struct Shard {
    records: Records,
    queues: HashMap<SessionId, VecDeque<Queued>, BuildHasherDefault<IdHasher>>,
    /// What is to be done as soon as the mutex is free.
    after: After,
}

struct Queued {
    turn: Arc<Turn>,
    /// By the store's clock, so that its age grows while it waits.
    arrived: Timestamp,
}

pub(super) struct Shards(Box<[SharedShard]>);

pub(super) struct SharedShard(Mutex<Shard>);

impl Default for Shards {
    fn default() -> Self {
        let shard = |_| SharedShard(Mutex::new(Shard::default()));
        Self((0..SHARDS).map(shard).collect())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "only the low bits choose")]
fn index_of(id: SessionId) -> usize {
    id.random_bits() as usize % SHARDS
}

impl Shards {
    pub(super) fn of(&self, id: SessionId) -> &SharedShard {
        self.at(index_of(id))
    }

    /// All from that of this session on; without one, all.
    pub(super) fn iter_at(&self, id: Option<SessionId>) -> impl Iterator<Item = &SharedShard> {
        self.0.iter().skip(id.map_or(0, index_of))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &SharedShard> {
        self.0.iter()
    }

    /// The one with this number, modulo how many there are.
    pub(super) fn at(&self, number: usize) -> &SharedShard {
        &self.0[number % SHARDS]
    }
}

impl SharedShard {
    /// Runs one step under the mutex, and adds what follows from it to `after`.
    pub(super) fn step<T>(&self, after: &mut After, step: impl FnOnce(&mut Shard) -> T) -> T {
        // A panic under the mutex can only come from a clock or an allocation, both outside of any
        // half-made change.
        let mut shard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = step(&mut shard);
        if !shard.after.is_empty() {
            after.append(&mut shard.after);
        }
        answer
    }
}

impl Shard {
    pub(super) fn look(&self, id: SessionId) -> Option<(Record, Revision)> {
        let slim = self.records.get(id)?;
        Some((slim.record(), slim.revision()))
    }

    pub(super) fn revision(&self, id: SessionId) -> Option<Revision> {
        self.records.get(id).map(Slim::revision)
    }

    /// The session, if it is alive and this user's; with its data if asked.
    pub(super) fn view_of(
        &self,
        user: &str,
        id: SessionId,
        data: bool,
        now: Timestamp,
    ) -> Option<View> {
        let record = self.records.get(id)?.record();
        let theirs = record.head.user.as_deref() == Some(user);
        let live = record.gone_at.is_none() && !record.head.is_expired(now);
        (theirs && live).then(|| View {
            head: record.head,
            data: if data { record.data } else { Data::default() },
            now,
        })
    }

    pub(super) fn ids(&self) -> Vec<SessionId> {
        self.records.iter().map(Slim::id).collect()
    }

    /// The live sessions with larger ids than `behind`, by their ids, at most so many.
    pub(super) fn live(
        &self,
        behind: Option<SessionId>,
        limit: usize,
        now: Timestamp,
    ) -> Vec<View> {
        let mut live: Vec<_> = self
            .records
            .iter()
            .filter(|slim| behind.is_none_or(|behind| slim.id() > behind))
            .filter(|slim| slim.is_live(now))
            .collect();
        if live.len() > limit {
            live.select_nth_unstable_by_key(limit, |slim| slim.id());
            live.truncate(limit);
        }
        live.sort_unstable_by_key(|slim| slim.id());
        let view = |slim: &Slim| View {
            head: slim.head(),
            data: Data::default(),
            now,
        };
        live.into_iter().map(view).collect()
    }

    pub(super) fn count(&self, stats: &mut Stats, now: Timestamp) {
        let records = self.records.iter();
        records.for_each(|slim| stats.count(&slim.record(), now));
    }

    pub(super) fn waiting(&self, id: SessionId) -> usize {
        self.queues.get(&id).map_or(0, VecDeque::len)
    }

    /// Puts a record in place, new or not.
    pub(super) fn insert(&mut self, record: Record, now: Timestamp) {
        let id = record.head.id;
        match self.records.get_mut(id) {
            None => self.records.insert(Slim::new(record)),
            Some(slim) => {
                let left = slim
                    .user()
                    .filter(|user| Some(*user) != record.head.user.as_ref());
                self.after.left.extend(left.map(|user| (user.clone(), id)));
                slim.change(|old| (*old = record, true));
            }
        }
        self.advance(id, now);
    }

    /// The answer to a creation under an id that is taken.
    pub(super) fn meet(&self, new: &NewSession, now: Timestamp) -> Option<Created> {
        let slim = self.records.get(new.id)?;
        Some(slim.record().meet_create(new.commit, now))
    }

    pub(super) fn open(&mut self, open: &Open, clock: &dyn Clock) -> Opened {
        let Some(slim) = self.records.get_mut(open.id) else {
            return Opened::Absent;
        };
        let now = clock.now();
        if open.lease.is_some() && self.queues.contains_key(&open.id) {
            // A lease that just ran out belongs to the first in the queue.
            self.advance(open.id, now);
            return self
                .records
                .get_mut(open.id)
                .map_or(Opened::Absent, |slim| slim.open(open, now));
        }
        slim.open(open, now)
    }

    pub(super) fn acquire(
        &mut self,
        open: &Open,
        max_waiting: usize,
        clock: &dyn Clock,
    ) -> LocalOpened {
        let opened = self.open(open, clock);
        if !matches!(opened, Opened::Busy(_)) {
            return LocalOpened::Now(opened);
        }
        let queue = self.queues.entry(open.id).or_default();
        if queue.len() >= max_waiting {
            if queue.is_empty() {
                self.queues.remove(&open.id);
            }
            return LocalOpened::Full;
        }
        let turn = Turn::new(*open);
        queue.push_back(Queued {
            turn: turn.clone(),
            arrived: clock.now().minus(open.age),
        });
        LocalOpened::Queued(turn)
    }

    pub(super) fn leave(&mut self, turn: &Arc<Turn>, clock: &dyn Clock) {
        let id = turn.open().id;
        match turn.end() {
            TurnState::Waiting(_) => {
                if let Some(queue) = self.queues.get_mut(&id) {
                    queue.retain(|queued| !Arc::ptr_eq(&queued.turn, turn));
                    if queue.is_empty() {
                        self.queues.remove(&id);
                    }
                }
            }
            TurnState::Answered(Opened::Granted(_)) => {
                let owner = turn.open().lease.map(|(owner, _)| owner);
                self.release(id, owner, clock.now());
            }
            TurnState::Answered(_) | TurnState::Over => {}
        }
    }

    fn release(&mut self, id: SessionId, owner: Option<Owner>, now: Timestamp) {
        let Some(slim) = self.records.get_mut(id) else {
            return;
        };
        if slim.lease().map(|lease| lease.owner) == owner {
            slim.change(|record| (record.lease = None, true));
            self.advance(id, now);
        }
    }

    pub(super) fn expire_lease(&mut self, id: SessionId, clock: &dyn Clock) -> Option<Duration> {
        let now = clock.now();
        self.advance(id, now);
        let lease = self.records.get(id)?.lease()?;
        Some(lease.until.since(now))
    }

    /// `by_queue`: the queue decides who is next, rather than `finish.next`.
    pub(super) fn finish(
        &mut self,
        finish: &Finish,
        patch: &Patch,
        by_queue: bool,
        clock: &dyn Clock,
    ) -> Finished {
        let Some(slim) = self.records.get_mut(finish.id) else {
            return Finished::Gone;
        };
        let now = clock.now();
        let user = finish.changes_user().then(|| slim.user().cloned());
        let (mut finished, changed) = slim.finish(finish, patch, now);
        if changed {
            if let Some(Some(user)) = user {
                self.after.left.push((user, finish.id));
            }
            if by_queue {
                slim.unlock();
            }
        }
        if self.queues.contains_key(&finish.id) {
            if let Finished::Done { waiting, .. } = &mut finished {
                *waiting = true;
            }
            self.advance(finish.id, now);
        }
        finished
    }

    pub(super) fn renew(
        &mut self,
        id: SessionId,
        owner: Owner,
        lease: Duration,
        clock: &dyn Clock,
    ) -> bool {
        let Some(slim) = self.records.get_mut(id) else {
            return false;
        };
        let now = clock.now();
        slim.change(|record| {
            let renewed = record.renew(owner, lease, now);
            (renewed, renewed)
        })
    }

    /// `of`: only if it belongs to this user.
    pub(super) fn destroy(&mut self, id: SessionId, of: Option<&str>, clock: &dyn Clock) -> bool {
        let Some(slim) = self.records.get_mut(id) else {
            return false;
        };
        let user = slim.user().cloned();
        if of.is_some() && of != user.as_deref() {
            return false;
        }
        let now = clock.now();
        let destroyed = slim.change(|record| {
            let destroyed = record.destroy(now);
            (destroyed, destroyed)
        });
        if let Some(user) = user.filter(|_| destroyed) {
            self.after.left.push((user, id));
        }
        self.advance(id, now);
        destroyed
    }

    /// One step of a sweep, as [`Records::sweep`].
    pub(super) fn sweep(
        &mut self,
        from: u32,
        sweep: Sweep,
        now: Timestamp,
        removed: &mut Vec<Slim>,
    ) -> Next {
        let next = self.records.sweep(from, sweep, now, removed);
        if !self.queues.is_empty() {
            for slim in removed {
                self.advance(slim.id(), now);
            }
        }
        next
    }

    /// Gives a free lease to the first in the queue who may still have it, and refuses those in
    /// front of it who may not.
    fn advance(&mut self, id: SessionId, now: Timestamp) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        while let Some(queued) = queue.front() {
            let open = Open {
                age: now.since(queued.arrived),
                ..*queued.turn.open()
            };
            let opened = match self.records.get_mut(id) {
                Some(slim) => slim.open(&open, now),
                None => Opened::Absent,
            };
            let granted = matches!(opened, Opened::Granted(_));
            if matches!(opened, Opened::Busy(_)) {
                return;
            }
            let turn = queued.turn.clone();
            queue.pop_front();
            match turn.answer(opened) {
                Ok(waker) => {
                    self.after.wake.extend(waker);
                    if granted {
                        break;
                    }
                }
                // It went away between its turn and this step, which `leave` rules out; the lease
                // just taken for it passes to the next.
                Err(_) => {
                    if let Some(slim) = self.records.get_mut(id)
                        && granted
                    {
                        slim.unlock();
                    }
                }
            }
        }
        if queue.is_empty() {
            self.queues.remove(&id);
        }
    }
}
