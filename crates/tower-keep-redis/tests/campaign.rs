//! Random requests of several processes on one server that closes their connections.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use tower_keep_campaign::{Campaign, is_worker, work};
use tower_keep_redis::RedisStore;

#[expect(dead_code, reason = "the suite needs more of it")]
#[path = "suite/server.rs"]
mod server;

use server::Server;

const URL: &str = "KEEP_WORKER_URL";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "by chance, and alone: ./test.sh runs it by itself"]
async fn a_campaign_finds_nothing() {
    if is_worker() {
        let url = std::env::var(URL).unwrap();
        let store = loop {
            // Its first connection may be closed like any.
            if let Ok(store) = RedisStore::connect(&url).await {
                break store;
            }
        };
        return work(store, false).await;
    }
    // Its own: others would miss their connections.
    let server = Server::start(&[]);
    let campaign = Campaign {
        name: "redis",
        test: "a_campaign_finds_nothing",
        place: vec![(URL.to_owned(), server.url())],
    };
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let close = async || {
        let mut kill = redis::cmd("CLIENT");
        kill.arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]);
        kill.exec_async(&mut server.client().await).await.unwrap();
    };
    campaign.run(store, close).await;
}
