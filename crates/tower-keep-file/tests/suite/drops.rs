//! Requests that are dropped at any moment, while a thread is at work on the session's file.

use tower_keep::DynStore;
use tower_keep::core::SystemClock;
use tower_keep_campaign::drops;
use tower_keep_file::Durability;

use crate::common::store_in_memory;

#[tokio::test]
async fn a_request_dropped_at_any_moment_is_committed_or_was_not() {
    let store = async || {
        let store = store_in_memory(SystemClock::default(), Durability::default());
        (DynStore::new(store), ())
    };
    assert!(drops("file", 8, store).await > 100);
}
