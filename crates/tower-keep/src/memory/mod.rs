//! Sessions in this process's memory.

mod index;
mod records;
mod scan;
mod shard;
mod slab;
mod sweep;
#[cfg(test)]
mod tests;
mod users;

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tower_keep_core::data::Patch;
use tower_keep_core::{
    Clock, Created, Expect, Finish, Finished, LocalOpened, LocalStore, Looked, NewSession, Open,
    Opened, Owner, Record, Scan, Scope, SessionId, SessionStore, Stats, StoreError, StoreErrorKind,
    Sweep, Swept, SystemClock, Timestamp, Turn, Users,
};

use shard::{Shard, Shards};
use sweep::Round;
#[cfg(keep_shuttle)]
pub use users::threads;
use users::{After, Index};

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// Sessions in this process's memory: fast, bounded if asked, gone with the process.
///
/// Clones are the same store, and layers over clones share its sessions, its locks and its
/// queues. Every step is immediate, so no task and no timer stands between a request and its
/// session. Expired sessions do not open; their memory is freed by sweeping (see
/// [`sweep_every`](crate::sweep_every)), or when the store is full.
///
/// ```
/// use tower_keep::MemoryStore;
///
/// let store = MemoryStore::with_capacity(100_000);
/// assert_eq!(store.len(), 0);
/// ```
#[derive(Clone)]
pub struct MemoryStore(Arc<Inner>);

struct Inner {
    shards: Shards,
    users: Index,
    /// Records of every kind, tombstones too: what takes up memory.
    len: AtomicUsize,
    capacity: usize,
    /// Where the next sweep goes on.
    swept: AtomicUsize,
    /// When room was last made for a new session.
    made_room: Mutex<Option<Timestamp>>,
    clock: Arc<dyn Clock>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// A store without a limit.
    pub fn new() -> Self {
        Self::with_capacity(usize::MAX)
    }

    /// A store of at most `capacity` sessions (a destroyed one counts until its tombstone is
    /// swept). When it is full, creating a session first removes expired ones and then fails with
    /// [`StoreErrorKind::Full`], which the layer answers with 503; sessions that exist go on.
    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_clock(capacity, Arc::new(SystemClock::default()))
    }

    /// As [`with_capacity`](Self::with_capacity), by another clock.
    pub fn with_clock(capacity: usize, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            shards: Shards::default(),
            users: Index::default(),
            len: AtomicUsize::new(0),
            capacity,
            swept: AtomicUsize::new(0),
            made_room: Mutex::new(None),
            clock,
        }))
    }

    /// How many records it holds: live sessions, expired ones and tombstones not swept yet.
    pub fn len(&self) -> usize {
        self.0.len.load(Ordering::Relaxed)
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids of all records, in no order. For tests and administration: it looks at every one.
    pub fn ids(&self) -> Vec<SessionId> {
        let shards = self.0.shards.iter();
        let ids = shards.map(|shard| shard.step(&mut After::default(), |s| s.ids()));
        ids.flatten().collect()
    }

    /// A copy of the record, in whatever state it is.
    pub fn record(&self, id: SessionId) -> Option<Record> {
        let found = self.0.step(id, |s| s.look(id));
        found.map(|(record, _)| record)
    }

    /// How many requests wait for the lease of this session.
    pub fn waiting(&self, id: SessionId) -> usize {
        self.0.step(id, |s| s.waiting(id))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Takes one place.
    fn reserve(&self) -> Result<(), StoreError> {
        self.len
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |len| {
                (len < self.capacity).then(|| len + 1)
            })
            .map(drop)
            .map_err(|_| {
                StoreError::new(
                    StoreErrorKind::Full,
                    format!(
                        "all of the {} sessions that it may hold are taken",
                        self.capacity
                    ),
                )
            })
    }

    /// Takes a step that may need a place, again if expired sessions had to be removed for it.
    fn with_room<T>(&self, step: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
        match step() {
            Err(error) if error.kind() == StoreErrorKind::Full && self.make_room() => step(),
            answer => answer,
        }
    }

    /// Removes what is expired and tells whether there was any, but not again within a second: a
    /// flood of creations must not turn into a flood of sweeps.
    fn make_room(&self) -> bool {
        let now = self.clock.now();
        {
            let mut last = self
                .made_room
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|last| now.since(last) < Duration::from_secs(1)) {
                return false;
            }
            *last = Some(now);
        }
        let mut round = Round::new(self, Sweep::default());
        while round.step() {}
        round.swept().removed() > 0
    }
}

