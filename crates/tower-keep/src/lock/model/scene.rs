//! A session in a store, and keepers on it.

use std::sync::Arc;
use std::time::Duration;

use tower_keep_core::data::{Data, Patch};
use tower_keep_core::{
    CommitId, Created, DynStore, HeadChange, Limits, NewSession, Open, Opened, Owner, SecretHash,
    SessionId, SessionStore, Timestamp, View,
};
use tower_keep_testkit::TestClock;

use crate::error::Error;
use crate::lock::{Commit, Grant, Keeper, LockConfig, Tasks};
use crate::memory::MemoryStore;

pub(super) const SECOND: Duration = Duration::from_secs(1);
const SECRET: SecretHash = SecretHash::from_bytes([1; 32]);

pub(super) struct Scene {
    pub(super) memory: MemoryStore,
    pub(super) id: SessionId,
    clock: TestClock,
}

impl Scene {
    /// One session, in a store whose time is tokio's.
    pub(super) async fn new() -> Self {
        Self::with_idle(Limits::default().idle).await
    }

    pub(super) async fn with_idle(idle: Duration) -> Self {
        let clock = TestClock::following_tokio();
        let memory = MemoryStore::with_clock(usize::MAX, Arc::new(clock.clone()));
        let id = add(&memory, idle).await;
        Self { memory, id, clock }
    }

    /// Another session in the same store.
    pub(super) async fn add(&self) -> SessionId {
        add(&self.memory, Limits::default().idle).await
    }

    pub(super) fn keeper(&self, store: impl SessionStore, locks: LockConfig) -> Arc<Keeper> {
        let (store, clock) = (DynStore::new(store), Arc::new(self.clock.clone()));
        Arc::new(Keeper::new(store, locks, clock, Arc::new(Tasks::default())))
    }

    pub(super) fn open(&self) -> Open {
        Open {
            id: self.id,
            secret: Some(SECRET),
            age: Duration::ZERO,
            touch: None,
            lease: None,
        }
    }

    /// Takes the lease behind the keepers' backs, as another process does.
    pub(super) async fn take(&self, lease: Duration) -> Owner {
        let owner = Owner::unique();
        let open = Open {
            lease: Some((owner, lease)),
            ..self.open()
        };
        let opened = self.memory.open(&open).await;
        assert!(matches!(opened, Ok(Opened::Granted(_))), "{opened:?}");
        owner
    }

    /// How many commits were applied.
    pub(super) fn commits(&self) -> u64 {
        self.memory.record(self.id).unwrap().head.version - 1
    }

    /// How long the lease still lasts, if anybody has it.
    pub(super) fn leased(&self) -> Option<Duration> {
        self.lease_of(self.id)
    }

    pub(super) fn lease_of(&self, id: SessionId) -> Option<Duration> {
        let lease = self.memory.record(id).unwrap().lease?;
        Some(lease.until.since(tower_keep_core::Clock::now(&self.clock)))
    }
}

async fn add(memory: &MemoryStore, idle: Duration) -> SessionId {
    let new = NewSession {
        id: SessionId::new(Timestamp::from_millis(1_000)),
        secret: SECRET,
        commit: CommitId::unique(),
        limits: Limits {
            idle,
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
    let created = memory.create(&new).await;
    assert!(matches!(created, Ok(Created::Done(_))));
    new.id
}

/// Waits until nothing but timers is left to do.
pub(super) async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

pub(super) async fn acquire(keeper: &Arc<Keeper>, open: Open) -> Result<(View, Grant), Error> {
    match keeper.acquire(&open, keeper.config.wait).await? {
        Ok(granted) => Ok(granted),
        Err(opened) => panic!("not opened: {opened:?}"),
    }
}

/// Commits a change of the head.
pub(super) async fn commit((view, grant): (View, Grant)) -> Result<u64, Error> {
    let change = HeadChange {
        remember: Some(true),
        ..HeadChange::default()
    };
    let put = Commit::Put(change, Patch::default());
    let (head, _) = grant.finish(view, put).await?;
    Ok(head.version)
}

/// Opens, and commits.
pub(super) async fn write(keeper: Arc<Keeper>, open: Open) -> Result<u64, Error> {
    commit(acquire(&keeper, open).await?).await
}

pub(super) fn is_idle(keeper: &Keeper) -> bool {
    !keeper.visit(|_, _| {})
}
