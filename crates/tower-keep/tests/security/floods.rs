//! Floods: more visitors, sessions and requests than anybody meant.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, StatusCode};
use tower_keep::core::{Sweep, UserCap};
use tower_keep::{
    DynStore, LockConfig, MemoryStore, ReadSession, Session, SessionLayer, SessionStore,
};
use tower_keep_testkit::{FaultStore, TestClient};

use crate::common::{Backend, Client, Gates, MINUTE, app, settle, start};

/// Robots keep no cookies: each request is a new visitor's.
async fn robot(client: &Client, path: &str) -> StatusCode {
    let robot = client.fork();
    robot.clear_cookies();
    robot.get(path).await.status()
}

#[tokio::test(start_paused = true)]
async fn visitors_who_write_nothing_cannot_fill_the_store() {
    let backend = Backend::remote();
    let peek = async |s: ReadSession| s.peek_flash().map(|all| all.len().to_string());
    let login = async |_: Session| StatusCode::UNAUTHORIZED;
    let routes = app(Gates::default())
        .route("/peek", get(peek))
        .route("/wrong-password", get(login));
    let client = backend.client(routes);
    for _ in 0..300 {
        for path in [
            "/n",
            "/who",
            "/peek",
            "/missing",
            "/fail",
            "/logout",
            "/rotate",
            "/wrong-password",
        ] {
            robot(&client, path).await;
        }
    }
    assert!(backend.memory.is_empty());
    assert_eq!(backend.faults.calls().total(), 0, "nor does it cost a call");
}

/// Where visitors do write, the memory store has a cap, and sessions of nobody a short life.
#[tokio::test(start_paused = true)]
async fn visitors_who_write_fill_the_store_to_its_cap_and_lock_nobody_out() {
    const CAP: usize = 500;
    for remote in [false, true] {
        let backend = Backend::local();
        let memory = MemoryStore::with_clock(CAP, Arc::new(backend.clock.clone()));
        let store = if remote {
            DynStore::new(FaultStore::new(memory.clone()))
        } else {
            DynStore::new(memory.clone())
        };
        let layer = SessionLayer::builder(store.clone())
            .clock(Arc::new(backend.clock.clone()))
            .anonymous_timeouts(10 * MINUTE, 20 * MINUTE);
        let client = backend.client_of(app(Gates::default()), layer);
        client.get("/login/ann").await;
        let mut refused = 0;
        for _ in 0..2 * CAP {
            match robot(&client, "/add").await {
                StatusCode::OK => {}
                status => {
                    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
                    refused += 1;
                }
            }
        }
        assert_eq!(memory.len(), CAP);
        assert_eq!(refused, CAP + 1);
        // Who was there is served, and keeps what they have.
        assert_eq!(client.get("/add").await.text(), "1");
        assert_eq!(client.get("/who").await.text(), "ann 1");
        // The flood is forgotten soon, the user is not.
        backend.clock.advance(11 * MINUTE);
        store.sweep(Sweep::default()).await.unwrap();
        assert_eq!(memory.len(), 1);
        assert_eq!(robot(&client, "/add").await, StatusCode::OK);
        assert_eq!(client.get("/who").await.text(), "ann 1");
    }
}

/// Who has a password, or a stolen one, cannot start more sessions than a user may have.
#[tokio::test(start_paused = true)]
async fn logins_of_one_user_cannot_fill_the_store() {
    for backend in Backend::both() {
        let layer = backend.layer().user_cap(UserCap::evict_oldest(3));
        let client = backend.client_of(app(Gates::default()), layer);
        for _ in 0..200 {
            assert_eq!(robot(&client, "/login/ann").await, StatusCode::OK);
        }
        assert_eq!(backend.live().len(), 3, "{}", backend.name);
    }
}

/// 500 requests of one session while it is held: as many as may wait do, the others are told at
/// once to come again, and nobody else notices.
#[tokio::test(start_paused = true)]
async fn a_crowd_on_one_session_keeps_no_other_waiting() {
    for backend in Backend::both() {
        let gates = Gates::default();
        let locks = LockConfig::default();
        let most = locks.max_waiting;
        let client = backend.client_of(app(gates.clone()), backend.layer().locks(locks));
        let neighbour = client.fork();
        neighbour.get("/add").await;
        client.get("/add").await;
        let holder = start(&client, "/hold/gate/add");
        gates.at("gate").arrived(1).await;
        let crowd: Vec<_> = (0..500).map(|_| start(&client, "/add")).collect();
        settle().await;
        let answered = crowd.iter().filter(|request| request.is_finished()).count();
        assert_eq!(
            answered,
            500 - most,
            "{}: the queue is bounded",
            backend.name
        );
        // A reader of the same session does not wait either.
        assert_eq!(client.get("/n").await.text(), "1");
        let before = tokio::time::Instant::now();
        for n in 2..52 {
            assert_eq!(neighbour.get("/add").await.text(), n.to_string());
        }
        assert_eq!(before.elapsed().as_millis(), 0, "{}: at once", backend.name);
        gates.at("gate").open();
        assert_eq!(holder.await.unwrap().status(), 200);
        let mut served = 0;
        for request in crowd {
            let answer = request.await.unwrap();
            match answer.status() {
                StatusCode::OK => served += 1,
                status => {
                    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
                    assert!(answer.header("retry-after").is_some());
                }
            }
        }
        assert_eq!(served, most, "{}", backend.name);
        assert_eq!(client.get("/n").await.text(), (2 + most).to_string());
    }
}

/// A header field is as long as the server lets it be; the layer looks at four cookies of its name.
#[tokio::test(start_paused = true)]
async fn a_long_cookie_header_costs_at_most_four_questions() {
    let backend = Backend::remote();
    let client: Client = TestClient::with_body(
        Router::new()
            .route("/", get(async |s: ReadSession| s.is_new().to_string()))
            .layer(backend.layer().build().unwrap()),
    );
    let id = tower_keep::SessionId::new(tower_keep::Timestamp::from_millis(1));
    let cookies: Vec<_> = (0..400)
        .map(|_| format!("{}={}", crate::common::COOKIE, crate::forged(id)))
        .collect();
    let request = Request::get("/").header("cookie", cookies.join("; "));
    let answer = client.request(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.text(), "true");
    assert_eq!(backend.faults.calls().total(), 4);
}
