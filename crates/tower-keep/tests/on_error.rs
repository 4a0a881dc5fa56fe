//! The answers that the layer gives itself, and pages that go on without a session (A28).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use axum::routing::get;
use common::{Backend, Gates, MINUTE, app, settle};
use http::StatusCode;
use tower_keep::{Session, SessionRejection, StoreErrorKind};
use tower_keep_testkit::{Fault, Script, Verb};

#[tokio::test(start_paused = true)]
async fn a28_a_page_may_go_on_without_a_session() {
    let page = async |session: Result<Session, SessionRejection>| match session {
        Ok(session) => session.increment("n", 1).unwrap().to_string(),
        Err(rejection) => format!("without: {}", rejection.error()),
    };
    let backend = Backend::remote();
    let client = backend.client(app(Gates::default()).route("/page", get(page)));
    assert_eq!(client.get("/page").await.text(), "1");
    let fault = Fault::Fail(StoreErrorKind::Unavailable);
    backend
        .faults
        .set_script(Script::new().every_of(Verb::Open, fault));
    let without = client.get("/page").await;
    assert_eq!(without.status(), StatusCode::OK);
    assert_eq!(without.text(), "without: the session store is unavailable");
    assert!(without.set_cookies().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a28_on_error_shapes_every_answer_of_the_layer() {
    let backend = Backend::remote();
    let layer = backend.layer().on_error(|error, info| {
        let body = format!(
            "{} {} {}",
            error.status().as_u16(),
            info.method,
            info.uri.path()
        );
        let response = http::Response::builder()
            .status(418)
            .header("x-shaped", "yes");
        response.body(body.into()).unwrap()
    });
    let big = async |session: Session| session.insert("big", &"x".repeat(70_000));
    let gates = Gates::default();
    let routes = app(gates.clone()).route("/big", get(big));
    let client = backend.client_of(routes, layer);
    client.get("/add").await;
    let shaped = async |path: &str, expected: &str| {
        let answer = client.fork().get(path).await;
        assert_eq!(answer.status(), StatusCode::IM_A_TEAPOT, "{path}");
        assert_eq!(answer.header("x-shaped"), Some("yes"));
        assert_eq!(answer.text(), expected);
    };
    shaped("/big", "500 GET /big").await;
    // Handed over at once, the next one would be opened without the store.
    settle().await;
    let outage = |verb| {
        let fault = Fault::Fail(StoreErrorKind::Unavailable);
        backend
            .faults
            .set_script(Script::new().every_of(verb, fault));
    };
    outage(Verb::Open);
    shaped("/add", "503 GET /add").await;
    shaped("/n", "503 GET /n").await;
    outage(Verb::Finish);
    shaped("/add", "503 GET /add").await;
    settle().await;
    backend.faults.set_script(Script::new());
    backend.clock.advance(MINUTE);
    // An upgrade that comes too late, and a stale write.
    let old = client.fork();
    let slow = common::start(&old, "/seen/gate/add");
    gates.at("gate").arrived(1).await;
    client.get("/rotate").await;
    gates.at("gate").open();
    assert_eq!(slow.await.unwrap().text(), "409 GET /seen/gate/add");
    assert_eq!(old.get("/add").await.text(), "409 GET /add");
}
