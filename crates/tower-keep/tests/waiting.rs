//! D7: how many wait for a session, how long, and what they hold meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::time::Duration;

use common::{Backend, Client, Gates, app, settle, start};
use http::StatusCode;
use http::header::{RETRY_AFTER, SET_COOKIE};
use tokio::time::Instant;
use tower_keep::LockConfig;
use tower_keep_testkit::TestResponse;

/// A session that is held until the gate opens, by a request of this server or of another one.
async fn held(
    backend: &Backend,
    elsewhere: bool,
) -> (Client, Gates, tokio::task::JoinHandle<TestResponse>) {
    let gates = Gates::default();
    let client = backend.client(app(gates.clone()));
    client.get("/add").await;
    let holder = if elsewhere {
        let other = backend.client(app(gates.clone()));
        other.set_cookie(common::COOKIE, &client.cookie(common::COOKIE).unwrap());
        start(&other, "/hold/gate/add")
    } else {
        start(&client, "/hold/gate/add")
    };
    gates.at("gate").arrived(1).await;
    (client, gates, holder)
}

fn assert_refused(answer: &TestResponse) {
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header(RETRY_AFTER), Some("1"));
    assert_eq!(answer.header(SET_COOKIE), None);
}

#[tokio::test(start_paused = true)]
async fn d7_one_more_than_may_wait_is_503_at_once() {
    for backend in Backend::both() {
        let (client, gates, holder) = held(&backend, false).await;
        let most = LockConfig::default().max_waiting;
        assert_eq!(most, 64);
        let waiters: Vec<_> = (0..most).map(|_| start(&client, "/add")).collect();
        settle().await;
        let before = Instant::now();
        assert_refused(&client.get("/add").await);
        assert_eq!(before.elapsed(), Duration::ZERO, "{}", backend.name);
        // Readers do not wait, and other sessions have queues of their own.
        assert_eq!(client.get("/n").await.text(), "1");
        let other = client.fork();
        other.clear_cookies();
        assert_eq!(other.get("/add").await.text(), "1");

        gates.at("gate").open();
        assert_eq!(holder.await.unwrap().status(), StatusCode::OK);
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap().status(), StatusCode::OK);
        }
        assert_eq!(client.get("/n").await.text(), "66");
        // There is room again.
        assert_eq!(client.get("/add").await.text(), "67");
    }
}

#[tokio::test(start_paused = true)]
async fn d7_who_waits_too_long_is_503_with_retry_after() {
    let ways = [
        (Backend::local(), false),
        (Backend::remote(), false),
        (Backend::remote(), true),
    ];
    for (backend, elsewhere) in ways {
        let (client, gates, holder) = held(&backend, elsewhere).await;
        let before = Instant::now();
        assert_refused(&client.get("/add").await);
        let (waited, most) = (before.elapsed(), LockConfig::default().wait);
        // Checked in rounds of half a second.
        let what = format!("{} {elsewhere}: {waited:?}", backend.name);
        assert!(
            waited >= most && waited <= most + Duration::from_secs(1),
            "{what}"
        );
        gates.at("gate").open();
        assert_eq!(holder.await.unwrap().text(), "2", "{what}");
        assert_eq!(client.get("/add").await.text(), "3", "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn d7_no_call_is_under_way_while_a_handler_runs_or_requests_wait() {
    let backend = Backend::remote();
    let (client, gates, holder) = held(&backend, false).await;
    let calls = backend.faults.calls();
    let under_way = || {
        calls
            .log()
            .iter()
            .filter(|call| call.reply.is_none())
            .count()
    };
    assert_eq!(under_way(), 0, "a handler runs");
    let waiters: Vec<_> = (0..10).map(|_| start(&client, "/add")).collect();
    settle().await;
    assert_eq!(under_way(), 0, "ten wait for it");
    // Longer than a lease, which is renewed meanwhile by calls of their own.
    let before = calls.total();
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert!(calls.total() > before);
    assert_eq!(under_way(), 0, "it is renewed");
    gates.at("gate").open();
    for request in waiters.into_iter().chain([holder]) {
        assert_eq!(request.await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(client.get("/n").await.text(), "12");
}
