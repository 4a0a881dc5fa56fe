//! The contract's suite on every engine.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower_keep::keys::{KeyRing, SecretKey};
use tower_keep::{EncryptedStore, SessionStore};
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

fn encrypted<S: SessionStore>(store: S) -> EncryptedStore<S> {
    let key = SecretKey::from_bytes([7; 32]).unwrap();
    EncryptedStore::new(store, &KeyRing::new(key))
}

/// The same, with the data encrypted.
mod sqlite_encrypted {
    use std::sync::Arc;

    use tower_keep_sqlx::SqliteStore;
    use tower_keep_testkit::TestClock;

    use super::{Harness, encrypted};

    async fn harness() -> Harness {
        let clock = TestClock::new();
        let store = SqliteStore::builder().clock(Arc::new(clock.clone()));
        let store = store.connect("sqlite::memory:").await.unwrap();
        store.migrate().await.unwrap();
        Harness::new(encrypted(store)).with_clock(move |span| clock.advance(span))
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
async fn side_by_side<F>(harness: impl Fn() -> F + Clone + Send + Sync + 'static)
where
    F: Future<Output = Harness> + Send,
{
    // Each has connections that nobody else gets meanwhile.
    let (room, mut running) = (Arc::new(Semaphore::new(12)), JoinSet::new());
    for (name, _) in cases() {
        let (room, harness) = (room.clone(), harness.clone());
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

#[tokio::test(flavor = "multi_thread")]
async fn postgres_behind_pgbouncer_in_session_mode() {
    side_by_side(|| async {
        Harness::new(Place::behind("KEEP_PGBOUNCER_SESSION_URL").store().await)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_postgres_with_its_data_encrypted() {
    side_by_side(|| async { Harness::new(encrypted(Place::new(Engine::Postgres).store().await)) })
        .await;
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
