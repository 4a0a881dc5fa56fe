//! Redis Sentinel: a primary, two replicas, three sentinels.

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use tokio::runtime::Runtime;
use tower_keep_core::{CommitId, Finish, Op, Open, Opened, Owner, SessionStore, StoreErrorKind};
use tower_keep_redis::{RedisStore, RedisStoreBuilder};
use tower_keep_testkit::conformance::Harness;

use crate::app::{Client, client, locks};
use crate::server::{Server, prefix};
use crate::storage::new_session;

const SERVICE: &str = "keep";
const PRIMARY_URL: &str = "redis://shop:password-1@primary/3";

struct Watched {
    /// The first is the primary, until it fails.
    servers: Vec<Server>,
    sentinels: Vec<Server>,
}

impl Watched {
    async fn start() -> Self {
        let user = ["--user", "shop", "on", ">password-1", "~*", "&*", "+@all"];
        let common = [&user[..], &["--repl-diskless-sync-delay", "0"]].concat();
        let primary = Server::start(&common);
        let port = primary.port().to_string();
        let of_it = ["--replicaof", "127.0.0.1", &port];
        let replica = || Server::start(&[&common[..], &of_it].concat());
        let servers = vec![primary, replica(), replica()];
        servers[0].has_replicas(2).await;
        // Sentinels ping once a second, or in this time if it is less. Were it no more than that, one
        // who has just learnt of a new primary would take it for dead, and the next primary might be
        // the old one, that came back with nothing.
        let lines = [
            &format!("sentinel monitor {SERVICE} 127.0.0.1 {port} 2"),
            &format!("sentinel down-after-milliseconds {SERVICE} 3000"),
            &format!("sentinel failover-timeout {SERVICE} 5000"),
            "user watcher on >password-2 ~* &* +@all",
        ];
        let sentinels = (0..3).map(|_| Server::start_sentinel(&lines)).collect();
        let watched = Self { servers, sentinels };
        let known = |primary: &HashMap<String, String>| {
            primary["num-other-sentinels"] == "2" && primary["num-slaves"] == "2"
        };
        for sentinel in &watched.sentinels {
            let mut client = sentinel.client().await;
            let mut ask = redis::cmd("SENTINEL");
            ask.arg("MASTER").arg(SERVICE);
            until(async || known(&ask.query_async(&mut client).await.unwrap())).await;
        }
        watched
    }

    async fn connect(&self, builder: RedisStoreBuilder) -> RedisStore {
        let urls = self.urls("watcher:password-2@");
        let urls: Vec<_> = urls.iter().map(String::as_str).collect();
        let builder = builder.prefix(prefix()).primary_url(PRIMARY_URL);
        builder.connect_sentinel(SERVICE, &urls).await.unwrap()
    }

    fn urls(&self, login: &str) -> Vec<String> {
        let url = |server: &Server| server.url().replace("//", &format!("//{login}"));
        self.sentinels.iter().map(url).collect()
    }

    fn primary(&self) -> &Server {
        &self.servers[0]
    }
}

async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition().await {
        assert!(Instant::now() < end, "it does not come about");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn builder() -> RedisStoreBuilder {
    RedisStore::builder().command_timeout(Duration::from_secs(2))
}

/// The servers of the cases below, which share them until the process ends.
fn shared() -> &'static Watched {
    static WATCHED: OnceLock<Watched> = OnceLock::new();
    let start = || Runtime::new().unwrap().block_on(Watched::start());
    WATCHED.get_or_init(|| thread::spawn(start).join().unwrap())
}

async fn harness() -> Harness {
    let builder = RedisStore::builder().scan_to_sweep(true);
    Harness::new(shared().connect(builder).await)
}

tower_keep_testkit::conformance_tests!(harness);

#[tokio::test(flavor = "multi_thread")]
async fn primary_and_sentinels_have_users_of_their_own() {
    let watched = shared();
    let _store = watched.connect(builder()).await;
    let mut list = redis::cmd("CLIENT");
    list.arg("LIST");
    for (server, user) in [
        (watched.primary(), " db=3 "),
        (watched.primary(), " user=shop "),
        (&watched.sentinels[0], " user=watcher "),
    ] {
        let clients: String = list.query_async(&mut server.client().await).await.unwrap();
        assert!(clients.contains(user), "no{user}in {clients}");
    }
    let url = "redis://shop:password-3@primary/3";
    for (primary, login, service, why) in [
        (url, "watcher:password-2@", SERVICE, "password"),
        (PRIMARY_URL, "watcher:password-4@", SERVICE, "password"),
        (PRIMARY_URL, "watcher:password-2@", "other", "of this name"),
    ] {
        let urls = watched.urls(login);
        let urls: Vec<_> = urls.iter().map(String::as_str).collect();
        let builder = builder().primary_url(primary);
        assert!(!format!("{builder:?}").contains("password-"));
        let error = builder.connect_sentinel(service, &urls).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        let source = error.source().unwrap().to_string();
        assert!(source.contains(why), "{source}");
        assert!(!source.contains("password-"), "{source}");
    }
    let mixed = ["redis://a@127.0.0.1:1/", "redis://b@127.0.0.1:1/"];
    let error = builder().connect_sentinel(SERVICE, &mixed).await;
    let source = error.unwrap_err().source().unwrap().to_string();
    assert!(source.contains("the same user"), "{source}");
}

/// A visitor who counts until told to stop.
struct Visitor {
    client: Client,
    tried: AtomicU64,
    acknowledged: AtomicU64,
}

