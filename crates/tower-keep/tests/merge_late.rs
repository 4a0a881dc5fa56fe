//! A merge whose first try comes to the store late, when its request has done more already.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod common;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use common::{Backend, COOKIE, Gates, Stop, id_of, settle, start};
use serde_json::json;
use tower_keep::{MergeSession, Session, SessionLayer};
use tower_keep_testkit::{Fault, FaultStore, Gate, Script, TestClient, Verb};

fn routes(gates: &Gates) -> Router {
    Router::new()
        .route("/add", get(async |s: MergeSession| s.increment("n", 1)))
        .route("/keep/{gate}", get(async |_: Session, _: Stop| ()))
        .with_state(gates.clone())
}

/// The first try is on its way when its caller gives up on it; the second one finds the session
/// held by another process and is not applied. When that one has let go without a change, the
/// first try arrives and is. It must not be done again then.
#[tokio::test(start_paused = true)]
async fn b16_a_first_try_that_comes_late_is_not_done_twice() {
    let (backend, gates) = (Backend::remote(), Gates::default());
    let client = backend.client(routes(&gates));
    client.get("/add").await;

    let elsewhere = FaultStore::new(backend.memory.clone());
    let layer = SessionLayer::builder(elsewhere).clock(Arc::new(backend.clock.clone()));
    let other = TestClient::with_body(routes(&gates).layer(layer.build().unwrap()));
    other.set_cookie(COOKIE, &client.cookie(COOKIE).unwrap());
    let keeping = start(&other, "/keep/other");
    gates.at("other").arrived(1).await;

    let (late, queued) = (Gate::new(), Gate::new());
    let script = Script::new()
        .nth_of(Verb::Finish, 1, Fault::ApplyLater(late.clone()))
        // The first one loads.
        .nth_of(Verb::Open, 2, Fault::DelayBefore(queued.clone()));
    backend.faults.set_script(script);
    let merging = start(&client, "/add");
    for _ in 0..50 {
        settle().await;
    }
    assert!(backend.faults.calls().of(Verb::Finish) >= 2);
    gates.at("other").open();
    assert_eq!(keeping.await.unwrap().status(), StatusCode::OK);
    settle().await;
    late.open();
    settle().await;
    queued.open();

    let answer = merging.await.unwrap();
    assert_eq!(backend.data(id_of(&client))["data"], json!({ "n": 2 }));
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
}
