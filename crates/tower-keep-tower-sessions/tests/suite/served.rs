//! Applications that were written for tower-sessions, on our layer.

use std::sync::Arc;

use axum::Router;
use tower_keep::{DynStore, MemoryStore, SessionLayer, SessionLayerBuilder};
use tower_keep_sqlx::SqliteStore;
use tower_keep_testkit::{TestClient, TestClock};
use tower_keep_tower_sessions::TowerSessions14Layer;

use crate::life::Client;

/// A store in this process, and one that does I/O.
pub(crate) async fn stores() -> [DynStore; 2] {
    let sqlite = SqliteStore::connect("sqlite::memory:").await.unwrap();
    sqlite.migrate().await.unwrap();
    [DynStore::new(MemoryStore::new()), DynStore::new(sqlite)]
}

/// Routes that take sessions of tower-sessions 0.14, under this layer of ours.
pub(crate) fn served(routes: Router, layer: SessionLayerBuilder) -> Client {
    let routes = routes.layer(TowerSessions14Layer::new());
    TestClient::new(routes.layer(layer.build().unwrap()))
}

/// The same over a memory store by a clock that the test moves.
pub(crate) fn clocked(routes: Router, clock: &TestClock) -> (Client, MemoryStore) {
    let clock = Arc::new(clock.clone());
    let memory = MemoryStore::with_clock(usize::MAX, clock.clone());
    let layer = SessionLayer::builder(memory.clone()).clock(clock.clone());
    let client = served(routes, layer).with_clock(TestClock::clone(&clock));
    (client, memory)
}
