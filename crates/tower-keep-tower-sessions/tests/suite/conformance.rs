//! The contract over stores of theirs. They remove what is over by themselves, by the system's
//! clock; the bridge judges by its own.

use tower_keep::SessionStore;
use tower_keep_testkit::TestClock;
use tower_keep_testkit::conformance::Harness;
use tower_keep_tower_sessions::Bridged14;

use crate::life::{clock, on};
use crate::rows::Rows;

fn moved(store: impl SessionStore, clock: TestClock) -> Harness {
    Harness::new(store)
        .with_clock(move |span| clock.advance(span))
        .expires_by_itself()
}

mod memory_14 {
    use super::*;
    use tower_sessions_memory_store::MemoryStore;

    async fn harness() -> Harness {
        let clock = clock();
        moved(on(MemoryStore::default(), &clock).build(), clock)
    }

    tower_keep_testkit::conformance_tests!(harness);
}

#[cfg(feature = "v15")]
mod memory_15 {
    use super::*;
    use crate::life::KEEP;
    use std::sync::Arc;
    use tower_keep_tower_sessions::Bridged15;
    use tower_sessions_memory_store_015::MemoryStore;

    async fn harness() -> Harness {
        let clock = clock();
        let store = Bridged15::builder(MemoryStore::default())
            .keep_expired(KEEP)
            .clock(Arc::new(clock.clone()));
        moved(store.build(), clock)
    }

    tower_keep_testkit::conformance_tests!(harness);
}

mod moka_14 {
    use super::*;
    use tower_sessions_moka_store::MokaStore;

    async fn harness() -> Harness {
        let clock = clock();
        moved(on(MokaStore::new(None), &clock).build(), clock)
    }

    tower_keep_testkit::conformance_tests!(harness);
}

mod moka_before_memory_14 {
    use super::*;
    use tower_sessions_core_014::CachingSessionStore;
    use tower_sessions_memory_store::MemoryStore;
    use tower_sessions_moka_store::MokaStore;

    async fn harness() -> Harness {
        let clock = clock();
        // A cache that forgets at once, and one that forgets nothing.
        let store = CachingSessionStore::new(MokaStore::new(Some(1)), MemoryStore::default());
        let store = CachingSessionStore::new(MokaStore::new(None), store);
        moved(on(store, &clock).build(), clock)
    }

    tower_keep_testkit::conformance_tests!(harness);
}

/// With nothing moved: their clock and ours are one, and their sweep removes what is over.
mod system_clock {
    use super::*;
    use std::time::Duration;

    async fn harness() -> Harness {
        let store = Bridged14::builder(Rows::default())
            .keep_expired(Duration::from_secs(5))
            .sweep_expired();
        Harness::new(store.build()).expires_by_itself()
    }

    tower_keep_testkit::conformance_tests!(harness);
}
