//! Requests that are dropped at any moment, while the server is at work for them.

use tower_keep::DynStore;
use tower_keep_campaign::drops;
use tower_keep_redis::RedisStore;

use crate::server::{prefix, shared_url};

#[tokio::test]
async fn a_request_dropped_at_any_moment_is_committed_or_was_not() {
    let store = async || {
        let store = RedisStore::builder().prefix(prefix()).connect(shared_url());
        (DynStore::new(store.await.unwrap()), ())
    };
    assert!(drops("redis", 4, store).await > 100);
}
