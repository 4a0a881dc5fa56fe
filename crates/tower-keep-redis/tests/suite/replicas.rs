//! Commits that replicas have confirmed.

use std::error::Error;
use std::time::Duration;

use tower_keep_core::{Created, SessionStore, StoreErrorKind};
use tower_keep_redis::RedisStore;
use tower_keep_testkit::conformance::{Harness, run_case};

use crate::app::client;
use crate::server::{Server, prefix};
use crate::storage::new_session;

/// A primary and a replica that has caught up.
async fn pair() -> (Server, Server) {
    let primary = Server::start(&["--repl-diskless-sync-delay", "0"]);
    let port = primary.port().to_string();
    let replica = Server::start(&["--replicaof", "127.0.0.1", &port]);
    primary.has_replicas(1).await;
    (primary, replica)
}

async fn confirmed(server: &Server, timeout: Duration) -> RedisStore {
    let builder = RedisStore::builder()
        .prefix(prefix())
        .command_timeout(Duration::from_secs(20))
        .wait_for_replicas(1, timeout);
    builder.connect(&server.url()).await.unwrap()
}

/// Everything a server holds under a key.
async fn hash(server: &Server, key: &str) -> Vec<(String, Vec<u8>)> {
    let mut all = redis::cmd("HGETALL");
    let mut client = server.client().await;
    all.arg(key).query_async(&mut client).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_on_the_replica() {
    let (primary, replica) = pair().await;
    let store = confirmed(&primary, Duration::from_secs(10)).await;
    let client = client(&store, tower_keep::LockConfig::default());
    let mut keys = redis::cmd("KEYS");
    keys.arg("*");
    for n in 1..50_u64 {
        assert_eq!(client.get("/add").await.text(), n.to_string());
        let keys: Vec<String> = keys.query_async(&mut replica.client().await).await.unwrap();
        let [key] = &keys[..] else { panic!("{keys:?}") };
        // The version stands behind the format and the revision.
        let found = hash(&replica, key).await;
        let (_, head) = found.iter().find(|(field, _)| field == "h").unwrap();
        assert_eq!(head[9..17], n.to_be_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_replica_nothing_is_acknowledged() {
    let (primary, replica) = pair().await;
    let store = confirmed(&primary, Duration::from_millis(100)).await;
    // It stays connected, so what it had before still counts.
    replica.signal("STOP");
    let new = new_session();
    for _ in 0..2 {
        // Also the second time, when it is there already.
        let error = store.create(&new).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        let source = error.source().unwrap().to_string();
        assert!(
            source.starts_with("applied, but confirmed by 0 of 1"),
            "{source}"
        );
    }
    replica.signal("CONT");
    let created = loop {
        if let Ok(created) = store.create(&new).await {
            break created;
        }
    };
    assert!(matches!(created, Created::Done(_)), "{created:?}");
    let (record, _) = store.look(new.id).await.unwrap().record.unwrap();
    assert_eq!(record.head.version, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_are_the_same() {
    let (primary, _replica) = pair().await;
    let primary = &primary;
    for case in [
        "create::is_done_again",
        "finish::is_done_again",
        "finish::destroys",
        "late::dropped_finish",
        "late::dropped_create",
        "concurrency::increments_are_exact",
        "concurrency::one_commit_is_applied",
    ] {
        let harness =
            || async move { Harness::new(confirmed(primary, Duration::from_secs(10)).await) };
        run_case(case, harness).await.unwrap();
    }
}
