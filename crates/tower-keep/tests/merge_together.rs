//! B16 at a store that does I/O: merges that come while another one commits are one commit.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use common::{Backend, Client, MINUTE, add, id_of, settle, start};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::task::JoinHandle;
use tower_keep::{
    DataLimits, Error, LockConfig, MemoryStore, MergeSession, Session, SessionLayer, SessionStore,
    StoreErrorKind,
};
use tower_keep_testkit::{
    Fault, FaultStore, Gate, NetworkStore, Script, TestClient, TestResponse, Verb, seed_or,
};

fn routes() -> Router {
    let set =
        async |s: MergeSession, Path((key, value)): Path<(String, i64)>| s.insert(key, &value);
    let copy = async |s: MergeSession, Path((from, to)): Path<(String, String)>| {
        let value: Option<Value> = s.get(from)?;
        s.insert(to, &value)
    };
    let big = async |s: MergeSession, Path(key): Path<String>| s.insert(key, &"x".repeat(600));
    Router::new()
        .route("/add", get(add))
        .route("/text", get(async |s: Session| s.insert("text", "none")))
        .route("/logout", get(async |s: Session| s.destroy().map(drop)))
        .route("/rotate", get(async |s: Session| s.rotate()))
        .route("/merge/add/{key}", get(merge_add))
        .route("/merge/set/{key}/{value}", get(set))
        .route("/merge/copy/{from}/{to}", get(copy))
        .route("/merge/big/{key}", get(big))
        .route("/merge/commit", get(commit))
}

async fn merge_add(session: MergeSession, Path(key): Path<String>) -> Result<(), Error> {
    session.increment(key, 1)
}

/// Tells what became of the commit.
async fn commit(session: MergeSession) -> Result<String, Error> {
    session.increment("n", 1)?;
    Ok(format!("{:?}", session.commit().await))
}

/// A session whose `first` is being counted up: that commit is at the store, and waits.
struct Scene {
    backend: Backend,
    client: Client,
    first: JoinHandle<TestResponse>,
    gate: Gate,
}

impl Scene {
    async fn new() -> Self {
        Self::of(LockConfig::default()).await
    }

    async fn of(locks: LockConfig) -> Self {
        let backend = Backend::remote();
        let limits = DataLimits {
            max_size: 1_500,
            ..DataLimits::default()
        };
        let client = backend.client_of(routes(), backend.layer().locks(locks).data_limits(limits));
        for path in ["/add", "/text"] {
            assert_eq!(client.get(path).await.status(), 200);
        }
        let gate = Gate::new();
        let script = Script::new().nth_of(Verb::Finish, 1, Fault::DelayAfter(gate.clone()));
        backend.faults.set_script(script);
        let first = start(&client.fork(), "/merge/add/first");
        gate.arrived(1).await;
        backend.faults.calls().clear();
        Self {
            backend,
            client,
            first,
            gate,
        }
    }

    /// Those who come meanwhile, one after the other.
    async fn join(&self, path: &str) -> JoinHandle<TestResponse> {
        let task = start(&self.client.fork(), path);
        settle().await;
        task
    }

    async fn join_all(&self, path: &str, count: usize) -> Vec<JoinHandle<TestResponse>> {
        let mut tasks = Vec::new();
        for _ in 0..count {
            tasks.push(self.join(path).await);
        }
        tasks
    }

    /// Lets the first one go, and tells what becomes of it and of the others.
    async fn end(self, tasks: Vec<JoinHandle<TestResponse>>) -> (Value, Vec<u16>) {
        self.gate.open();
        assert_eq!(self.first.await.unwrap().status(), 200);
        let mut statuses = Vec::new();
        for task in tasks {
            statuses.push(task.await.unwrap().status().as_u16());
        }
        let data = self.backend.data(id_of(&self.client))["data"].clone();
        (data, statuses)
    }
}

