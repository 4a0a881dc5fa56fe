//! Redis Cluster: three primaries with a replica each.

use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use axum::http::StatusCode;
use tokio::runtime::Runtime;
use tower_keep_core::{SessionStore, Token};
use tower_keep_redis::{RedisStore, RedisStoreBuilder};
use tower_keep_testkit::conformance::Harness;

use crate::app::{COOKIE, Client, client, locks};
use crate::conformance::by_itself;
use crate::server::{Server, prefix};

struct Cluster(Vec<Server>);

impl Cluster {
    /// The first three nodes are the primaries.
    async fn start() -> Self {
        let args = [
            ["--cluster-enabled", "yes"],
            ["--cluster-node-timeout", "1000"],
            ["--repl-diskless-sync-delay", "0"],
        ];
        let args = args.concat();
        let nodes: Vec<_> = (0..6).map(|_| Server::start(&args)).collect();
        let created = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(
                nodes
                    .iter()
                    .map(|node| format!("127.0.0.1:{}", node.port())),
            )
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .stdout(Stdio::null())
            .status();
        assert!(created.unwrap().success(), "redis-cli makes no cluster");
        for primary in &nodes[..3] {
            primary.has_replicas(1).await;
        }
        Self(nodes)
    }

    fn urls(&self) -> Vec<String> {
        self.0.iter().map(Server::url).collect()
    }

    async fn connect(&self, builder: RedisStoreBuilder) -> RedisStore {
        let urls = self.urls();
        let urls: Vec<_> = urls.iter().map(String::as_str).collect();
        loop {
            // Right after its creation it may not be complete yet.
            if let Ok(store) = builder.clone().connect_cluster(&urls).await {
                return store;
            }
        }
    }
}

fn builder() -> RedisStoreBuilder {
    RedisStore::builder()
        .prefix(prefix())
        .command_timeout(Duration::from_secs(5))
}

/// Visitors whose sessions fall into many slots.
async fn visitors(store: &RedisStore) -> Vec<Client> {
    let client = client(store, locks());
    let mut visitors = Vec::new();
    for _ in 0..48 {
        let visitor = client.fork();
        visitor.clear_cookies();
        let answer = visitor.get("/add").await;
        assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
        visitors.push(visitor);
    }
    visitors
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_spread_and_each_is_in_one_slot() {
    let cluster = Cluster::start().await;
    let store = cluster.connect(builder()).await;
    let visitors = visitors(&store).await;
    for path in ["/read", "/rotate", "/login", "/add", "/read", "/logout"] {
        for visitor in &visitors {
            let answer = visitor.get(path).await;
            assert_eq!(answer.status(), StatusCode::OK, "{path}: {answer:?}");
        }
    }
    for primary in &cluster.0[..3] {
        let mut client = primary.client().await;
        let size: u64 = redis::cmd("DBSIZE").query_async(&mut client).await.unwrap();
        assert!(size > 0, "a node without sessions");
    }
}

/// The cluster of the cases below, which share it until the process ends.
fn shared() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let start = || Runtime::new().unwrap().block_on(Cluster::start());
    CLUSTER.get_or_init(|| thread::spawn(start).join().unwrap())
}

async fn harness() -> Harness {
    let store = shared().connect(by_itself(builder())).await;
    Harness::new(store).expires_by_itself()
}

tower_keep_testkit::conformance_tests!(harness);

#[tokio::test(flavor = "multi_thread")]
async fn confirmed_commits_survive_the_death_of_a_primary() {
    let mut cluster = Cluster::start().await;
    let builder = builder().wait_for_replicas(1, Duration::from_secs(2));
    let store = cluster.connect(builder).await;
    let visitors = visitors(&store).await;
    let mut counts = vec![1_u64; visitors.len()];
    for (visitor, count) in visitors.iter().zip(&mut counts) {
        for _ in 0..3 {
            let answer = visitor.get("/add").await;
            if answer.status() == StatusCode::OK {
                *count = answer.text().parse().unwrap();
            }
        }
        assert_eq!(*count, 4);
    }
    cluster.0[0].stop("KILL");
    for (visitor, count) in visitors.iter().zip(&counts) {
        let id = Token::parse(visitor.cookie(COOKIE).unwrap().as_bytes(), "")
            .unwrap()
            .id();
        let answer = loop {
            let answer = visitor.get("/read").await;
            if answer.status() == StatusCode::OK {
                break answer;
            }
            assert_eq!(
                answer.status(),
                StatusCode::SERVICE_UNAVAILABLE,
                "{answer:?}"
            );
        };
        assert_eq!(answer.text(), count.to_string(), "{id}");
        store.look(id).await.unwrap();
    }
}
