//! G1: no lost update. Concurrent increments on one session: acknowledged ≤ count ≤ attempted, and
//! without faults exactly as many as there were requests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use common::http::{Connection, serve};
use common::{Backend, COOKIE, Client, app};
use tower_keep::{Error, LockConfig, MemoryStore, Session, SessionLayer};
use tower_keep_testkit::{NetworkStore, Rng, TestClient, TestClock, seed_or};

const REQUESTS: u64 = 1_000;

/// Waits long enough for a thousand.
fn patient() -> LockConfig {
    LockConfig {
        wait: Duration::from_secs(120),
        max_waiting: 2_000,
        ..LockConfig::default()
    }
}

/// Increments in three steps: reads, is away for a random while, writes.
fn slow_counter(seed: u64) -> Router {
    let rng = Arc::new(Mutex::new(Rng::new(seed)));
    let add = async move |session: Session| -> Result<String, Error> {
        let n: u64 = session.get_or("n", 0)?;
        let (yields, pause) = {
            let mut rng = rng.lock().unwrap();
            (rng.below(4), rng.percent(10))
        };
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        if pause {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        session.insert("n", &(n + 1))?;
        Ok((n + 1).to_string())
    };
    Router::new().route("/", get(add))
}

/// 1,000 increments over 50 keep-alive connections; the answers must be 2 to 1,001, each once.
async fn count_over_http(layer: SessionLayer, seed: u64) {
    let address = serve(slow_counter(seed).layer(layer)).await;
    let first = Connection::to(address).await.get("/", "").await;
    let cookie = first.header("set-cookie").unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();

    let connections = 50;
    let all: Vec<_> = (0..connections)
        .map(|_| {
            let cookie = cookie.clone();
            tokio::spawn(async move {
                let mut connection = Connection::to(address).await;
                let mut counts = Vec::new();
                for _ in 0..REQUESTS / connections {
                    let answer = connection.get("/", &cookie).await;
                    assert_eq!(answer.status(), 200, "{}", answer.text());
                    counts.push(answer.text().parse::<u64>().unwrap());
                }
                counts
            })
        })
        .collect();
    let mut counts = Vec::new();
    for connection in all {
        counts.extend(connection.await.unwrap());
    }
    counts.sort_unstable();
    assert!(counts.into_iter().eq(2..=REQUESTS + 1), "seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_a_thousand_increments_over_http_on_a_store_in_memory() {
    let seed = seed_or(1);
    println!("seed {seed}");
    let layer = SessionLayer::builder(MemoryStore::new()).locks(patient());
    count_over_http(layer.build().unwrap(), seed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_a_thousand_increments_over_http_on_a_store_with_io() {
    let seed = seed_or(2);
    println!("seed {seed}");
    let store = NetworkStore::new(MemoryStore::new(), seed);
    let layer = SessionLayer::builder(store).locks(patient());
    count_over_http(layer.build().unwrap(), seed).await;
}

/// A layer of its own, as a process has, over a store at the other end of a network.
fn process(store: &NetworkStore<MemoryStore>, clock: &TestClock, routes: Router) -> Client {
    let layer = SessionLayer::builder(store.clone())
        .clock(Arc::new(clock.clone()))
        .locks(patient());
    TestClient::with_body(routes.layer(layer.build().unwrap())).with_clock(clock.clone())
}

fn network(seed: u64) -> (NetworkStore<MemoryStore>, TestClock) {
    let clock = TestClock::following_tokio();
    // The server's clock is another one.
    let memory = MemoryStore::with_clock(usize::MAX, Arc::new(clock.skewed(-7_000)));
    let store = NetworkStore::new(memory, seed).latency(Duration::from_millis(3));
    (store, clock)
}

async fn count_over_two_processes(store: NetworkStore<MemoryStore>, clock: TestClock, seed: u64) {
    let processes = [
        process(&store, &clock, slow_counter(seed)),
        process(&store, &clock, slow_counter(seed + 1)),
    ];
    processes[0].get("/").await;
    processes[1].set_cookie(COOKIE, &processes[0].cookie(COOKIE).unwrap());

    store.calls().clear();
    let all: Vec<_> = (0..REQUESTS)
        .map(|i| {
            let client = processes[usize::from(i % 2 == 1)].clone();
            tokio::spawn(async move { client.get("/").await })
        })
        .collect();
    let mut counts = Vec::new();
    for request in all {
        let answer = request.await.unwrap();
        assert_eq!(answer.status(), 200, "seed {seed}: {answer:?}");
        counts.push(answer.text().parse::<u64>().unwrap());
    }
    counts.sort_unstable();
    assert!(counts.into_iter().eq(2..=REQUESTS + 1), "seed {seed}");
    let trips = store.calls().total();
    println!("seed {seed}: {trips} round trips for {REQUESTS} requests");
    assert!(trips < 2 * 1_000, "{trips} round trips");
}

#[tokio::test(start_paused = true)]
async fn g1_two_processes_and_fewer_than_two_round_trips_a_request() {
    for seed in seed_or(3)..seed_or(3) + 3 {
        let (store, clock) = network(seed);
        count_over_two_processes(store, clock, seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn g1_two_processes_that_are_woken_up() {
    let seed = seed_or(4);
    let (store, clock) = network(seed);
    count_over_two_processes(store.with_wakeups(), clock, seed).await;
}

/// Requests are dropped and replies are lost at random, in two processes.
#[tokio::test(start_paused = true)]
async fn g1_dropped_requests_and_lost_replies() {
    for seed in seed_or(5)..seed_or(5) + 5 {
        let (store, clock) = network(seed);
        let store = store.lost_replies(5).lost_requests(5);
        let processes = [
            process(&store, &clock, slow_counter(seed)),
            process(&store, &clock, slow_counter(seed + 1)),
        ];
        let first = loop {
            let answer = processes[0].get("/").await;
            if answer.status() == 200 {
                break answer;
            }
        };
        assert_eq!(first.text(), "1");
        processes[1].set_cookie(COOKIE, &processes[0].cookie(COOKIE).unwrap());

        let (attempts, mut rng) = (400, Rng::new(seed));
        let all: Vec<_> = (0..attempts)
            .map(|i| {
                let client = processes[i % 2].clone();
                let patience = rng.up_to(Duration::from_secs(20));
                let begin = rng.up_to(Duration::from_secs(2));
                tokio::spawn(async move {
                    tokio::time::sleep(begin).await;
                    let answer = tokio::time::timeout(patience, client.get("/")).await;
                    answer.is_ok_and(|answer| answer.status() == 200)
                })
            })
            .collect();
        let mut acknowledged = 1;
        for request in all {
            acknowledged += u64::from(request.await.unwrap());
        }
        let id = common::id_of(&processes[0]);
        let data = store.inner().record(id).unwrap().data;
        let count: u64 = serde_json::from_slice(data.get("n").unwrap()).unwrap();
        println!("seed {seed}: {acknowledged} acknowledged, {count} counted of {attempts}");
        assert!(
            acknowledged <= count && count <= attempts as u64 + 1,
            "seed {seed}"
        );
        assert!(
            acknowledged > 100,
            "seed {seed}: hardly anything got through"
        );
    }
}

/// Whole processes (runtimes with everything in them) vanish in the middle of their work.
#[test]
fn g1_crashing_processes() {
    let seed = seed_or(6);
    println!("seed {seed}");
    let store = NetworkStore::new(MemoryStore::new(), seed).latency(Duration::from_millis(1));
    let locks = LockConfig {
        lease: Duration::from_millis(100),
        hold: Duration::from_secs(1),
        wait: Duration::from_secs(10),
        ..patient()
    };
    let (attempted, acknowledged) = (AtomicU64::new(0), AtomicU64::new(0));
    let over = AtomicBool::new(false);
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let layer = || {
        let layer = SessionLayer::builder(store.clone()).locks(locks);
        slow_counter(seed).layer(layer.build().unwrap())
    };
    let first: Client = TestClient::with_body(layer());
    runtime().block_on(async { assert_eq!(first.get("/").await.status(), 200) });
    let cookie = first.cookie(COOKIE).unwrap();

    // Five requests at a time for as long as the process lives.
    let live = async |client: Client, rounds: u64| {
        let worker = async |client: Client| {
            for _ in 0..rounds {
                attempted.fetch_add(1, Ordering::SeqCst);
                if client.get("/").await.status() == 200 {
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
            }
        };
        let c = || client.clone();
        tokio::join!(
            worker(c()),
            worker(c()),
            worker(c()),
            worker(c()),
            worker(c())
        );
    };
    let client = || -> Client {
        let client = TestClient::with_body(layer());
        client.set_cookie(COOKIE, &cookie);
        client
    };
    std::thread::scope(|scope| {
        let steady = scope.spawn(|| {
            runtime().block_on(live(client(), 60));
            over.store(true, Ordering::SeqCst);
        });
        let mut rng = Rng::new(seed);
        let mut crashes = 0;
        while !over.load(Ordering::SeqCst) {
            let doomed = runtime();
            let lifetime = Duration::from_millis(20) + rng.up_to(Duration::from_millis(80));
            // What is dropped here ends nowhere in particular: requests, keepers, calls.
            let _ = doomed
                .block_on(async { tokio::time::timeout(lifetime, live(client(), u64::MAX)).await });
            doomed.shutdown_background();
            crashes += 1;
        }
        println!("{crashes} crashes");
        steady.join().unwrap();
    });
    let data = store.inner().record(common::id_of(&first)).unwrap().data;
    let count: u64 = serde_json::from_slice(data.get("n").unwrap()).unwrap();
    let acknowledged = acknowledged.into_inner() + 1;
    let attempted = attempted.into_inner() + 1;
    println!("{acknowledged} acknowledged, {count} counted, {attempted} attempted");
    assert!(acknowledged <= count && count <= attempted);
    // None of those in the process that lived was lost for the others' crashes.
    assert!(acknowledged >= 300, "{acknowledged}");
}

/// Failures, readers and rotations in between change nothing of the count.
#[tokio::test(start_paused = true)]
async fn g1_the_sum_is_right_after_any_mix_of_requests() {
    for backend in Backend::both() {
        let client = backend.client(app(common::Gates::default()));
        client.get("/add").await;
        let seed = seed_or(7);
        let mut rng = Rng::new(seed);
        let paths = ["/add", "/fail", "/n", "/rotate", "/nothing"];
        let (mut expected, mut all) = (1, Vec::<tokio::task::JoinHandle<_>>::new());
        for _ in 0..60 {
            let path = *rng.pick(&paths).unwrap();
            // A rotation makes those stale that wait behind it, so it waits for them.
            if path == "/rotate" {
                for request in std::mem::take(&mut all) {
                    request.await.unwrap();
                }
                client.get(path).await;
                continue;
            }
            expected += u64::from(path == "/add");
            all.push(common::start(&client, path));
        }
        for request in all {
            request.await.unwrap();
        }
        assert_eq!(
            client.get("/n").await.text(),
            expected.to_string(),
            "{}, seed {seed}",
            backend.name
        );
    }
}
