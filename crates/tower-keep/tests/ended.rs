//! C9: who holds a handle, as a WebSocket's task does, is told when its session ends.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use common::{Backend, Client, Gates, MINUTE, app, id_of, settle};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tower_keep::{SessionHandle, SessionLayer, StoreErrorKind};
use tower_keep_testkit::{Fault, Script, TestClient, Verb};

type Kept = Arc<Mutex<Vec<SessionHandle>>>;

/// A layer, a client whose session it is, and a handle as a socket's task has one.
struct Socket {
    layer: SessionLayer,
    client: Client,
    handle: SessionHandle,
}

async fn socket(backend: &Backend) -> Socket {
    async fn keep(State(kept): State<Kept>, handle: SessionHandle) {
        kept.lock().unwrap().push(handle);
    }
    let kept = Kept::default();
    let layer = backend.layer().build().unwrap();
    let routes: Router = Router::new()
        .route("/socket", get(keep))
        .with_state(kept.clone())
        .merge(app(Gates::default()));
    let client =
        TestClient::with_body(routes.layer(layer.clone())).with_clock(backend.clock.clone());
    client.get("/add").await;
    client.get("/socket").await;
    let handle = kept.lock().unwrap().pop().unwrap();
    Socket {
        layer,
        client,
        handle,
    }
}

/// Waits for the end, and tells after how long it was heard of.
fn wait(handle: &SessionHandle) -> JoinHandle<Duration> {
    let (handle, began) = (handle.clone(), Instant::now());
    tokio::spawn(async move {
        handle.ended().await;
        began.elapsed()
    })
}

const SOON: Duration = Duration::from_millis(20);

#[tokio::test(start_paused = true)]
async fn c9_a_handle_is_told_at_once_what_ends_its_session_in_this_process() {
    for backend in Backend::both() {
        for end in ["/logout", "/login/ann", "/rotate", "revoke", "destroy_user"] {
            let Socket {
                layer,
                client,
                handle,
            } = socket(&backend).await;
            if end == "destroy_user" {
                // The handle is bound when it is first used, so to what the login made of it.
                client.get("/login/ann").await;
                client.get("/add").await;
                let cookie = client.cookie(common::COOKIE).unwrap();
                let handle = layer.sessions().open(&cookie);
                let ended = wait(&handle);
                settle().await;
                layer.sessions().destroy_user("ann").await.unwrap();
                assert!(ended.await.unwrap() < SOON, "{end}");
                continue;
            }
            let all = [wait(&handle), wait(&handle), wait(&handle.detached())];
            settle().await;
            // What is no end is none.
            client.get("/add").await;
            client.get("/fail").await;
            handle.read().await.unwrap();
            settle().await;
            assert!(all.iter().all(|ended| !ended.is_finished()), "{end}");
            if end == "revoke" {
                layer.sessions().destroy(id_of(&client)).await.unwrap();
            } else {
                client.get(end).await;
            }
            for ended in all {
                assert!(ended.await.unwrap() < SOON, "{} {end}", backend.name);
            }
            // And whoever asks afterwards.
            assert!(wait(&handle).await.unwrap() < SOON, "{end}");
        }
    }
}

/// Another layer over the same store, as in another process.
#[tokio::test(start_paused = true)]
async fn c9_what_another_process_ends_is_found_within_the_interval() {
    for backend in Backend::both() {
        for end in ["/logout", "/login/ann", "revoke"] {
            let Socket { client, handle, .. } = socket(&backend).await;
            let elsewhere = backend.layer().build().unwrap();
            let other: Client =
                TestClient::with_body(app(Gates::default()).layer(elsewhere.clone()));
            other.set_cookie(common::COOKIE, &client.cookie(common::COOKIE).unwrap());
            let ended = wait(&handle);
            sleep(5 * MINUTE).await;
            assert!(!ended.is_finished(), "{end}");
            if end == "revoke" {
                let id = id_of(&client);
                elsewhere.sessions().destroy(id).await.unwrap();
            } else {
                other.get(end).await;
            }
            // 30 seconds, give or take a quarter.
            sleep(Duration::from_secs(38)).await;
            assert!(ended.is_finished(), "{} {end}", backend.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c9_expiry_is_told_when_it_comes_and_waiting_keeps_nothing_alive() {
    for backend in Backend::both() {
        let Socket { client, handle, .. } = socket(&backend).await;
        let deadline = backend.record(&client).head.idle_deadline;
        let ended = wait(&handle);
        sleep(119 * MINUTE).await;
        assert!(!ended.is_finished());
        assert_eq!(backend.record(&client).head.idle_deadline, deadline);
        // Somebody uses it: it lives on.
        client.get("/add").await;
        sleep(10 * MINUTE).await;
        assert!(!ended.is_finished());
        let after = ended.await.unwrap();
        let expected = 239 * MINUTE;
        assert!(after >= expected && after < expected + SOON, "{after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn c9_an_outage_ends_nothing() {
    let backend = Backend::remote();
    let Socket {
        layer,
        client,
        handle,
    } = socket(&backend).await;
    let outage = Script::new().every(Fault::Fail(StoreErrorKind::Unavailable));
    backend.faults.set_script(outage.clone());
    // Not even before it is known which session it is about.
    let ended = wait(&handle);
    sleep(3 * MINUTE).await;
    assert!(!ended.is_finished());
    backend.faults.set_script(Script::new());
    sleep(MINUTE).await;
    backend.faults.set_script(outage);
    sleep(3 * MINUTE).await;
    assert!(!ended.is_finished());
    backend.faults.set_script(Script::new());
    layer.sessions().destroy(id_of(&client)).await.unwrap();
    settle().await;
    assert!(ended.is_finished());
}

#[tokio::test(start_paused = true)]
async fn c9_nothing_is_asked_unless_it_is_waited_for_and_nothing_stays() {
    let backend = Backend::remote();
    let Socket {
        layer,
        client,
        handle,
    } = socket(&backend).await;
    backend.faults.calls().clear();
    let not_polled = handle.ended();
    sleep(10 * MINUTE).await;
    drop(not_polled);
    assert_eq!(backend.faults.calls().total(), 0);
    let ended = wait(&handle);
    sleep(5 * MINUTE).await;
    ended.abort();
    let _ = ended.await;
    let asked = backend.faults.calls().total();
    assert!((2..=16).contains(&asked), "{asked}");
    sleep(10 * MINUTE).await;
    assert_eq!(backend.faults.calls().total(), asked);
    assert_eq!(backend.faults.calls().of(Verb::Finish), 0);
    client.get("/logout").await;
    let nobody = layer.sessions().open("no token at all");
    assert!(wait(&nobody).await.unwrap() < SOON, "there is no session");
}
