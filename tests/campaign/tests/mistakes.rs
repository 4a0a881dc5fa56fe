//! A store that is wrong now and then, which the campaign must find.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tower_keep::core::{
    Expect, Finish, Finished, Looked, Op, Record, Scope, StoreError, Sweep, Swept,
};
use tower_keep::{DynStore, MemoryStore, SessionId, SessionStore};
use tower_keep_campaign::Campaign;

/// Of the commits, one in so many is confirmed and forgotten.
const EVERY: u64 = 2;

/// Clones are the same.
#[derive(Clone, Default)]
struct Forgetful {
    memory: MemoryStore,
    commits: Arc<AtomicU64>,
}

impl SessionStore for Forgetful {
    async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
        self.memory.look(id).await
    }

    async fn cas(&self, id: SessionId, e: Expect, record: &Record) -> Result<bool, StoreError> {
        self.memory.cas(id, e, record).await
    }

    async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
        self.memory.sweep(sweep).await
    }

    fn scope(&self) -> Scope {
        Scope::Process
    }

    async fn finish(&self, finish: &Finish) -> Result<Finished, StoreError> {
        let commits = matches!(finish.op, Op::Put(_) | Op::Merge(_));
        if commits
            && self
                .commits
                .fetch_add(1, Ordering::Relaxed)
                .is_multiple_of(EVERY)
        {
            let release = Finish {
                op: Op::Release,
                ..finish.clone()
            };
            return self.memory.finish(&release).await;
        }
        self.memory.finish(finish).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_forgets_is_found() {
    let store = Forgetful::default();
    let campaign = Campaign {
        name: "forgetful",
        test: "a_store_that_forgets_is_found",
        place: Vec::new(),
    };
    let nodes = |_| vec![DynStore::new(store.clone()); 3];
    let found = campaign.glance(nodes, store.clone()).await;
    for anomaly in &found {
        println!("{anomaly}");
    }
    assert!(!found.is_empty());
}
