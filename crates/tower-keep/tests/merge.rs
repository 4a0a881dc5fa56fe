//! B16, merge mode: requests that change a session without waiting for one another.

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
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::get;
use common::{Backend, Client, Gates, MINUTE, Stop, app, id_of, settle, start};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tower_keep::{
    Error, MemoryStore, MergeSession, PreviousUrlLayer, ReadSession, Session, SessionHandle,
    StoreErrorKind,
};
use tower_keep_testkit::{Fault, NetworkStore, Script, TestClient, Verb, seed_or};

/// The common app, and `/merge/…` that does one thing each, at a gate with `/late/{gate}/merge/…`.
fn routes(gates: &Gates) -> Router {
    let merging = Router::new()
        .route("/add", get(async |s: MergeSession| s.increment("n", 1)))
        .route("/set/{key}/{value}", get(set))
        .route(
            "/{gate}/add",
            get(async |s: MergeSession, _: Stop| s.increment("n", 1)),
        )
        .route("/{gate}/set/{key}/{value}", get(held_set))
        .route("/{gate}/push/{key}/{value}", get(held_push))
        .route("/{gate}/copy/{from}/{to}", get(copy))
        .route("/{gate}/taken", get(taken))
        .route("/{gate}/count", get(count))
        .route("/{gate}/logout", get(held_logout))
        .route("/{gate}/fail", get(fail))
        .route("/{gate}/panic", get(panics))
        .route("/{gate}/commit", get(commit))
        .route("/{gate}/guarded", get(guarded))
        .with_state(gates.clone());
    app(gates.clone()).nest("/merge", merging)
}

async fn set(session: MergeSession, Path((key, value)): Path<(String, i64)>) -> Result<(), Error> {
    session.insert(&key, &value)
}

type Held<T> = Path<(String, String, T)>;

async fn held_set(session: MergeSession, _: Stop, path: Held<i64>) -> Result<(), Error> {
    session.insert(&path.1, &path.2)
}

async fn held_push(session: MergeSession, _: Stop, path: Held<i64>) -> Result<(), Error> {
    session.push(&path.1, &path.2)
}

async fn copy(session: MergeSession, _: Stop, path: Held<String>) -> Result<(), Error> {
    let value: Option<Value> = session.get(&path.1)?;
    session.insert(&path.2, &value)
}

async fn taken(session: MergeSession, _: Stop) -> Result<String, Error> {
    Ok(format!("{:?}", session.remove::<i64>("n")?))
}

async fn count(session: MergeSession, _: Stop) -> Result<String, Error> {
    Ok(session.increment_and_get("n", 1)?.to_string())
}

async fn held_logout(session: MergeSession, _: Stop) -> Result<(), Error> {
    session.increment("n", 1)?;
    session.upgrade().await?.set_user("ann")
}

async fn fail(session: MergeSession, _: Stop) -> Result<StatusCode, Error> {
    session.increment("n", 1)?;
    Ok(StatusCode::INTERNAL_SERVER_ERROR)
}

async fn panics(session: MergeSession, _: Stop) -> Result<(), Error> {
    session.increment("n", 1)?;
    panic!("on purpose")
}

async fn commit(session: MergeSession, _: Stop) -> Result<StatusCode, Error> {
    session.increment("n", 1)?;
    session.commit().await?;
    assert!(matches!(session.increment("n", 1), Err(Error::Closed)));
    Ok(StatusCode::INTERNAL_SERVER_ERROR)
}

/// What a guard reads, and what is read of the data once they are merged.
async fn guarded(guard: ReadSession, session: MergeSession, _: Stop) -> Result<(), Error> {
    guard.get::<i64>("seen")?;
    session.increment("n", 1)
}

struct Scene {
    backend: Backend,
    gates: Gates,
    client: Client,
}

impl Scene {
    /// A session with `n` = 1.
    async fn new(backend: Backend) -> Self {
        let gates = Gates::default();
        let client = backend.client(routes(&gates));
        assert_eq!(client.get("/add").await.text(), "1");
        Self {
            backend,
            gates,
            client,
        }
    }

