//! The contract's suite on every engine.

use tower_keep_testkit::conformance::Harness;

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
