//! A server that pauses, restarts, or is not there.

use std::time::Duration;

use axum::http::StatusCode;
use tower_keep::LockConfig;
use tower_keep_core::{Created, SessionStore, StoreErrorKind};
use tower_keep_redis::RedisStore;

use crate::app::client;
use crate::server::Server;
use crate::storage::new_session;

async fn pause(server: &Server, span: Duration) {
    let mut cmd = redis::cmd("CLIENT");
    cmd.arg("PAUSE").arg(span.as_millis().to_string());
    cmd.exec_async(&mut server.client().await).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_pause_is_only_a_delay() {
    let server = Server::start(&[]);
    let store = RedisStore::builder().command_timeout(Duration::from_secs(60));
    let store = store.connect(&server.url()).await.unwrap();
    let locks = LockConfig {
        store_timeout: Duration::from_secs(60),
        ..LockConfig::default()
    };
    let client = client(&store, locks);
    client.get("/add").await;
    pause(&server, Duration::from_millis(300)).await;
    assert_eq!(client.get("/add").await.text(), "2");
    assert_eq!(client.get("/read").await.text(), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_pause_is_an_error_and_takes_effect_once() {
    let server = Server::start(&[]);
    let builder = RedisStore::builder().command_timeout(Duration::from_millis(200));
    let hasty = builder.connect(&server.url()).await.unwrap();
    let patient = RedisStore::builder().command_timeout(Duration::from_secs(60));
    let patient = patient.connect(&server.url()).await.unwrap();
    let new = new_session();
    pause(&server, Duration::from_secs(1)).await;
    let error = hasty.create(&new).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    // Behind the pause, and so behind what was sent before.
    let created = patient.create(&new).await.unwrap();
    assert!(matches!(created, Created::Done(_)), "{created:?}");
    let (record, _) = patient.look(new.id).await.unwrap().record.unwrap();
    assert_eq!(record.head.version, 1);
    hasty.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_connects_again_after_a_restart() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let client = client(&store, LockConfig::default());
    assert_eq!(client.get("/add").await.text(), "1");
    for (round, signal) in ["TERM", "KILL"].into_iter().enumerate() {
        server.stop(signal);
        let down = client.get("/read").await;
        assert_eq!(down.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(down.set_cookies().is_empty(), "{down:?}");
        server.start_again();
        while store.ping().await.is_err() {}
        assert_eq!(client.get("/read").await.text(), (round + 1).to_string());
        assert_eq!(client.get("/add").await.text(), (round + 2).to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_closed_meanwhile_does_not_show() {
    let server = Server::start(&[]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let client = client(&store, LockConfig::default());
    client.get("/add").await;
    for n in 2..20 {
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL")
            .arg("TYPE")
            .arg("normal")
            .arg("SKIPME")
            .arg("yes");
        kill.exec_async(&mut server.client().await).await.unwrap();
        let answer = client.get("/add").await;
        assert_eq!(answer.text(), n.to_string(), "{answer:?}");
    }
}

#[tokio::test]
async fn no_server_is_an_error_that_says_so() {
    let mut server = Server::start(&[]);
    server.stop("TERM");
    let builder = RedisStore::builder().command_timeout(Duration::from_millis(300));
    let error = builder.connect(&server.url()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let error = RedisStore::connect("nonsense").await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("URL"), "{source}");
}
