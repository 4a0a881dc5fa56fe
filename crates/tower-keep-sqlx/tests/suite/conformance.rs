//! The contract's suite on every engine.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower_keep_testkit::conformance::{Harness, cases, run_case};

use crate::place::{Engine, Place};

/// By a clock that the test moves.
mod sqlite_in_memory {
    use std::sync::Arc;

    use tower_keep_sqlx::SqliteStore;
    use tower_keep_testkit::TestClock;

    use super::Harness;

    async fn harness() -> Harness {
        let clock = TestClock::new();
        let store = SqliteStore::builder().clock(Arc::new(clock.clone()));
        let store = store.connect("sqlite::memory:").await.unwrap();
        store.migrate().await.unwrap();
        Harness::new(store).with_clock(move |span| clock.advance(span))
    }

    tower_keep_testkit::conformance_tests!(harness);
}

async fn harness(engine: Engine) -> Harness {
    Harness::new(Place::new(engine).store().await)
}

mod postgres {
    use super::*;
    tower_keep_testkit::conformance_tests!(|| harness(Engine::Postgres));
}

mod mariadb {
    use super::*;
    tower_keep_testkit::conformance_tests!(|| harness(Engine::MariaDb));
}

/// All in one and side by side: they mostly wait for time to pass.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_behind_pgbouncer_in_session_mode() {
    let harness =
        || async { Harness::new(Place::behind("KEEP_PGBOUNCER_SESSION_URL").store().await) };
    // Each has connections that nobody else gets meanwhile.
    let (room, mut running) = (Arc::new(Semaphore::new(12)), JoinSet::new());
    for (name, _) in cases() {
        let room = room.clone();
        running.spawn(async move {
            let _place = room.acquire().await.unwrap();
            run_case(name, harness).await
        });
    }
    let mut passed = 0;
    while let Some(result) = running.join_next().await {
        if let Err(violation) = result.unwrap() {
            panic!("{violation}");
        }
        passed += 1;
    }
    println!("{passed} cases");
    assert!(passed > 80);
}

/// By a clock that the test moves, readers beside the writer.
mod sqlite_in_a_file {
    use std::sync::Arc;

    use tower_keep_sqlx::SqliteStore;
    use tower_keep_testkit::TestClock;

    use super::*;

    async fn harness() -> Harness {
        let (place, clock) = (Place::new(Engine::Sqlite), TestClock::new());
        let builder = SqliteStore::builder().clock(Arc::new(clock.clone()));
        let store = builder.connect(&place.url).await.unwrap();
        store.migrate().await.unwrap();
        // The file must be there for as long as the store is.
        Harness::new(store).with_clock(move |span| {
            let _ = &place;
            clock.advance(span);
        })
    }

    tower_keep_testkit::conformance_tests!(harness);
}
