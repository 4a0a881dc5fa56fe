//! The memory store keeps the store contract, directly and through its local form.

use std::sync::Arc;

use tower_keep::MemoryStore;
use tower_keep_testkit::TestClock;
use tower_keep_testkit::conformance::{self, Harness};

#[tokio::test]
async fn memory_store() {
    conformance::run(async || {
        let clock = TestClock::new();
        let store = MemoryStore::with_clock(usize::MAX, Arc::new(clock.clone()));
        Harness::new(store).with_clock(move |span| clock.advance(span))
    })
    .await;
}
