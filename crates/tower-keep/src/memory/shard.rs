//! A part of the memory store: records, and the queues for those whose lease is taken.
//!
//! Invariant, under the shard's mutex: a queue exists only where somebody waits in it, and where
//! it exists the record's lease is taken. Every step that frees a lease or buries a record
//! therefore ends in [`Shard::advance`].

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tower_keep_core::data::{Data, Patch};
use tower_keep_core::{
    Clock, Created, Finish, Finished, LocalOpened, NewSession, Op, Open, Opened, Owner, Record,
    Revision, SessionId, Stats, Sweep, Swept, Timestamp, Turn, TurnState, View,
};

use super::users::After;

/// Enough that threads seldom meet; a power of two.
const SHARDS: usize = 64;

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

type IdMap<T> = HashMap<SessionId, T, BuildHasherDefault<IdHasher>>;

#[derive(Default)]
pub(super) struct Shard {
    records: IdMap<Entry>,
    queues: IdMap<VecDeque<Queued>>,
    /// What is to be done as soon as the mutex is free.
    after: After,
}

struct Entry {
    record: Record,
    revision: u64,
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
        &self.0[index_of(id)]
    }

    /// All from that of this session on; without one, all.
    pub(super) fn iter_at(&self, id: Option<SessionId>) -> impl Iterator<Item = &SharedShard> {
        self.0.iter().skip(id.map_or(0, index_of))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &SharedShard> {
        self.0.iter()
    }

    /// All of them once, beginning with the one at `start` modulo their number.
    pub(super) fn iter_from(&self, start: usize) -> impl Iterator<Item = &SharedShard> {
        self.0.iter().cycle().skip(start % SHARDS).take(SHARDS)
    }
}

impl SharedShard {
    /// Runs one step under the mutex, and adds what follows from it to `after`.
    pub(super) fn step<T>(&self, after: &mut After, step: impl FnOnce(&mut Shard) -> T) -> T {
        // A panic under the mutex can only come from a clock or an allocation, both outside of any
        // half-made change.
        let mut shard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = step(&mut shard);
        after.wake.append(&mut shard.after.wake);
        after.left.append(&mut shard.after.left);
        answer
    }
}

impl Shard {
    pub(super) fn look(&self, id: SessionId) -> Option<(Record, Revision)> {
        let entry = self.records.get(&id)?;
        Some((entry.record.clone(), Revision(entry.revision)))
    }

    /// The session, if it is alive and this user's; with its data if asked.
    pub(super) fn view_of(
        &self,
        user: &str,
        id: SessionId,
        data: bool,
        now: Timestamp,
    ) -> Option<View> {
        let record = &self.records.get(&id)?.record;
        let theirs = record.head.user.as_deref() == Some(user);
        let live = record.gone_at.is_none() && !record.head.is_expired(now);
        (theirs && live).then(|| View {
            head: record.head.clone(),
            data: if data {
                record.data.clone()
            } else {
                Data::default()
            },
            now,
        })
    }

    pub(super) fn ids(&self) -> Vec<SessionId> {
        self.records.keys().copied().collect()
    }

    /// The live sessions with larger ids than `behind`, by their ids, at most so many.
    pub(super) fn live(
        &self,
        behind: Option<SessionId>,
        limit: usize,
        now: Timestamp,
    ) -> Vec<View> {
        let records = self.records.values().map(|entry| &entry.record);
        let mut live: Vec<_> = records
            .filter(|record| behind.is_none_or(|behind| record.head.id > behind))
            .filter(|record| record.gone_at.is_none() && !record.head.is_expired(now))
            .collect();
        live.sort_unstable_by_key(|record| record.head.id);
        let view = |record: &Record| View {
            head: record.head.clone(),
            data: Data::default(),
            now,
        };
        live.into_iter().take(limit).map(view).collect()
    }

    pub(super) fn count(&self, stats: &mut Stats, now: Timestamp) {
        let records = self.records.values();
        records.for_each(|entry| stats.count(&entry.record, now));
    }

    pub(super) fn waiting(&self, id: SessionId) -> usize {
        self.queues.get(&id).map_or(0, VecDeque::len)
    }

