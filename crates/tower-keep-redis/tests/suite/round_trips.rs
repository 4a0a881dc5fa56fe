//! What a request costs, counted by the server.

use std::collections::BTreeMap;

use http::StatusCode;
use tower_keep_redis::RedisStore;

use crate::app::{Client, client};
use crate::server::Server;

/// The commands that a script calls.
const WITHIN: [&str; 12] = [
    "time",
    "hget",
    "hmget",
    "hset",
    "hdel",
    "pexpireat",
    "zadd",
    "zrange",
    "zrem",
    "zremrangebyscore",
    "zrevrange",
    "zscore",
];

/// The commands that ran while requesting `path`, and how often.
async fn commands(server: &Server, client: &Client, path: &str) -> BTreeMap<String, u64> {
    let before = server.calls().await;
    let answer = client.get(path).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}: {answer:?}");
    // The look itself.
    let aside = |name: &str| name == "info" || name.starts_with("client");
    let after = server.calls().await.into_iter();
    after
        .map(|(name, calls)| {
            let was = before.get(&name).copied().unwrap_or_default();
            (name, calls - was)
        })
        .filter(|(name, calls)| *calls > 0 && !aside(name))
        .collect()
}

/// Those of them that came over the network.
async fn cost(server: &Server, client: &Client, path: &str) -> BTreeMap<String, u64> {
    let mut commands = commands(server, client, path).await;
    commands.retain(|name, _| !WITHIN.contains(&name.as_str()));
    commands
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_runs_no_script() {
    let server = Server::start(&[]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let client = client(&store, tower_keep::LockConfig::default());
    client.get("/add").await;
    // Both in one round trip.
    let both = ["hmget", "time"].map(|name| (name.to_owned(), 1));
    for _ in 0..2 {
        let commands = commands(&server, &client, "/read").await;
        assert_eq!(commands, BTreeMap::from(both.clone()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_is_one_round_trip() {
    let server = Server::start(&[]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let client = client(&store, tower_keep::LockConfig::default());
    // The server learns the scripts.
    for path in ["/add", "/login", "/read", "/rotate", "/logout", "/add"] {
        client.get(path).await;
    }
    for (path, trips) in [
        ("/add", 2),
        ("/rotate", 2),
        // The index of the user may be on another server: enter it, commit, confirm.
        ("/login", 4),
        ("/logout", 2),
        // Without a session: an open for the cookie that is not there is not needed.
        ("/add", 1),
        ("/add", 2),
    ] {
        let cost = cost(&server, &client, path).await;
        println!("{path}: {cost:?}");
        assert_eq!(
            cost,
            BTreeMap::from([("evalsha".to_owned(), trips)]),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_of_the_scripts_shows_only_in_the_cost() {
    let server = Server::start(&[]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let client = client(&store, tower_keep::LockConfig::default());
    client.get("/add").await;
    for n in 2..5 {
        let mut admin = server.client().await;
        let flush = redis::cmd("SCRIPT")
            .arg("FLUSH")
            .exec_async(&mut admin)
            .await;
        flush.unwrap();
        assert_eq!(client.get("/add").await.text(), n.to_string());
        assert_eq!(client.get("/read").await.text(), n.to_string());
    }
    let calls = server.calls().await;
    assert!(
        calls.get("eval").is_some_and(|calls| *calls >= 6),
        "{calls:?}"
    );
}
