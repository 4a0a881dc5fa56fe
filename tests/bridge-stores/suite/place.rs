//! Where a test keeps its sessions: a store of theirs, and what lies under it.

use std::fmt::Debug;

use tower_keep::SessionId;
use tower_keep_testkit::TestClock;
use tower_keep_tower_sessions::{BridgedBuilder, V14};
use tower_sessions_core_014::SessionStore;
use tower_sessions_core_014::session::Id;
use tower_sessions_moka_store::MokaStore;

use crate::life::on;

/// A store of theirs that no other test uses.
pub(crate) trait Place: Sized + Send + Sync + 'static {
    type Store: SessionStore + Clone + Debug;

    /// The error of theirs by which their store breaks the contract.
    const BREAKS: Option<&'static str> = None;

    fn new() -> impl Future<Output = Self> + Send;

    /// The store as its crate has it. All that this gives are one.
    fn store(&self) -> Self::Store;

    /// The bridge over it, with their sweep if they have one.
    fn bridge(&self, clock: &TestClock) -> BridgedBuilder<V14<Self::Store>> {
        on(self.store(), clock)
    }

    /// All that the database has, as it has it.
    fn bytes(&self) -> impl Future<Output = Vec<u8>> + Send;

    /// When they may remove what is there under this id, in seconds; `None` if nothing is.
    fn until(&self, id: Id) -> impl Future<Output = Option<i64>> + Send;
}

/// Our id as theirs.
pub(crate) fn their_id(id: SessionId) -> Id {
    Id(i128::from_be_bytes(*id.as_bytes()))
}

/// What `./test.sh` starts.
pub(crate) fn server(variable: &str) -> String {
    let url = std::env::var(variable);
    url.unwrap_or_else(|_| panic!("{variable} names no server: run ./test.sh"))
}

pub(crate) struct Moka(MokaStore);

impl Place for Moka {
    type Store = MokaStore;

    async fn new() -> Self {
        Self(MokaStore::new(None))
    }

    fn store(&self) -> MokaStore {
        self.0.clone()
    }

    async fn bytes(&self) -> Vec<u8> {
        format!("{:?}", self.0).into_bytes()
    }

    async fn until(&self, id: Id) -> Option<i64> {
        let record = self.0.load(&id).await.unwrap();
        record.map(|record| record.expiry_date.unix_timestamp())
    }
}
