//! G3 and G4 when the runtime goes away in the middle of requests, and when the layer is shut
//! down.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common_sweep;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use common_sweep::app::{Mark, request, routes};
use common_sweep::stored::{Stored, in_both};
use common_sweep::world::{new_cookie, paused, seen, send, session};
use http::StatusCode;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tower::ServiceExt;
use tower::util::BoxCloneService;
use tower_keep::{
    Clock, Error, MemoryStore, MergeSession, ReadSession, Session, SessionLayer, SessionStore,
};
use tower_keep_testkit::{Fault, FaultStore, Gate, Script, TestClock, Verb};

/// Increments, and then waits at the gate.
fn holding(gate: &Gate) -> Router {
    let gate = gate.clone();
    let hold = async move |session: Session| {
        session.increment("n", 1)?;
        gate.pass().await;
        Ok::<_, Error>(())
    };
    routes().route("/wait", get(hold))
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

/// Drops a runtime in which one request holds the session and two wait for it.
fn drop_the_runtime(app: &Router, gate: &Gate, cookie: &str) {
    let runtime = runtime();
    runtime.block_on(async {
        let send = |path| {
            let request = request(path, Some(cookie), &Mark::default());
            tokio::spawn(app.clone().oneshot(request))
        };
        send("/wait");
        gate.arrived(1).await;
        send("/increment");
        send("/increment");
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    });
}

fn layer(store: impl SessionStore, clock: &TestClock) -> SessionLayer {
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    SessionLayer::builder(store).clock(clock).build().unwrap()
}

async fn status(app: &Router, path: &str, cookie: &str) -> StatusCode {
    let app = BoxCloneService::new(app.clone());
    send(&app, path, Some(cookie), &Mark::default())
        .await
        .status()
}

#[test]
fn a_runtime_that_goes_away_frees_a_local_session_at_once() {
    let clock = TestClock::new();
    let memory = MemoryStore::with_clock(usize::MAX, Arc::new(clock.clone()));
    let (id, cookie) = paused(session(&memory));
    let before = seen(&memory, id);
    let gate = Gate::new();
    let app = holding(&gate).layer(layer(memory.clone(), &clock));
    drop_the_runtime(&app, &gate, &cookie);
    assert_eq!(seen(&memory, id), before, "discarded and free");
    assert_eq!(memory.waiting(id), 0);
    assert_eq!(paused(status(&app, "/increment", &cookie)), StatusCode::OK);
    assert_eq!(seen(&memory, id).n, Some(2));
}

#[test]
fn a_runtime_that_goes_away_frees_a_remote_session_within_a_lease() {
    let clock = TestClock::new();
    let memory = MemoryStore::with_clock(usize::MAX, Arc::new(clock.clone()));
    let (id, cookie) = paused(session(&memory));
    let gate = Gate::new();
    let app = holding(&gate).layer(layer(FaultStore::new(memory.clone()), &clock));
    drop_the_runtime(&app, &gate, &cookie);
    let after = seen(&memory, id);
    assert_eq!((after.n, after.version), (Some(1), 1), "discarded");
    clock.advance(Duration::from_secs(10));
    // The same layer goes on in another runtime.
    assert_eq!(paused(status(&app, "/increment", &cookie)), StatusCode::OK);
    let after = seen(&memory, id);
    assert_eq!((after.n, after.leased), (Some(2), false));
}

#[test]
fn a_commit_that_loses_its_runtime_is_done_or_not_and_the_lease_ends() {
    for (fault, n) in [
        (Fault::DelayBefore as fn(Gate) -> Fault, 1),
        (Fault::DelayAfter as fn(Gate) -> Fault, 2),
    ] {
        let clock = TestClock::new();
        let memory = MemoryStore::with_clock(usize::MAX, Arc::new(clock.clone()));
        let (id, cookie) = paused(session(&memory));
        let (store, gate) = (FaultStore::new(memory.clone()), Gate::new());
        store.set_script(Script::new().every_of(Verb::Finish, fault(gate.clone())));
        let app = routes().layer(layer(store.clone(), &clock));
        let runtime = runtime();
        runtime.block_on(async {
            let request = request("/increment", Some(&cookie), &Mark::default());
            tokio::spawn(app.clone().oneshot(request));
            gate.arrived(1).await;
        });
        drop(runtime);
        store.set_script(Script::new());
        let after = seen(&memory, id);
        assert_eq!((after.n, after.version), (Some(n), i64::unsigned_abs(n)));
        clock.advance(Duration::from_secs(10));
        assert_eq!(paused(status(&app, "/increment", &cookie)), StatusCode::OK);
        assert_eq!(seen(&memory, id).n, Some(n + 1));
        assert!(!seen(&memory, id).leased);
    }
}

#[test]
fn without_a_runtime_a_local_session_works_and_a_remote_one_says_why_not() {
    let memory = MemoryStore::new();
    let (id, cookie) = paused(session(&memory));
    let answers = [
        SessionLayer::new(memory.clone()),
        SessionLayer::new(FaultStore::new(memory.clone())),
    ]
    .map(|layer| {
        let app = BoxCloneService::new(Router::new().route("/", get(plain)).layer(layer));
        let answer = send(&app, "/", Some(&cookie), &Mark::default());
        block_on(answer)
    });
    assert_eq!(answers[0].status(), StatusCode::OK);
    assert_eq!(answers[1].status(), StatusCode::INTERNAL_SERVER_ERROR);
    let after = seen(&memory, id);
    assert_eq!((after.n, after.leased), (Some(2), false));
    for answer in answers {
        assert_eq!(new_cookie(&answer), None);
    }
}

async fn plain(session: Session) -> Result<(), Error> {
    session.increment("n", 1).map(drop)
}

/// Polls a future that never has to wait.
fn block_on(future: impl Future<Output = Response>) -> Response {
    let mut future = Box::pin(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(answer) => answer,
        std::task::Poll::Pending => panic!("it waits for something"),
    }
}

/// What is refused once a shutdown has begun, and what is not.
async fn refuses_writers(app: &Router, cookie: &str) {
    for (path, expected) in [
        ("/increment", StatusCode::SERVICE_UNAVAILABLE),
        ("/upgrade", StatusCode::SERVICE_UNAVAILABLE),
        ("/read", StatusCode::OK),
    ] {
        assert_eq!(status(app, path, cookie).await, expected, "{path}");
    }
    let create = request("/increment", None, &Mark::default());
    let answer = app.clone().oneshot(create).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(new_cookie(&answer), None);
}

#[test]
fn a_shutdown_refuses_to_open_for_writing() {
    in_both(async |stored| {
        let layer = stored.layer();
        let app = routes().layer(layer.clone());
        layer.shutdown().await;
        refuses_writers(&app, &stored.cookie).await;
        let after = stored.settled().await;
        assert_eq!((after.version, stored.memory.len()), (1, 1));
        // Again there is nothing to wait for.
        layer.shutdown().await;
    });
}

#[test]
fn in_a_shutdown_a_guard_reads_even_where_it_would_lock() {
    in_both(async |stored| {
        let layer = stored.builder().lock_for(|_| true).build().unwrap();
        let read =
            async |session: ReadSession| session.get::<i64>("n").unwrap().unwrap().to_string();
        let app = Router::new().route("/", get(read)).layer(layer.clone());
        layer.shutdown().await;
        assert_eq!(stored.get(&app, "/").await.status(), StatusCode::OK);
    });
}

#[test]
fn a_shutdown_waits_for_holders_and_for_those_in_the_line() {
    paused(async {
        let stored = Stored::new(false).await;
        let (layer, gate) = (stored.layer(), Gate::new());
        let app = holding(&gate).layer(layer.clone());
        let send = |path: &'static str| {
            let (app, cookie) = (app.clone(), stored.cookie.clone());
            tokio::spawn(async move { status(&app, path, &cookie).await })
        };
        let holder = send("/wait");
        gate.arrived(1).await;
        let waiter = send("/increment");
        tokio::task::yield_now().await;
        let shutdown = tokio::spawn(async move { layer.shutdown().await });
        tokio::task::yield_now().await;
        refuses_writers(&app, &stored.cookie).await;
        assert!(!shutdown.is_finished(), "a session is held");
        gate.open();
        assert_eq!(holder.await.unwrap(), StatusCode::OK);
        assert_eq!(waiter.await.unwrap(), StatusCode::OK);
        shutdown.await.unwrap();
        let after = seen(&stored.memory, stored.id);
        assert_eq!((after.n, after.leased), (Some(3), false));
    });
}

