//! E7: sweeping every now and then, and by chance.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use common::{Backend, Client, Gates, MINUTE, app, id_of, settle};
use tokio::time::sleep;
use tower_keep::{Lottery, SessionLayer, StoreErrorKind, sweep_every};
use tower_keep_testkit::{Fault, Gate, Script, TestClient, Verb};

fn client(layer: &SessionLayer) -> Client {
    let routes: Router = app(Gates::default());
    TestClient::with_body(routes.layer(layer.clone()))
}

/// A round begins 52.5 to 67.5 seconds after the one before.
#[tokio::test(start_paused = true)]
async fn e7_the_sweeper_works_in_batches_and_survives_errors() {
    let backend = Backend::remote();
    let client = client(&backend.layer().build().unwrap());
    for _ in 0..1_200 {
        client.clear_cookies();
        client.get("/add").await;
    }
    backend.clock.advance(120 * MINUTE);
    client.clear_cookies();
    client.get("/add").await;

    let failure = Fault::Fail(StoreErrorKind::Unavailable);
    backend
        .faults
        .set_script(Script::new().nth_of(Verb::Sweep, 1, failure));
    let sweeper = tokio::spawn(sweep_every(backend.store.clone(), MINUTE));
    let calls = || backend.faults.calls().of(Verb::Sweep);
    sleep(Duration::from_secs(68)).await;
    assert_eq!((calls(), backend.memory.len()), (1, 1_201));
    sleep(Duration::from_secs(68)).await;
    // A batch is a thousand.
    assert_eq!((calls(), backend.memory.len()), (3, 1));
    assert_eq!(backend.memory.ids(), [id_of(&client)]);
    sleep(Duration::from_secs(68)).await;
    assert_eq!(calls(), 4);
    sweeper.abort();
}

#[tokio::test(start_paused = true)]
async fn e7_sweepers_that_were_started_together_do_not_stay_so() {
    let backends: [_; 64] = std::array::from_fn(|_| Backend::remote());
    for backend in &backends {
        tokio::spawn(sweep_every(backend.store.clone(), MINUTE));
    }
    sleep(MINUTE).await;
    let swept = |backend: &&Backend| backend.faults.calls().of(Verb::Sweep) == 1;
    let swept = backends.iter().filter(swept).count();
    assert!((1..64).contains(&swept), "{swept}");
}

/// Draws 0, 51, 2, 53 and so on, in a hundred times each number up to 100 once.
#[derive(Clone, Default)]
struct Numbers(Arc<AtomicU32>);

impl Numbers {
    fn lottery(&self, wins: u32) -> Lottery {
        let numbers = self.clone();
        Lottery::new(wins, 100).random(move || numbers.0.fetch_add(1, Ordering::Relaxed) * 51)
    }

    fn drawn(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn e7_two_of_a_hundred_commits_sweep() {
    let backend = Backend::remote();
    let numbers = Numbers::default();
    let layer = backend.layer().lottery(numbers.lottery(2)).build().unwrap();
    let client = client(&layer);
    for _ in 0..200 {
        client.get("/add").await;
        settle().await;
    }
    assert_eq!(numbers.drawn(), 200);
    assert_eq!(backend.faults.calls().of(Verb::Sweep), 4);
    // These commit nothing.
    for path in ["/n", "/who", "/nothing", "/fail"] {
        client.get(path).await;
    }
    assert_eq!(numbers.drawn(), 200);
}

#[tokio::test(start_paused = true)]
async fn e7_without_a_lottery_no_commit_sweeps() {
    let backend = Backend::remote();
    let client = client(&backend.layer().build().unwrap());
    for _ in 0..200 {
        client.get("/add").await;
        settle().await;
    }
    assert_eq!(backend.faults.calls().of(Verb::Sweep), 0);
}

#[tokio::test(start_paused = true)]
async fn e7_a_winner_removes_what_is_over_and_nothing_else() {
    for backend in Backend::both() {
        let layer = backend.layer().lottery(Lottery::new(1, 1)).build().unwrap();
        let [old, live, new] = [client(&layer), client(&layer), client(&layer)];
        old.get("/add").await;
        live.get("/add").await;
        backend.clock.advance(119 * MINUTE);
        live.get("/add").await;
        backend.clock.advance(MINUTE);
        assert_eq!(backend.memory.len(), 2);
        new.get("/add").await;
        settle().await;
        let mut left = backend.memory.ids();
        left.sort();
        let mut expected = [id_of(&live), id_of(&new)];
        expected.sort();
        assert_eq!(left, expected, "{}", backend.name);
    }
}

/// Longer than a sweep keeps tombstones by itself.
#[tokio::test(start_paused = true)]
async fn e7_tombstones_stay_as_long_as_requests_may_need_them() {
    let backend = Backend::local();
    let layer = backend.layer().max_request_age(30 * MINUTE);
    let layer = layer.lottery(Lottery::new(1, 1)).build().unwrap();
    let [gone, other] = [client(&layer), client(&layer)];
    gone.get("/add").await;
    gone.get("/logout").await;
    for (minutes, left) in [(20, 2), (20, 1)] {
        backend.clock.advance(minutes * MINUTE);
        other.get("/add").await;
        settle().await;
        assert_eq!(backend.memory.len(), left);
    }
}

#[tokio::test(start_paused = true)]
async fn e7_one_sweep_at_a_time_for_which_a_shutdown_waits() {
    let backend = Backend::remote();
    let layer = backend.layer().lottery(Lottery::new(1, 1)).build().unwrap();
    let (client, gate) = (client(&layer), Gate::default());
    let delay = Fault::DelayBefore(gate.clone());
    backend
        .faults
        .set_script(Script::new().nth_of(Verb::Sweep, 1, delay));
    for _ in 0..3 {
        // Nobody waits for the sweep that the first one has begun.
        assert_eq!(client.get("/add").await.status(), StatusCode::OK);
        settle().await;
    }
    assert_eq!(backend.faults.calls().of(Verb::Sweep), 1);
    let shutdown = tokio::spawn(async move { layer.shutdown().await });
    settle().await;
    assert!(!shutdown.is_finished());
    gate.open();
    shutdown.await.unwrap();
    let log = backend.faults.calls().log();
    let sweep = log.iter().find(|call| call.verb == Verb::Sweep).unwrap();
    assert_eq!(sweep.reply, Some(Ok(())));
}

#[tokio::test(start_paused = true)]
async fn e7_a_sweep_that_fails_or_panics_disturbs_nobody() {
    let backend = Backend::remote();
    let layer = backend.layer().lottery(Lottery::new(1, 1)).build().unwrap();
    let client = client(&layer);
    let script = Script::new()
        .nth_of(Verb::Sweep, 1, Fault::Fail(StoreErrorKind::Unavailable))
        .nth_of(Verb::Sweep, 2, Fault::Panic);
    backend.faults.set_script(script);
    for n in 1..=3 {
        assert_eq!(client.get("/add").await.text(), n.to_string());
        settle().await;
        assert_eq!(backend.faults.calls().of(Verb::Sweep), n);
    }
}