    /// Puts a record in place, new or not.
    pub(super) fn insert(&mut self, record: Record, now: Timestamp) {
        let id = record.head.id;
        let user = record.head.user.clone();
        let revision = self.records.get(&id).map_or(1, |e| e.revision + 1);
        let old = self.records.insert(id, Entry { record, revision });
        if let Some(left) = old.and_then(|old| old.record.head.user)
            && Some(&left) != user.as_ref()
        {
            self.after.left.push((left, id));
        }
        self.advance(id, now);
    }

    /// The answer to a creation under an id that is taken.
    pub(super) fn meet(&self, new: &NewSession, now: Timestamp) -> Option<Created> {
        let entry = self.records.get(&new.id)?;
        Some(entry.record.meet_create(new.commit, now))
    }

    pub(super) fn open(&mut self, open: &Open, clock: &dyn Clock) -> Opened {
        let Some(entry) = self.records.get_mut(&open.id) else {
            return Opened::Absent;
        };
        let now = clock.now();
        if open.lease.is_some() && self.queues.contains_key(&open.id) {
            // A lease that just ran out belongs to the first in the queue.
            self.advance(open.id, now);
            return self
                .records
                .get_mut(&open.id)
                .map_or(Opened::Absent, |e| e.open(open, now));
        }
        entry.open(open, now)
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
        let Some(entry) = self.records.get_mut(&id) else {
            return;
        };
        if entry.record.lease.map(|lease| lease.owner) == owner {
            entry.revision += 1;
            entry.record.lease = None;
            self.advance(id, now);
        }
    }

    pub(super) fn expire_lease(&mut self, id: SessionId, clock: &dyn Clock) -> Option<Duration> {
        let now = clock.now();
        self.advance(id, now);
        let lease = self.records.get(&id)?.record.lease?;
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
        let Some(entry) = self.records.get_mut(&finish.id) else {
            return Finished::Gone;
        };
        let now = clock.now();
        let user = finish
            .changes_user()
            .then(|| entry.record.head.user.clone());
        let (mut finished, changed) = entry.record.finish(finish, now);
        if changed {
            entry.revision += 1;
            if let Some(Some(user)) = user {
                self.after.left.push((user, finish.id));
            }
            if by_queue {
                entry.record.lease = None;
            }
            if matches!(finish.op, Op::Put(_)) && !patch.is_empty() {
                entry.record.data.apply(patch);
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
        let Some(entry) = self.records.get_mut(&id) else {
            return false;
        };
        let renewed = entry.record.renew(owner, lease, clock.now());
        entry.revision += u64::from(renewed);
        renewed
    }

    /// `of`: only if it belongs to this user.
    pub(super) fn destroy(&mut self, id: SessionId, of: Option<&str>, clock: &dyn Clock) -> bool {
        let Some(entry) = self.records.get_mut(&id) else {
            return false;
        };
        let user = entry.record.head.user.clone();
        if of.is_some() && of != user.as_deref() {
            return false;
        }
        let now = clock.now();
        let destroyed = entry.record.destroy(now);
        if let Some(user) = user.filter(|_| destroyed) {
            self.after.left.push((user, id));
        }
        entry.revision += u64::from(destroyed);
        self.advance(id, now);
        destroyed
    }

    pub(super) fn sweep(&mut self, sweep: Sweep, now: Timestamp) -> Swept {
        let mut swept = Swept::default();
        let left = &mut self.after.left;
        self.records.retain(|id, entry| {
            if !entry.record.is_sweepable(now, sweep.keep_tombstones) {
                return true;
            }
            if swept.removed() == sweep.limit {
                swept.more = true;
                return true;
            }
            match entry.record.gone_at {
                Some(_) => swept.tombstones += 1,
                None => swept.expired.push(*id),
            }
            left.extend(entry.record.head.user.take().map(|user| (user, *id)));
            false
        });
        if !self.queues.is_empty() {
            let orphans: Vec<_> = self.queues.keys().copied().collect();
            for id in orphans {
                self.advance(id, now);
            }
        }
        swept
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
            let opened = match self.records.get_mut(&id) {
                Some(entry) => entry.open(&open, now),
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
                    if let Some(entry) = self.records.get_mut(&id)
                        && granted
                    {
                        entry.record.lease = None;
                    }
                }
            }
        }
        if queue.is_empty() {
            self.queues.remove(&id);
        }
    }
}

impl Entry {
    fn open(&mut self, open: &Open, now: Timestamp) -> Opened {
        let (opened, changed) = self.record.open(open, now);
        self.revision += u64::from(changed);
        opened
    }
}
