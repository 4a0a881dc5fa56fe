//! G3 and G4: a request's future is dropped at every moment of its life. Whenever that is, the
//! session is either exactly as it was or exactly as the commit made it, and it is free.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common_sweep;

use common_sweep::app::Mark;
use common_sweep::campaign;
use common_sweep::moment::Dropper;
use common_sweep::scenario::Scenario;
use common_sweep::sweep::sweep;
use common_sweep::world::{Flavour, Place, World, send};
use http::StatusCode;
use tower_keep_testkit::{Rng, seed_or};

// Of these four more than 20,000 in all.

#[test]
fn in_process() {
    assert!(sweep(&Place::Local, 4) > 2_000);
}

#[test]
fn over_a_network() {
    assert!(sweep(&Place::Near, 2) > 5_000);
}

#[test]
fn over_a_slow_network() {
    assert!(sweep(&Place::Far, 1) > 11_000);
}

#[test]
fn over_a_network_that_loses_messages() {
    assert!(sweep(&Place::Lossy, 2) > 4_500);
}

/// Drops and grants meet in moments that one thread does not have. These follow from no seed.
#[test]
fn on_several_threads() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(4).enable_time().build().unwrap();
    for seed in campaign(seed_or(1), 3) {
        for place in [Place::Local, Place::Near] {
            runtime.block_on(crowd(&place, seed));
        }
    }
}

async fn crowd(place: &Place, seed: u64) {
    let world = World::new(place, Flavour::Axum, seed).await;
    let mut rng = Rng::new(seed);
    for _ in 0..20 {
        let before = world.seen(world.id).await;
        let requests: Vec<_> = (0..40)
            .map(|_| {
                let (mark, moment) = (Mark::default(), usize::try_from(rng.below(60)).unwrap());
                let request = send(&world.app, "/increment", Some(&world.cookie), &mark);
                let run = Dropper::Abort.run(moment, request);
                (tokio::spawn(run), mark)
            })
            .collect();
        let mut after = before;
        for (request, mark) in requests {
            if let Some(answer) = request.await.unwrap() {
                assert_eq!(answer.status(), StatusCode::OK, "{place:?} seed {seed}");
            }
            if mark.is_done() {
                Scenario::Increment.commits(&mut after);
            }
        }
        // It waits for nobody but those who commit.
        let last = world.get("/increment", Some(&world.cookie)).await;
        assert_eq!(last.status(), StatusCode::OK, "{place:?} seed {seed}");
        Scenario::Increment.commits(&mut after);
        assert_eq!(world.seen(world.id).await, after, "{place:?} seed {seed}");
    }
}
