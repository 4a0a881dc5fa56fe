//! The store contract, with what is over swept and with it left to Redis.

use std::time::Duration;

use tower_keep::EncryptedStore;
use tower_keep::keys::{KeyRing, SecretKey};
use tower_keep_redis::{RedisStore, RedisStoreBuilder};
use tower_keep_testkit::conformance::Harness;

use crate::server::{prefix, shared_url};

/// For harnesses that leave it to Redis to remove what is over.
pub(crate) fn by_itself(builder: RedisStoreBuilder) -> RedisStoreBuilder {
    builder.keep_expired(Duration::from_secs(5))
}

mod swept {
    use super::*;

    async fn harness() -> Harness {
        let builder = RedisStore::builder().prefix(prefix()).scan_to_sweep(true);
        Harness::new(builder.connect(shared_url()).await.unwrap())
    }

    tower_keep_testkit::conformance_tests!(harness);
}

/// The same, with the data encrypted.
mod encrypted {
    use super::*;

    async fn harness() -> Harness {
        let builder = RedisStore::builder().prefix(prefix()).scan_to_sweep(true);
        let store = builder.connect(shared_url()).await.unwrap();
        let key = SecretKey::from_bytes([7; 32]).unwrap();
        Harness::new(EncryptedStore::new(store, &KeyRing::new(key)))
    }

    tower_keep_testkit::conformance_tests!(harness);
}

mod left_to_redis {
    use super::*;

    async fn harness() -> Harness {
        let builder = by_itself(RedisStore::builder().prefix(prefix()));
        Harness::new(builder.connect(shared_url()).await.unwrap()).expires_by_itself()
    }

    tower_keep_testkit::conformance_tests!(harness);
}