impl LocalStore for Inner {
    fn open(&self, open: &Open) -> Opened {
        self.step(open.id, |s| s.open(open, &*self.clock))
    }

    fn acquire(&self, open: &Open, max_waiting: usize) -> LocalOpened {
        self.step(open.id, |s| s.acquire(open, max_waiting, &*self.clock))
    }

    fn leave(&self, turn: &Arc<Turn>) {
        self.step(turn.open().id, |s| s.leave(turn, &*self.clock));
    }

    fn expire_lease(&self, id: SessionId) -> Option<Duration> {
        self.step(id, |s| s.expire_lease(id, &*self.clock))
    }

    fn finish(&self, finish: &Finish, patch: &Patch) -> Result<Finished, StoreError> {
        self.commit(finish, |s| s.finish(finish, patch, true, &*self.clock))
    }

    fn create(&self, new: &NewSession) -> Result<Created, StoreError> {
        let create = |shard: &mut Shard| {
            let now = self.clock.now();
            if let Some(taken) = shard.meet(new, now) {
                return Ok(taken);
            }
            self.reserve()?;
            shard.insert(Record::create(new, now), now);
            Ok(Created::Done(now))
        };
        self.with_room(|| self.start(new, create))
    }
}

impl SessionStore for MemoryStore {
    async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
        let inner = &*self.0;
        Ok(inner.step(id, |shard| Looked {
            record: shard.look(id),
            now: inner.clock.now(),
        }))
    }

    async fn cas(
        &self,
        id: SessionId,
        expect: Expect,
        record: &Record,
    ) -> Result<bool, StoreError> {
        let inner = &*self.0;
        let swap = |shard: &mut Shard| {
            let found = shard.revision(id);
            let fits = match expect {
                Expect::Absent => found.is_none(),
                Expect::Revision(revision) => found == Some(revision),
            };
            if fits {
                if found.is_none() {
                    inner.reserve()?;
                }
                shard.insert(record.clone(), inner.clock.now());
            }
            Ok(fits)
        };
        let user = record.head.user.as_deref();
        inner.with_room(|| inner.put(id, user, swap))
    }

    async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
        let mut round = Round::new(&self.0, sweep);
        while round.step() {
            if round.is_tired() {
                tokio::task::yield_now().await;
            }
        }
        Ok(round.swept())
    }

    fn name(&self) -> &'static str {
        "memory"
    }

    fn scope(&self) -> Scope {
        Scope::Process
    }

    async fn open(&self, open: &Open) -> Result<Opened, StoreError> {
        Ok(LocalStore::open(&*self.0, open))
    }

    async fn finish(&self, finish: &Finish) -> Result<Finished, StoreError> {
        // Here the caller's choice of a successor counts, and the data come whole.
        let none = Patch::default();
        self.0
            .commit(finish, |s| s.finish(finish, &none, false, &*self.0.clock))
    }

    async fn renew(
        &self,
        id: SessionId,
        owner: Owner,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        Ok(self
            .0
            .step(id, |s| s.renew(id, owner, lease, &*self.0.clock)))
    }

    async fn create(&self, new: &NewSession) -> Result<Created, StoreError> {
        LocalStore::create(&*self.0, new)
    }

    async fn destroy(&self, id: SessionId) -> Result<bool, StoreError> {
        Ok(self.0.step(id, |s| s.destroy(id, None, &*self.0.clock)))
    }

    async fn stats(&self) -> Result<Option<Stats>, StoreError> {
        let (inner, mut stats) = (&*self.0, Stats::default());
        for shard in inner.shards.iter() {
            let now = inner.clock.now();
            shard.step(&mut After::default(), |s| s.count(&mut stats, now));
            // It has looked at every record of the shard.
            tokio::task::yield_now().await;
        }
        Ok(Some(stats))
    }

    fn users(&self) -> Option<&dyn Users> {
        Some(self)
    }

    fn scan(&self) -> Option<&dyn Scan> {
        Some(self)
    }

    fn local(&self) -> Option<&dyn LocalStore> {
        Some(&*self.0)
    }
}