#[tokio::test(start_paused = true)]
async fn b16_those_who_come_meanwhile_are_one_commit() {
    let scene = Scene::new().await;
    let backend = scene.backend.clone();
    let calls = backend.faults.calls();
    let before = scene.backend.record(&scene.client).head.version;
    let tasks = scene.join_all("/merge/add/n", 50).await;
    assert_eq!((calls.of(Verb::Open), calls.of(Verb::Finish)), (50, 0));
    let client = scene.client.clone();
    let (data, statuses) = scene.end(tasks).await;
    assert_eq!(statuses, [200; 50]);
    assert_eq!(data, json!({"n": 51, "text": "none", "first": 1}));
    // Each has loaded, and all of them were locked and committed as one.
    assert_eq!((calls.of(Verb::Open), calls.of(Verb::Finish)), (51, 1));
    assert_eq!(backend.record(&client).head.version, before + 1);
    assert_eq!(client.get("/add").await.text(), "52");
}

/// Who is not alone from the beginning does not try to be.
#[tokio::test(start_paused = true)]
async fn b16_those_who_come_at_once_are_one_commit() {
    let backend = Backend::remote();
    let together = Arc::new(Barrier::new(20));
    let merge = async |s: MergeSession, State(all): State<Arc<Barrier>>| {
        all.wait().await;
        s.increment("n", 1)
    };
    let merging = Router::new()
        .route("/merge", get(merge))
        .with_state(together);
    let client = backend.client(routes().merge(merging));
    client.get("/add").await;
    backend.faults.calls().clear();
    let tasks: Vec<_> = (0..20).map(|_| start(&client, "/merge")).collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().status(), 200);
    }
    let calls = backend.faults.calls();
    assert_eq!((calls.of(Verb::Open), calls.of(Verb::Finish)), (21, 1));
    assert_eq!(backend.data(id_of(&client))["data"]["n"], 21);
}

#[tokio::test(start_paused = true)]
async fn b16_more_than_a_commit_takes_are_several() {
    let locks = LockConfig {
        max_waiting: 200,
        ..LockConfig::default()
    };
    let scene = Scene::of(locks).await;
    let backend = scene.backend.clone();
    let calls = backend.faults.calls();
    let tasks = scene.join_all("/merge/add/n", 150).await;
    let (data, statuses) = scene.end(tasks).await;
    assert_eq!((statuses, &data["n"]), (vec![200; 150], &json!(151)));
    assert_eq!(calls.of(Verb::Finish), 3);
}

/// As if one had come after the other: who reads what one before has changed is outdated, who
/// comes after one that failed sees nothing of it.
#[tokio::test(start_paused = true)]
async fn b16_who_fails_fails_alone() {
    let scene = Scene::new().await;
    let mut tasks = Vec::new();
    for (path, _) in EXPECTED {
        tasks.push(scene.join(path).await);
    }
    let backend = scene.backend.clone();
    let calls = backend.faults.calls();
    let (mut data, statuses) = scene.end(tasks).await;
    for ((path, expected), status) in EXPECTED.iter().zip(statuses) {
        assert_eq!(status, *expected, "{path}");
    }
    for (key, size) in [("one", Some(600)), ("two", Some(600)), ("three", None)] {
        let value = data.as_object_mut().unwrap().remove(key);
        assert_eq!(value.map(|text| text.as_str().unwrap().len()), size);
    }
    let expected =
        json!({"n": 1, "text": "none", "first": 1, "a": 1, "c": null, "e": 1, "k": null});
    assert_eq!(data, expected);
    assert_eq!(calls.of(Verb::Finish), 1);
}

const EXPECTED: [(&str, u16); 10] = [
    ("/merge/copy/text/text", 200),
    ("/merge/copy/none/k", 200),
    ("/merge/set/a/1", 200),
    ("/merge/copy/a/b", 409),
    ("/merge/copy/b/c", 200),
    ("/merge/big/one", 200),
    ("/merge/add/one", 500),
    ("/merge/big/two", 200),
    ("/merge/big/three", 500),
    ("/merge/set/e/1", 200),
];