#[test]
fn a_shutdown_waits_for_commits_and_creations_even_if_the_client_left() {
    for (verb, path, cookie) in [
        (Verb::Finish, "/increment", true),
        (Verb::Finish, "/logout", true),
        (Verb::Create, "/increment", false),
        (Verb::Create, "/replace", true),
    ] {
        paused(async {
            let stored = Stored::new(false).await;
            let (layer, gate) = (stored.layer(), Gate::new());
            let script = Script::new().every_of(verb, Fault::DelayBefore(gate.clone()));
            stored.faults.set_script(script);
            let app = BoxCloneService::new(routes().layer(layer.clone()));
            let cookie = cookie.then_some(stored.cookie.as_str());
            let left = tokio::spawn(send(&app, path, cookie, &Mark::default()));
            gate.arrived(1).await;
            left.abort();
            assert!(left.await.unwrap_err().is_cancelled());
            let shutdown = tokio::spawn(async move { layer.shutdown().await });
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            assert!(!shutdown.is_finished(), "{path}: a commit is under way");
            gate.open();
            shutdown.await.unwrap();
            let after = seen(&stored.memory, stored.id);
            assert!(!after.leased, "{path}");
            match (verb, path) {
                (Verb::Finish, "/increment") => assert_eq!(after.n, Some(2)),
                (Verb::Finish, _) => assert!(after.gone),
                _ => assert_eq!(stored.memory.len(), 2, "{path}: created"),
            }
        });
    }
}

