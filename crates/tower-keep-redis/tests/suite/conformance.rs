//! The store contract.

use tower_keep_testkit::conformance::Harness;

use crate::server::{prefix, shared_url};
use tower_keep_redis::RedisStore;

async fn harness() -> Harness {
    let store = RedisStore::builder()
        .prefix(prefix())
        .scan_to_sweep(true)
        .connect(shared_url())
        .await
        .unwrap();
    Harness::new(store)
}

tower_keep_testkit::conformance_tests!(harness);
