//! A whole life of sessions on their stores in memory.

use std::sync::Arc;

use tower_keep::{MigratingStore, SessionStore};
use tower_keep_testkit::TestClock;

use crate::life::{COOKIE, client, clock, no_increment_is_lost, whole_life};

mod v14 {
    use super::*;
    use crate::life::on;
    use tower_sessions_memory_store::MemoryStore;

    fn store(clock: &TestClock) -> impl SessionStore + use<> {
        on(MemoryStore::default(), clock).build()
    }

    #[tokio::test]
    async fn f1_a_whole_life_on_their_store() {
        whole_life(store).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn f1_no_increment_is_lost() {
        no_increment_is_lost(store).await;
    }

    #[tokio::test]
    async fn f1_sessions_move_on_to_another_store() {
        let clock = clock();
        let theirs = on(MemoryStore::default(), &clock).build();
        let before = client(theirs.clone(), &clock);
        before.get("/login/ann").await;
        before.get("/add").await;

        let ours = tower_keep::MemoryStore::with_clock(8, Arc::new(clock.clone()));
        let after = client(MigratingStore::new(ours.clone(), theirs), &clock);
        after.set_cookie(COOKIE, &before.cookie(COOKIE).unwrap());
        assert_eq!(after.get("/add").await.text(), "2");
        assert_eq!(after.get("/who").await.text(), "ann 2");
        assert_eq!(ours.len(), 1);
        assert_eq!(before.get("/who").await.text(), "nobody 0", "it is in both");
    }
}

#[cfg(feature = "v15")]
mod v15 {
    use super::*;
    use tower_keep_tower_sessions::Bridged15;
    use tower_sessions_memory_store_015::MemoryStore;

    fn store(clock: &TestClock) -> impl SessionStore + use<> {
        let store = Bridged15::builder(MemoryStore::default());
        store.clock(Arc::new(clock.clone())).build()
    }

    #[tokio::test]
    async fn f1_a_whole_life_on_their_store() {
        whole_life(store).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn f1_no_increment_is_lost() {
        no_increment_is_lost(store).await;
    }
}