/// One merge commits, and another one waits for the next commit.
async fn merging(
    app: &Router,
    cookie: &str,
    faults: &FaultStore<MemoryStore>,
    gate: &Gate,
) -> [JoinHandle<StatusCode>; 2] {
    let script = Script::new().every_of(Verb::Finish, Fault::DelayAfter(gate.clone()));
    faults.set_script(script);
    let first = merge(app, cookie);
    gate.arrived(1).await;
    let second = merge(app, cookie);
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    [first, second]
}

fn merge(app: &Router, cookie: &str) -> JoinHandle<StatusCode> {
    let (app, cookie) = (app.clone(), cookie.to_owned());
    tokio::spawn(async move { status(&app, "/commit", &cookie).await })
}

/// Merges, and tells whether it is known that nothing was done.
fn merging_routes() -> Router {
    let commit = async |session: MergeSession| -> Result<StatusCode, Error> {
        session.increment("n", 1)?;
        Ok(match session.commit().await {
            Err(Error::OutcomeUnknown) => StatusCode::INTERNAL_SERVER_ERROR,
            Err(error) => error.status(),
            Ok(()) => StatusCode::OK,
        })
    };
    Router::new().route("/commit", get(commit))
}

#[test]
fn a_shutdown_ends_a_line_of_merges() {
    paused(async {
        let stored = Stored::new(false).await;
        let (layer, gate) = (stored.layer(), Gate::new());
        let app = merging_routes().layer(layer.clone());
        let [first, second] = merging(&app, &stored.cookie, &stored.faults, &gate).await;
        let shutdown = tokio::spawn(async move { layer.shutdown().await });
        tokio::task::yield_now().await;
        assert!(!shutdown.is_finished(), "a commit is under way");
        gate.open();
        shutdown.await.unwrap();
        assert_eq!(first.await.unwrap(), StatusCode::OK);
        assert_eq!(second.await.unwrap(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(seen(&stored.memory, stored.id).version, 2);
    });
}

#[test]
fn a_runtime_that_goes_away_leaves_no_line_of_merges() {
    let clock = TestClock::new();
    let memory = MemoryStore::with_clock(usize::MAX, Arc::new(clock.clone()));
    let (id, cookie) = paused(session(&memory));
    let (faults, gate) = (FaultStore::new(memory.clone()), Gate::new());
    let app = merging_routes().layer(layer(faults.clone(), &clock));
    let (goes, stays) = (runtime(), runtime());
    goes.block_on(merging(&app, &cookie, &faults, &gate));
    let third = {
        let _on_it = stays.enter();
        merge(&app, &cookie)
    };
    stays.block_on(async {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    });
    drop(goes);
    // Nobody would commit for it any more.
    let told = stays.block_on(third).unwrap();
    assert_eq!(told, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(seen(&memory, id).version, 2, "the first one alone");
    faults.set_script(Script::new());
    assert_eq!(
        stays.block_on(async { merge(&app, &cookie).await.unwrap() }),
        StatusCode::OK
    );
    assert_eq!(seen(&memory, id).version, 3);
}
