//! A commit whose answer was lost, and that the store has forgotten when it is asked again.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod common;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use common::{Backend, COOKIE, Client, add, id_of, settle, start};
use tower_keep::{MergeSession, SessionLayer, SessionStore};
use tower_keep_testkit::{Fault, FaultStore, Gate, Script, TestClient, Verb};

fn routes() -> Router {
    Router::new()
        .route("/add", get(add))
        .route("/merge", get(async |s: MergeSession| s.increment("n", 1)))
}

/// A record remembers its last four commits. After four more and the end of the session nobody can
/// tell whether the first try was applied, which it was; so nobody may say that it was not.
#[tokio::test(start_paused = true)]
async fn g1_of_a_session_that_is_gone_nothing_is_denied_that_was_done() {
    for path in ["/add", "/merge"] {
        let backend = Backend::remote();
        let client = backend.client(routes());
        client.get("/add").await;
        let elsewhere = FaultStore::new(backend.memory.clone());
        let layer = SessionLayer::builder(elsewhere).clock(Arc::new(backend.clock.clone()));
        let other: Client = TestClient::with_body(routes().layer(layer.build().unwrap()));
        other.set_cookie(COOKIE, &client.cookie(COOKIE).unwrap());

        let again = Gate::new();
        let script = Script::new()
            .nth_of(Verb::Finish, 1, Fault::LoseReply)
            .nth_of(Verb::Finish, 2, Fault::DelayBefore(again.clone()));
        backend.faults.set_script(script);
        let adding = start(&client, path);
        again.arrived(1).await;
        assert_eq!(backend.data(id_of(&client))["data"]["n"], 2, "{path}");
        for _ in 0..4 {
            assert_eq!(other.get("/add").await.status(), StatusCode::OK);
        }
        assert!(backend.memory.destroy(id_of(&client)).await.unwrap());
        settle().await;
        again.open();

        let answer = adding.await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
}