    async fn both() -> [Self; 2] {
        let [local, remote] = Backend::both();
        [Self::new(local).await, Self::new(remote).await]
    }

    fn data(&self) -> Value {
        self.backend.data(id_of(&self.client))["data"].clone()
    }

    /// Sends `first`, which stops at the gate `a`, lets `others` come and go, and lets it end.
    async fn overtaken(&self, first: &str, others: &[&str]) -> StatusCode {
        let task = start(&self.client.fork(), first);
        settle().await;
        for path in others {
            let status = self.client.get(path).await.status();
            assert!(status.is_success(), "{path}: {status}");
        }
        self.gates.at("a").open();
        task.await.unwrap().status()
    }
}

#[tokio::test(start_paused = true)]
async fn b16_fifty_requests_at_once_keep_all_fifty_keys() {
    for backend in Backend::both() {
        let together = Arc::new(Barrier::new(50));
        let routes = Router::new()
            .route("/start", get(async |s: Session| s.insert("old", &true)))
            .route(
                "/{key}",
                get(
                    async |s: MergeSession,
                           Path(key): Path<String>,
                           State(all): State<Arc<Barrier>>| {
                        // Nobody gets further before everybody is here with their session.
                        all.wait().await;
                        s.insert(&key, &1)?;
                        s.increment("count", 1)?;
                        s.push("who", &key)?;
                        s.insert(format!("nested.{key}.x"), &key)
                    },
                ),
            )
            .with_state(together);
        let client = backend.client(routes);
        client.get("/start").await;
        let tasks: Vec<_> = (0..50)
            .map(|number| start(&client, &format!("/key{number}")))
            .collect();
        for task in tasks {
            let answer = task.await.unwrap();
            assert_eq!(answer.status(), 200, "{}: {answer:?}", backend.name);
        }
        let data = backend.data(id_of(&client));
        let data = &data["data"];
        assert_eq!((&data["old"], &data["count"]), (&json!(true), &json!(50)));
        let mut who: Vec<_> = data["who"]
            .as_array()
            .unwrap()
            .iter()
            .map(Value::to_string)
            .collect();
        who.sort_unstable();
        who.dedup();
        assert_eq!(who.len(), 50);
        for number in 0..50 {
            let key = format!("key{number}");
            assert_eq!(data[&key], 1);
            assert_eq!(data["nested"][&key]["x"], *key);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b16_what_was_read_must_be_as_it_was() {
    for (first, other, expected) in [
        ("/merge/a/copy/n/m", "/merge/set/n/7", 409),
        ("/merge/a/copy/n/m", "/merge/set/other/7", 200),
        ("/merge/a/copy/missing/m", "/merge/set/missing/7", 409),
        ("/merge/a/taken", "/add", 409),
        ("/merge/a/count", "/merge/add", 409),
        ("/merge/a/add", "/add", 200),
        ("/merge/a/guarded", "/merge/set/seen/1", 409),
        ("/merge/a/guarded", "/merge/set/unseen/1", 200),
    ] {
        for scene in Scene::both().await {
            let status = scene.overtaken(first, &[other]).await;
            assert_eq!(status, expected, "{} {first} {other}", scene.backend.name);
            if expected == 409 {
                let mut data = scene.data();
                assert_eq!(data["m"], Value::Null);
                data.as_object_mut().unwrap().remove("seen");
                assert!(
                    data["n"] != Value::Null || first.contains("missing"),
                    "{data}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b16_without_others_nothing_is_outdated() {
    for path in ["copy/n/m", "taken", "count", "guarded", "set/x.y/1"] {
        for scene in Scene::both().await {
            let status = scene.overtaken(&format!("/merge/a/{path}"), &[]).await;
            assert_eq!(status, 200, "{path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b16_never_a_resurrection() {
    for scene in Scene::both().await {
        let id = id_of(&scene.client);
        let status = scene.overtaken("/merge/a/add", &["/logout"]).await;
        assert_eq!(status, 409);
        let record = scene.backend.memory.record(id).unwrap();
        assert!(record.gone_at.is_some() && record.data.is_empty());
        assert!(scene.backend.live().is_empty());
    }
    for scene in Scene::both().await {
        let task = start(&scene.client, "/merge/a/add");
        settle().await;
        scene.backend.clock.advance(121 * MINUTE);
        scene.gates.at("a").open();
        assert_eq!(task.await.unwrap().status(), 409);
        assert!(scene.backend.live().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn b16_a_session_that_changed_hands_is_left_alone() {
    for other in ["/login/ann", "/rotate"] {
        for scene in Scene::both().await {
            let status = scene.overtaken("/merge/a/add", &[other]).await;
            assert_eq!(status, 409, "{} {other}", scene.backend.name);
            assert_eq!(scene.data(), json!({"n": 1}));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b16_the_handler_never_waits_and_the_holder_loses_nothing() {
    for scene in Scene::both().await {
        let holder = start(&scene.client, "/hold/b/add");
        settle().await;
        let merging = start(&scene.client.fork(), "/merge/a/add");
        settle().await;
        // It has run as far as its gate while the other holds the session, and its commit waits.
        scene.gates.at("a").open();
        settle().await;
        assert!(!merging.is_finished());
        scene.gates.at("b").open();
        assert_eq!(holder.await.unwrap().status(), 200);
        assert_eq!(merging.await.unwrap().status(), 200);
        assert_eq!(scene.data(), json!({"n": 3}));
    }
}

#[tokio::test(start_paused = true)]
async fn b16_a_holder_that_never_ends_is_waited_for_only_so_long() {
    for scene in Scene::both().await {
        let holder = start(&scene.client, "/hold/b/add");
        settle().await;
        scene.gates.at("a").open();
        let answer = scene.client.fork().get("/merge/a/add").await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.header("retry-after"), Some("1"));
        scene.gates.at("b").open();
        assert_eq!(holder.await.unwrap().status(), 200);
        assert_eq!(scene.data(), json!({"n": 2}));
    }
}

#[tokio::test(start_paused = true)]
async fn b16_endings() {
    for (path, status, n) in [("fail", 500, 1), ("commit", 500, 2)] {
        for scene in Scene::both().await {
            let answer = scene.overtaken(&format!("/merge/a/{path}"), &[]).await;
            assert_eq!(answer, status, "{path}");
            assert_eq!(scene.data(), json!({ "n": n }), "{path}");
        }
    }
    for scene in Scene::both().await {
        scene.gates.at("a").open();
        assert!(start(&scene.client, "/merge/a/panic").await.is_err());
        assert_eq!(scene.data(), json!({"n": 1}));
    }
    // A client that leaves.
    for scene in Scene::both().await {
        let task = start(&scene.client, "/merge/a/add");
        settle().await;
        task.abort();
        settle().await;
        assert_eq!(scene.data(), json!({"n": 1}));
        assert_eq!(scene.client.get("/add").await.text(), "2");
    }
}

#[tokio::test(start_paused = true)]
async fn b16_an_early_commit_meets_the_same_rules() {
    for scene in Scene::both().await {
        let status = scene.overtaken("/merge/a/commit", &["/add", "/add"]).await;
        assert_eq!(status, 500);
        assert_eq!(scene.data(), json!({"n": 4}));
    }
    for scene in Scene::both().await {
        let status = scene.overtaken("/merge/a/commit", &["/logout"]).await;
        assert_eq!(status, 409);
    }
}

#[tokio::test(start_paused = true)]
async fn b16_an_upgrade_locks_and_does_it_again() {
    for scene in Scene::both().await {
        let before = id_of(&scene.client);
        let task = start(&scene.client, "/merge/a/logout");
        settle().await;
        assert_eq!(scene.client.get("/add").await.text(), "2");
        scene.gates.at("a").open();
        assert_eq!(task.await.unwrap().status(), 200);
        assert_eq!(scene.client.get("/who").await.text(), "ann 3");
        assert_eq!(id_of(&scene.client), before);
    }
}

#[tokio::test(start_paused = true)]
async fn b16_an_upgrade_after_a_change_of_what_was_read_is_refused() {
    // It reads what was loaded before the gate.
    let up = async |s: MergeSession, _: Stop| -> Result<(), Error> {
        let n: i64 = s.get_or_default("n")?;
        s.upgrade().await?.insert("m", &n)
    };
    for (other, status, data) in [
        ("/add", 409, json!({"n": 2})),
        ("/nothing", 200, json!({"n": 1, "m": 1})),
    ] {
        for backend in Backend::both() {
            let gates = Gates::default();
            let up = Router::new().route("/up/{gate}", get(up));
            let routes = routes(&gates).merge(up.with_state(gates.clone()));
            let client = backend.client(routes);
            client.get("/add").await;
            let task = start(&client.fork(), "/up/a");
            settle().await;
            client.get(other).await;
            gates.at("a").open();
            assert_eq!(task.await.unwrap().status(), status, "{other}");
            assert_eq!(backend.data(id_of(&client))["data"], data);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b16_a_session_extracted_after_it_is_the_same() {
    let both = async |s: MergeSession, session: Session| -> Result<String, Error> {
        s.increment("n", 1)?;
        Ok(session.increment("n", 1)?.to_string())
    };
    for backend in Backend::both() {
        let routes = app(Gates::default()).route("/both", get(both));
        let client = backend.client(routes);
        client.get("/add").await;
        assert_eq!(client.get("/both").await.text(), "3");
        assert_eq!(client.get("/n").await.text(), "3");
    }
}

#[tokio::test(start_paused = true)]
async fn b16_a_visitor_without_a_session_starts_one() {
    for backend in Backend::both() {
        let client = backend.client(routes(&Gates::default()));
        let answer = client.get("/merge/add").await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.set_cookies().len(), 1);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let answer = client.get("/merge/add").await;
        assert_eq!(answer.set_cookies().len(), 0);
        assert_eq!(client.get("/n").await.text(), "2");
        assert_eq!(backend.live().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn b16_round_trips() {
    let scene = Scene::new(Backend::remote()).await;
    let calls = scene.backend.faults.calls();
    calls.clear();
    scene.client.get("/merge/add").await;
    assert_eq!(calls.total(), 2, "{:?}", calls.log());
    assert_eq!((calls.of(Verb::Open), calls.of(Verb::Finish)), (1, 1));
    calls.clear();
    // Nothing written: nothing to commit.
    scene.client.get("/n").await;
    assert_eq!(calls.total(), 1);
    // Overtaken: loaded, refused, then locked and committed.
    calls.clear();
    let status = scene.overtaken("/merge/a/add", &["/add"]).await;
    assert_eq!(
        (status.as_u16(), calls.total()),
        (200, 4 + 2),
        "{:?}",
        calls.log()
    );
}

#[tokio::test(start_paused = true)]
async fn b16_lost_replies_apply_once() {
    for fault in [Fault::LoseReply, Fault::Fail(StoreErrorKind::Unavailable)] {
        let scene = Scene::new(Backend::remote()).await;
        let script = Script::new().nth_of(Verb::Finish, 1, fault.clone());
        scene.backend.faults.set_script(script);
        assert_eq!(scene.client.get("/merge/add").await.status(), 200);
        assert_eq!(scene.data(), json!({"n": 2}), "{fault:?}");
    }
    let scene = Scene::new(Backend::remote()).await;
    let script = Script::new().every_of(Verb::Finish, Fault::Fail(StoreErrorKind::Unavailable));
    scene.backend.faults.set_script(script);
    assert_eq!(scene.client.get("/merge/add").await.status(), 503);
    scene.backend.faults.set_script(Script::new());
    assert_eq!(scene.client.get("/add").await.text(), "2");
}

#[tokio::test(start_paused = true)]
async fn b16_flash_messages_are_shown_once_by_requests_at_once() {
    for backend in Backend::both() {
        let gates = Gates::default();
        let page = async |s: MergeSession, _: Stop| -> Result<String, Error> {
            let shown: Option<String> = s.get("status")?;
            s.increment("views", 1)?;
            Ok(shown.unwrap_or_default())
        };
        let routes = Router::new()
            .route("/flash", get(async |s: Session| s.flash("status", "saved")))
            .route("/{gate}/page", get(page))
            .route(
                "/job",
                get(async |handle: SessionHandle| -> Result<(), Error> {
                    handle.write(async |s| s.insert("job", &1)).await
                }),
            )
            .with_state(gates.clone());
        let client = backend.client(routes);
        client.get("/flash").await;
        let pages = ["/a/page", "/b/page"].map(|path| start(&client, path));
        settle().await;
        gates.at("a").open();
        gates.at("b").open();
        for page in pages {
            let answer = page.await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), answer.text().as_str()),
                (200, "saved")
            );
        }
        assert_eq!(client.get("/a/page").await.text(), "");
        assert_eq!(backend.data(id_of(&client))["data"], json!({"views": 3}));

        // Overtaken by who does not show pages, it ages them all the same.
        client.get("/flash").await;
        let page = start(&client.fork(), "/c/page");
        settle().await;
        client.get("/job").await;
        gates.at("c").open();
        assert_eq!(page.await.unwrap().text(), "saved");
        assert_eq!(client.get("/a/page").await.text(), "");
    }
}

#[tokio::test(start_paused = true)]
async fn b16_a_handle_merges_beside_others() {
    for backend in Backend::both() {
        let gates = Gates::default();
        let job = async |handle: SessionHandle, Stop: Stop| -> Result<(), Error> {
            handle.merge(async |s| s.push("log", "done")).await
        };
        let routes = routes(&gates).merge(
            Router::new()
                .route("/{gate}/job", get(job))
                .with_state(gates.clone()),
        );
        let client = backend.client(routes);
        client.get("/add").await;
        gates.at("a").open();
        assert_eq!(client.get("/a/job").await.status(), 200);
        assert_eq!(
            backend.data(id_of(&client))["data"],
            json!({"n": 1, "log": ["done"]})
        );
    }
}

#[tokio::test(start_paused = true)]
async fn b16_a_handle_of_before_the_login_does_not_merge_into_it() {
    for backend in Backend::both() {
        let gates = Gates::default();
        let job = async |handle: SessionHandle, State(gates): State<Gates>| -> Result<(), Error> {
            let passing = async |s: MergeSession| -> Result<(), Error> {
                // Bound by its id from the second time on.
                s.push("log", "done")
            };
            handle.merge(passing).await?;
            let passing = async |s: MergeSession| -> Result<(), Error> {
                gates.at("a").pass().await;
                s.push("log", "late")
            };
            handle.merge(passing).await
        };
        let routes = Router::new().route("/job", get(job));
        let routes = app(gates.clone()).merge(routes.with_state(gates.clone()));
        let client = backend.client(routes);
        client.get("/add").await;
        let job = start(&client.fork(), "/job");
        settle().await;
        client.get("/login/ann").await;
        gates.at("a").open();
        assert_eq!(job.await.unwrap().status(), 409);
        assert_eq!(
            backend.data(id_of(&client))["data"],
            json!({"n": 1, "log": ["done"]})
        );
    }
}

#[tokio::test(start_paused = true)]
async fn b16_deadlines_are_judged_at_one_moment_of_the_request() {
    for backend in Backend::both() {
        let gates = Gates::default();
        let code = async |s: MergeSession, _: Stop| -> Result<String, Error> {
            let code: Option<String> = s.get("code")?;
            s.insert_for("seen", &true, MINUTE)?;
            Ok(code.unwrap_or_default())
        };
        let start_code = async |s: Session| s.insert_for("code", "2718", MINUTE);
        let routes = Router::new()
            .route("/start", get(start_code))
            .route("/code/{gate}", get(code))
            .with_state(gates.clone());
        let client = backend.client(app(gates.clone()).merge(routes));
        client.get("/start").await;
        let late = start(&client.fork(), "/code/a");
        settle().await;
        // It is over for whoever comes now, and still there for who came before.
        backend.clock.advance(MINUTE);
        assert_eq!(client.get("/add").await.text(), "1");
        gates.at("a").open();
        // The other's commit has removed what this one has read.
        assert_eq!(late.await.unwrap().status(), 409);
        assert_eq!(client.get("/code/a").await.text(), "");
        let seen = backend.data(id_of(&client))["data"]["seen"].clone();
        assert_eq!(seen, true);
        backend.clock.advance(MINUTE);
        client.get("/add").await;
        let seen = backend.data(id_of(&client))["data"]["seen"].clone();
        assert_eq!(seen, Value::Null);
    }
}

#[tokio::test(start_paused = true)]
async fn b16_the_previous_url_goes_with_the_merge() {
    for backend in Backend::both() {
        let gates = Gates::default();
        let page = async |s: MergeSession, _: Stop| -> Result<Html<&str>, Error> {
            s.increment("views", 1)?;
            Ok(Html("a page"))
        };
        let back = async |s: ReadSession| s.previous_url().map(Option::unwrap_or_default);
        let routes = Router::new()
            .route("/page/{gate}", get(page))
            .layer(PreviousUrlLayer::new())
            .route("/back", get(back))
            .with_state(gates.clone());
        let client = backend.client(app(gates.clone()).merge(routes));
        client.get("/add").await;
        let shown = start(&client.fork(), "/page/a");
        settle().await;
        client.get("/add").await;
        gates.at("a").open();
        assert_eq!(shown.await.unwrap().status(), 200);
        assert_eq!(client.get("/back").await.text(), "/page/a");
        assert_eq!(
            backend.data(id_of(&client))["data"],
            json!({"n": 2, "views": 1})
        );
    }
}

/// Everybody at once, over a network that delays, reorders and loses: what was acknowledged counts.
#[tokio::test(start_paused = true)]
async fn b16_acknowledged_merges_count_whatever_the_network_does() {
    for seed in seed_or(1)..seed_or(1) + 8 {
        let memory = MemoryStore::new();
        let network = NetworkStore::new(memory.clone(), seed)
            .yields(3)
            .latency(Duration::from_millis(20))
            .lost_requests(3)
            .lost_replies(3)
            .connections(4);
        let layer = tower_keep::SessionLayer::new(network);
        let router = Router::new()
            .route("/start", get(async |s: Session| s.insert("start", &true)))
            .route("/merge", get(async |s: MergeSession| s.increment("n", 1)))
            .route(
                "/lock",
                get(async |s: Session| s.increment("n", 1).map(drop)),
            )
            .layer(layer);
        let client: Client = TestClient::with_body(router);
        while client.get("/start").await.status() != 200 {}
        let tasks: Vec<_> = (0..40)
            .map(|number| start(&client, if number % 4 == 0 { "/lock" } else { "/merge" }))
            .collect();
        let (mut acknowledged, mut unknown) = (0, 0);
        for task in tasks {
            match task.await.unwrap().status().as_u16() {
                200 => acknowledged += 1,
                503 => unknown += 1,
                status => panic!("KEEP_SEED={seed}: {status}"),
            }
        }
        let id = id_of(&client);
        let data = memory.record(id).unwrap().data.to_json();
        let data: Value = serde_json::from_slice(&data).unwrap();
        let n = data["data"]["n"].as_i64().unwrap();
        println!("KEEP_SEED={seed}: {acknowledged} acknowledged, {unknown} unknown, {n} counted");
        assert!(
            acknowledged <= n && n <= acknowledged + unknown,
            "KEEP_SEED={seed}"
        );
        assert!(
            acknowledged >= 20,
            "KEEP_SEED={seed}: {acknowledged} acknowledged"
        );
    }
}
