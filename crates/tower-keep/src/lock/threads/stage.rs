//! A session, and what its requests do and see.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::{point, task::yield_now, time};
use tower_keep_core::data::{Data, DataLimits, Edit};
use tower_keep_core::{
    Clock, CommitId, Created, HeadChange, Limits, LocalStore, NewSession, Open, Owner, SecretHash,
    SessionId, SessionStore, Timestamp, View,
};

use crate::error::Error;
use crate::lock::{Commit, Grant};
use crate::memory::MemoryStore;

pub(crate) const SECRET: SecretHash = SecretHash::from_bytes([1; 32]);
const NEW_SECRET: SecretHash = SecretHash::from_bytes([2; 32]);
pub(crate) const LEASE: Duration = Duration::from_secs(10);

/// The world's time.
#[derive(Debug)]
pub(crate) struct WorldClock;

impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_000).plus(time::now())
    }

    fn monotonic(&self) -> Duration {
        time::now()
    }
}

pub(crate) fn memory() -> MemoryStore {
    MemoryStore::with_clock(usize::MAX, Arc::new(WorldClock))
}

pub(crate) fn new_session() -> NewSession {
    NewSession {
        id: SessionId::new(Timestamp::from_millis(1_000)),
        secret: SECRET,
        commit: CommitId::unique(),
        limits: Limits::default(),
        extend: None,
        user: None,
        cap: None,
        authenticated: false,
        client: None,
        remember: false,
        data: Data::default(),
    }
}

/// How a request ends its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Adds one.
    Count,
    /// Drops what it has.
    Discard,
    Destroy,
    /// Replaces the secret.
    Rotate,
}

/// What those who meet are watched by: plain atomics, which are no step to shuttle.
pub(crate) struct Stage {
    pub(crate) memory: MemoryStore,
    pub(crate) id: SessionId,
    /// Whether leases last, so that nobody else may be in the section.
    pub(crate) exclusive: bool,
    inside: AtomicBool,
    /// Additions that were asked for, and that succeeded.
    asked: AtomicU64,
    done: AtomicU64,
    /// The old secret opens nothing any more.
    pub(crate) over: AtomicBool,
    pub(crate) destroyed: AtomicBool,
}

impl Stage {
    pub(crate) fn new(exclusive: bool) -> Arc<Self> {
        let (memory, new) = (memory(), new_session());
        let created = LocalStore::create(memory.local().unwrap(), &new);
        assert!(matches!(created, Ok(Created::Done(_))));
        Arc::new(Self {
            memory,
            id: new.id,
            exclusive,
            inside: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            done: AtomicU64::new(0),
            over: AtomicBool::new(false),
            destroyed: AtomicBool::new(false),
        })
    }

    pub(crate) fn open(&self) -> Open {
        Open {
            id: self.id,
            secret: Some(SECRET),
            age: Duration::ZERO,
            touch: None,
            lease: Some((Owner::unique(), LEASE)),
        }
    }

    /// Does what was granted to a request that came when the session was `over` or not.
    pub(crate) async fn hold(
        &self,
        (view, grant): (View, Grant),
        end: End,
        over: bool,
    ) -> Result<(), Error> {
        assert!(!over, "its old secret opened it");
        // Goes before the grant, whichever way this future ends.
        let inside = self.enter();
        let count = count(&view.data);
        yield_now().await;
        drop(inside);
        let commit = match end {
            End::Discard => {
                drop(grant);
                return Ok(());
            }
            End::Destroy => Commit::Destroy,
            End::Rotate => {
                let head = HeadChange {
                    secret: Some(NEW_SECRET),
                    ..HeadChange::default()
                };
                Commit::Put(head, Default::default())
            }
            End::Count => {
                let mut edit = edit(&view.data);
                edit.insert("count", &(count + 1)).unwrap();
                self.asked.fetch_add(1, Ordering::SeqCst);
                Commit::Put(HeadChange::default(), edit.into_patch().unwrap())
            }
        };
        grant.finish(view, commit).await?;
        match end {
            End::Count => _ = self.done.fetch_add(1, Ordering::SeqCst),
            End::Destroy => {
                self.destroyed.store(true, Ordering::SeqCst);
                self.over.store(true, Ordering::SeqCst);
            }
            End::Rotate => self.over.store(true, Ordering::SeqCst),
            End::Discard => {}
        }
        Ok(())
    }

    fn enter(&self) -> Inside<'_> {
        let alone = !self.inside.swap(true, Ordering::SeqCst);
        assert!(alone || !self.exclusive, "two were granted the session");
        point();
        Inside(self)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Nobody waits, nothing is held, and all that succeeded is there.
    pub(crate) fn check(&self) {
        assert_eq!(
            self.memory.waiting(self.id),
            0,
            "somebody is left in the queue"
        );
        let record = self.memory.record(self.id).unwrap();
        assert!(record.lease.is_none(), "a lease was left behind");
        let destroyed = self.destroyed.load(Ordering::SeqCst);
        assert_eq!(record.gone_at.is_some(), destroyed, "it came back");
        if !destroyed {
            let count = count(&record.data);
            let (asked, done) = (
                self.asked.load(Ordering::SeqCst),
                self.done.load(Ordering::SeqCst),
            );
            assert!(
                (done..=asked).contains(&count),
                "{done} of {asked} succeeded: {count}"
            );
        }
    }

    /// As [`check`](Self::check), where nobody left in the middle: so many succeeded.
    pub(crate) fn check_all(&self, count: u64) {
        assert_eq!(self.done.load(Ordering::SeqCst), count);
        self.asked.store(count, Ordering::SeqCst);
        self.check();
    }
}

fn edit(data: &Data) -> Edit {
    Edit::new(data.clone(), DataLimits::default())
}

pub(crate) fn count(data: &Data) -> u64 {
    edit(data).get_or("count", 0).unwrap()
}

struct Inside<'a>(&'a Stage);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.store(false, Ordering::SeqCst);
    }
}