/// A commit whose answer is lost is asked for again, once for all of them.
#[tokio::test(start_paused = true)]
async fn b16_a_lost_reply_applies_all_of_them_once() {
    for fault in [Fault::LoseReply, Fault::Fail(StoreErrorKind::Unavailable)] {
        let scene = Scene::new().await;
        let script = Script::new().nth_of(Verb::Finish, 1, fault.clone());
        scene.backend.faults.set_script(script);
        let tasks = scene.join_all("/merge/add/n", 20).await;
        let (data, statuses) = scene.end(tasks).await;
        assert_eq!(
            (statuses, &data["n"]),
            (vec![200; 20], &json!(21)),
            "{fault:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn b16_what_is_unknown_of_one_is_unknown_of_all() {
    for (applied, n) in [
        (Fault::LoseReply, 21),
        (Fault::Fail(StoreErrorKind::Unavailable), 1),
    ] {
        let silence = Fault::Fail(StoreErrorKind::Unavailable);
        let script = Script::new()
            .nth_of(Verb::Finish, 1, applied)
            .every_of(Verb::Finish, silence);
        let scene = Scene::new().await;
        scene.backend.faults.set_script(script);
        let tasks = scene.join_all("/merge/commit", 20).await;
        let (backend, client) = (scene.backend.clone(), scene.client.clone());
        scene.gate.open();
        for task in tasks {
            assert_eq!(task.await.unwrap().text(), "Err(OutcomeUnknown)");
        }
        assert_eq!(backend.data(id_of(&client))["data"]["n"], n);
        // Nothing of it comes later.
        backend.faults.set_script(Script::new());
        assert_eq!(client.get("/add").await.text(), (n + 1).to_string());
    }
}

/// What the store refuses for the sake of one is done for the others.
#[tokio::test(start_paused = true)]
async fn b16_what_the_store_refuses_is_tried_one_by_one() {
    let refusal = Fault::Fail(StoreErrorKind::TooLarge);
    // All of them together, and, the lease having been given back, the second of them.
    let script = Script::new()
        .nth_of(Verb::Finish, 1, refusal.clone())
        .nth_of(Verb::Finish, 2 + 2, refusal);
    let scene = Scene::new().await;
    scene.backend.faults.set_script(script);
    let tasks = scene.join_all("/merge/add/n", 5).await;
    let (data, statuses) = scene.end(tasks).await;
    assert_eq!(statuses, [200, 500, 200, 200, 200]);
    assert_eq!(data["n"], 5);
}

#[tokio::test(start_paused = true)]
async fn b16_no_more_wait_than_may() {
    let locks = LockConfig {
        max_waiting: 3,
        ..LockConfig::default()
    };
    let scene = Scene::of(locks).await;
    let tasks = scene.join_all("/merge/add/n", 5).await;
    let (data, statuses) = scene.end(tasks).await;
    assert_eq!(statuses, [200, 200, 200, 503, 503]);
    assert_eq!(data["n"], 4);
}

#[tokio::test(start_paused = true)]
async fn b16_who_has_waited_too_long_is_in_no_commit() {
    // The store is silent for a minute, and its call must not be given up before.
    let locks = LockConfig {
        store_timeout: 2 * MINUTE,
        ..LockConfig::default()
    };
    let scene = Scene::of(locks).await;
    let early = scene.join_all("/merge/add/n", 2).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let late = scene.join("/merge/add/n").await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(early.iter().all(JoinHandle::is_finished) && !late.is_finished());
    let (data, statuses) = scene.end(early.into_iter().chain([late]).collect()).await;
    assert_eq!((statuses, &data["n"]), (vec![503, 503, 200], &json!(2)));
}

/// Behind somebody who holds the session they wait as anybody does, and as long.
#[tokio::test(start_paused = true)]
async fn b16_a_line_behind_a_holder_ends_with_its_members() {
    let scene = Scene::new().await;
    let elsewhere = FaultStore::new(scene.backend.memory.clone());
    let layer = SessionLayer::builder(elsewhere).clock(Arc::new(scene.backend.clock.clone()));
    let gate = Gate::new();
    let passed = gate.clone();
    let hold = async move |session: Session| -> Result<(), Error> {
        passed.pass().await;
        session.insert("held", &true)
    };
    let routes = Router::new().route("/hold", get(hold));
    let other = TestClient::with_body(routes.layer(layer.build().unwrap()));
    let cookie = scene.client.cookie(common::COOKIE).unwrap();
    other.set_cookie(common::COOKIE, &cookie);
    let holder = start(&other, "/hold");
    gate.arrived(1).await;

    let tasks = scene.join_all("/merge/add/n", 3).await;
    let (backend, client) = (scene.backend.clone(), scene.client.clone());
    let (data, statuses) = scene.end(tasks).await;
    assert_eq!((statuses, &data["n"]), (vec![503; 3], &json!(1)));
    let late = [
        start(&client, "/merge/add/n"),
        start(&client, "/merge/add/n"),
    ];
    settle().await;
    gate.open();
    assert_eq!(holder.await.unwrap().status(), 200);
    for task in late {
        assert_eq!(task.await.unwrap().status(), 200);
    }
    let data = backend.data(id_of(&client));
    assert_eq!(
        (&data["data"]["n"], &data["data"]["held"]),
        (&json!(3), &json!(true))
    );
}

#[tokio::test(start_paused = true)]
async fn b16_what_a_client_that_left_has_done_counts() {
    let scene = Scene::new().await;
    let mut tasks = scene.join_all("/merge/add/n", 3).await;
    tasks.remove(1).abort();
    let (data, statuses) = scene.end(tasks).await;
    assert_eq!((statuses, &data["n"]), (vec![200; 2], &json!(4)));
}

#[tokio::test(start_paused = true)]
async fn b16_a_session_that_ends_meanwhile_stays_ended() {
    let scene = Scene::new().await;
    let tasks = scene.join_all("/merge/add/n", 3).await;
    let id = id_of(&scene.client);
    assert!(scene.backend.memory.destroy(id).await.unwrap());
    let backend = scene.backend.clone();
    let (_, statuses) = scene.end(tasks).await;
    assert_eq!(statuses, [409; 3]);
    assert!(backend.live().is_empty() && backend.memory.record(id).unwrap().data.is_empty());
}

/// The first of them hears of what went wrong with its turn, the others have theirs.
#[tokio::test(start_paused = true)]
async fn b16_a_failed_lock_is_the_first_ones_alone() {
    for fault in [Fault::Panic, Fault::Fail(StoreErrorKind::Corrupt)] {
        let scene = Scene::new().await;
        // Three load before.
        let script = Script::new().nth_of(Verb::Open, 3 + 1, fault);
        scene.backend.faults.set_script(script);
        let tasks = scene.join_all("/merge/add/n", 3).await;
        let (data, statuses) = scene.end(tasks).await;
        assert_eq!((statuses, &data["n"]), (vec![503, 200, 200], &json!(3)));
    }
}

/// Two processes over one network, both full of merges and some that lock.
#[tokio::test(start_paused = true)]
async fn b16_every_merge_of_two_processes_counts_once() {
    for seed in seed_or(1)..seed_or(1) + 8 {
        let memory = MemoryStore::new();
        let process = |seed| -> Client {
            let network = NetworkStore::new(memory.clone(), seed)
                .yields(3)
                .latency(Duration::from_millis(3))
                .connections(4);
            let locks = LockConfig {
                max_waiting: 100,
                wait: Duration::from_secs(60),
                ..LockConfig::default()
            };
            let layer = SessionLayer::builder(network).locks(locks);
            TestClient::with_body(routes().layer(layer.build().unwrap()))
        };
        let (one, two) = (process(2 * seed), process(2 * seed + 1));
        assert_eq!(one.get("/add").await.status(), 200);
        two.set_cookie(common::COOKIE, &one.cookie(common::COOKIE).unwrap());
        let mut tasks = Vec::new();
        for number in 0..90 {
            let path = if number % 15 == 7 {
                "/add"
            } else {
                "/merge/add/n"
            };
            tasks.push(start(&one, path));
            tasks.push(start(&two, path));
            if number % 9 == 0 {
                settle().await;
            }
        }
        for task in tasks {
            assert_eq!(task.await.unwrap().status(), 200, "KEEP_SEED={seed}");
        }
        let (head, n) = {
            let record = memory.record(id_of(&one)).unwrap();
            let data: Value = serde_json::from_slice(&record.data.to_json()).unwrap();
            (record.head, data["data"]["n"].as_i64().unwrap())
        };
        println!("KEEP_SEED={seed}: {n} counted in {} commits", head.version);
        assert_eq!(n, 181, "KEEP_SEED={seed}");
        assert!(head.version < 120, "KEEP_SEED={seed}: {}", head.version);
    }
}
