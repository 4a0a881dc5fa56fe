//! Requests that are dropped at any moment, while a connection is at work for them.

use tower_keep_campaign::drops;

use crate::place::{Engine, Place};

async fn dropped_on(engine: Engine) {
    let store = async || {
        let place = Place::new(engine);
        (place.store().await, place)
    };
    let dropped = drops(&format!("{engine:?}"), 8, store).await;
    assert!(dropped > 100, "{engine:?}: {dropped}");
}

#[tokio::test]
async fn a_request_on_sqlite_dropped_at_any_moment_is_committed_or_was_not() {
    dropped_on(Engine::Sqlite).await;
}

#[tokio::test]
async fn a_request_on_postgres_dropped_at_any_moment_is_committed_or_was_not() {
    dropped_on(Engine::Postgres).await;
}

#[tokio::test]
async fn a_request_on_mariadb_dropped_at_any_moment_is_committed_or_was_not() {
    dropped_on(Engine::MariaDb).await;
}
