//! A process: a keeper, and its way to the store until it crashes.

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tower_keep_core::{
    Created, DynStore, Expect, Finish, Finished, Looked, NewSession, Open, Opened, Owner, Record,
    Scope, SessionId, SessionStore, StoreError, Sweep, Swept, Wakeups,
};
use tower_keep_testkit::{NetworkStore, Rng, TestClock};

use super::server::Server;
use crate::lock::{Keeper, LockConfig, Tasks};

/// Short, so that little of a run is spent waiting.
pub(super) const LOCKS: LockConfig = LockConfig {
    lease: Duration::from_secs(1),
    hold: Duration::from_secs(4),
    wait: Duration::from_millis(2_500),
    max_waiting: 8,
    cohort: 3,
    poll: Duration::from_millis(40),
    store_timeout: Duration::from_millis(400),
};

pub(super) struct Node {
    pub(super) keeper: Arc<Keeper>,
    pub(super) way: Way,
}

impl Node {
    /// Its wall clock is up to an hour off.
    pub(super) fn new(server: &Server, rng: &mut Rng) -> Self {
        let bad = u32::try_from(rng.below(12)).unwrap();
        let latency = Duration::from_millis(rng.below(60));
        let mut network = NetworkStore::new(server.clone(), rng.next_u64())
            .connections(1 + usize::try_from(rng.below(3)).unwrap())
            .yields(rng.below(5))
            .latency(latency)
            .lost_requests(bad)
            .lost_replies(bad);
        if rng.percent(50) {
            network = network.with_wakeups();
        }
        let skew = i64::try_from(rng.below(7_200_000)).unwrap() - 3_600_000;
        let clock: TestClock = server.clock.skewed(skew);
        let way = Way {
            network,
            crashed: Arc::default(),
        };
        let store = DynStore::new(way.clone());
        let tasks = Arc::new(Tasks::default());
        Self {
            keeper: Arc::new(Keeper::new(store, LOCKS, Arc::new(clock), tasks)),
            way,
        }
    }

    /// Nothing that it has not sent yet arrives, and it hears nothing any more.
    pub(super) fn crash(&self) {
        self.way.crashed.store(true, Ordering::Relaxed);
    }
}

/// The way from a node to the store.
#[derive(Clone)]
pub(super) struct Way {
    network: NetworkStore<Server>,
    crashed: Arc<AtomicBool>,
}

impl Way {
    pub(super) fn is_cut(&self) -> bool {
        self.crashed.load(Ordering::Relaxed)
    }

    async fn until_crash<T>(&self, call: impl Future<Output = T>) -> T {
        if self.is_cut() {
            return pending().await;
        }
        let answer = call.await;
        if self.is_cut() {
            return pending().await;
        }
        answer
    }
}

impl SessionStore for Way {
    async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
        self.until_crash(self.network.look(id)).await
    }

    async fn cas(&self, id: SessionId, e: Expect, record: &Record) -> Result<bool, StoreError> {
        self.until_crash(self.network.cas(id, e, record)).await
    }

    async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
        self.until_crash(self.network.sweep(sweep)).await
    }

    fn scope(&self) -> Scope {
        Scope::Shared
    }

    async fn create(&self, new: &NewSession) -> Result<Created, StoreError> {
        self.until_crash(self.network.create(new)).await
    }

    async fn open(&self, open: &Open) -> Result<Opened, StoreError> {
        self.until_crash(self.network.open(open)).await
    }

    async fn finish(&self, finish: &Finish) -> Result<Finished, StoreError> {
        self.until_crash(self.network.finish(finish)).await
    }

    async fn renew(
        &self,
        id: SessionId,
        owner: Owner,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        self.until_crash(self.network.renew(id, owner, lease)).await
    }

    async fn destroy(&self, id: SessionId) -> Result<bool, StoreError> {
        self.until_crash(self.network.destroy(id)).await
    }

    fn wakeups(&self) -> Option<&dyn Wakeups> {
        self.network.wakeups()
    }
}