impl Visitor {
    async fn count(self: Arc<Self>, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            self.tried.fetch_add(1, Ordering::Relaxed);
            let answer = self.client.get("/add").await;
            match answer.status() {
                StatusCode::OK => drop(self.acknowledged.fetch_add(1, Ordering::Relaxed)),
                StatusCode::SERVICE_UNAVAILABLE => {}
                _ => panic!("{answer:?}"),
            }
        }
    }

    /// Waits until it has counted some more.
    async fn goes_on(&self) {
        let before = self.acknowledged.load(Ordering::Relaxed);
        until(async || self.acknowledged.load(Ordering::Relaxed) >= before + 3).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_survives_the_death_of_the_primary() {
    let mut watched = Watched::start().await;
    let confirmed = builder().wait_for_replicas(1, Duration::from_secs(1));
    let store = watched.connect(confirmed).await;
    let (app, stop) = (client(&store, locks()), Arc::new(AtomicBool::new(false)));
    let mut visitors = Vec::new();
    for _ in 0..6 {
        let client = app.fork();
        assert_eq!(client.get("/add").await.status(), StatusCode::OK);
        visitors.push(Arc::new(Visitor {
            client,
            tried: AtomicU64::new(1),
            acknowledged: AtomicU64::new(1),
        }));
    }
    let counting = visitors.iter().cloned();
    let counting = counting.map(|visitor| tokio::spawn(visitor.count(stop.clone())));
    let counting: Vec<_> = counting.collect();
    for visitor in &visitors {
        visitor.goes_on().await;
    }
    watched.servers[0].stop("KILL");
    let killed = Instant::now();
    visitors[0].goes_on().await;
    println!("three more commits {:?} after the kill", killed.elapsed());

    // It takes itself for the primary, with nothing in it, until the sentinels notice.
    watched.servers[0].start_again();
    let role = async |role: &str| {
        // The sentinels close connections too.
        let mut client = watched.primary().client().await;
        let cmd = redis::cmd("ROLE");
        let answer = cmd.query_async::<redis::Value>(&mut client).await;
        format!("{answer:?}").contains(role)
    };
    assert!(role("master").await);
    until(async || role("slave").await).await;
    println!(
        "the old primary is a replica {:?} after the kill",
        killed.elapsed()
    );
    for visitor in &visitors {
        visitor.goes_on().await;
    }
    let calls = watched.primary().calls().await;
    assert!(
        !calls.contains_key("eval") && !calls.contains_key("evalsha"),
        "{calls:?}"
    );
    // A replica gets what the scripts did, not the scripts.
    until(async || watched.primary().calls().await.contains_key("hset")).await;

    stop.store(true, Ordering::Relaxed);
    for task in counting {
        task.await.unwrap();
    }
    for visitor in &visitors {
        let count: u64 = visitor.client.get("/read").await.text().parse().unwrap();
        let tried = visitor.tried.load(Ordering::Relaxed);
        let acknowledged = visitor.acknowledged.load(Ordering::Relaxed);
        println!("{acknowledged} acknowledged <= {count} counted <= {tried} tried");
        assert!(acknowledged <= count && count <= tried);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_hangs_is_left_also_by_who_listens() {
    let watched = Watched::start().await;
    let store = watched.connect(builder()).await;
    let wakeups = store.wakeups().unwrap();
    let new = new_session();
    store.create(&new).await.unwrap();
    let opening = |owner| Open {
        id: new.id,
        secret: None,
        age: Duration::ZERO,
        touch: None,
        lease: Some((owner, Duration::from_secs(600))),
    };
    let wake = async || {
        let owner = Owner::unique();
        let opened = store.open(&opening(owner)).await.unwrap();
        assert!(matches!(opened, Opened::Granted(_)), "{opened:?}");
        let woken = wakeups.released(new.id);
        let opened = store.open(&opening(Owner::unique())).await.unwrap();
        assert!(matches!(opened, Opened::Busy(_)), "{opened:?}");
        let finish = Finish {
            id: new.id,
            owner,
            version: 0,
            commit: CommitId::unique(),
            op: Op::Release,
            next: None,
        };
        store.finish(&finish).await.unwrap();
        tokio::time::timeout(Duration::from_secs(30), woken)
            .await
            .unwrap();
    };
    wake().await;
    watched.primary().has_replicas(2).await;
    watched.primary().signal("STOP");
    let stopped = Instant::now();
    let error = store.ping().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    until(async || store.ping().await.is_ok()).await;
    println!(
        "it answers again {:?} after the primary hangs",
        stopped.elapsed()
    );
    wake().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_a_replica_refuses_is_asked_again() {
    let watched = Watched::start().await;
    let builder = builder().command_timeout(Duration::from_secs(60));
    let store = watched.connect(builder).await;
    let locks = tower_keep::LockConfig {
        store_timeout: Duration::from_secs(60),
        ..locks()
    };
    let client = client(&store, locks);
    assert_eq!(client.get("/add").await.text(), "1");
    let mut admin = watched.primary().client().await;
    let mut replica_of = async |host: &str, port: &str| {
        let mut cmd = redis::cmd("REPLICAOF");
        cmd.arg(host).arg(port);
        cmd.exec_async(&mut admin).await.unwrap();
    };
    replica_of("127.0.0.1", "1").await;
    let adding = tokio::spawn({
        let client = client.clone();
        async move { client.get("/add").await.text() }
    });
    let mut stats = redis::cmd("INFO");
    stats.arg("errorstats");
    let admin = watched.primary().client().await;
    until(async || {
        let stats: String = stats.query_async(&mut admin.clone()).await.unwrap();
        stats.contains("errorstat_READONLY")
    })
    .await;
    replica_of("NO", "ONE").await;
    assert_eq!(adding.await.unwrap(), "2");
}
