//! The keeper where nothing fails: what things cost, how long they take, and what is left behind.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower_keep_core::data::Patch;
use tower_keep_core::{HeadChange, Open, Opened, SecretHash};
use tower_keep_testkit::{FaultStore, NetworkStore, Verb};

use super::scene::{SECOND, Scene, acquire, commit, is_idle, settle, write};
use crate::error::{Conflict, Error};
use crate::lock::{Commit, Keeper, LockConfig};

#[tokio::test(start_paused = true)]
async fn a_request_alone_costs_two_round_trips_and_leaves_nothing() {
    let scene = Scene::new().await;
    let store = FaultStore::new(scene.memory.clone());
    let keeper = scene.keeper(store.clone(), LockConfig::default());
    assert_eq!(write(keeper.clone(), scene.open()).await.unwrap(), 2);
    settle().await;
    assert_eq!(store.calls().total(), 2);
    assert_eq!((scene.leased(), is_idle(&keeper)), (None, true));
}

#[tokio::test(start_paused = true)]
async fn requests_that_queue_cost_one_round_trip_each() {
    let scene = Scene::new().await;
    let store = FaultStore::new(scene.memory.clone());
    let keeper = scene.keeper(store.clone(), LockConfig::default());
    let first = acquire(&keeper, scene.open()).await.unwrap();
    let rest: Vec<_> = (0..10)
        .map(|_| tokio::spawn(write(keeper.clone(), scene.open())))
        .collect();
    settle().await;
    assert_eq!(commit(first).await.unwrap(), 2);
    for (n, request) in (3..).zip(rest) {
        // In the order in which they came.
        assert_eq!(request.await.unwrap().unwrap(), n);
    }
    settle().await;
    assert_eq!(store.calls().of(Verb::Open), 1);
    assert_eq!(store.calls().of(Verb::Finish), 11);
    assert_eq!((scene.leased(), is_idle(&keeper)), (None, true));
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_at_a_third_and_no_longer_than_a_request_may_hold() {
    let scene = Scene::new().await;
    let store = FaultStore::new(scene.memory.clone());
    let locks = LockConfig::default();
    let keeper = scene.keeper(store.clone(), locks);
    let held = acquire(&keeper, scene.open()).await.unwrap();
    for second in 1..60 {
        sleep(SECOND).await;
        let left = scene.leased().unwrap();
        assert!(left > locks.lease / 2, "{left:?} after {second} s");
    }
    let renewals = store.calls().of(Verb::Renew);
    assert!((15..=18).contains(&renewals), "{renewals}");
    sleep(20 * SECOND).await;
    assert_eq!(scene.leased(), Some(Duration::ZERO));
    assert!(store.calls().of(Verb::Renew) <= renewals + 1);
    // Nobody has taken it over, so the commit is as good as any.
    assert_eq!(commit(held).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_held_too_long_and_was_replaced_commits_nothing() {
    let scene = Scene::new().await;
    let [slow, other] = [0; 2].map(|_| {
        let store = FaultStore::new(scene.memory.clone());
        scene.keeper(store, LockConfig::default())
    });
    let held = acquire(&slow, scene.open()).await.unwrap();
    sleep(75 * SECOND).await;
    let (view, grant) = acquire(&other, scene.open()).await.unwrap();
    // The other has not even written anything.
    drop(grant);
    assert_eq!(view.head.version, 1);
    settle().await;
    let outcome = commit(held).await;
    assert!(
        matches!(outcome, Err(Error::Conflict(Conflict::Lost))),
        "{outcome:?}"
    );
    assert_eq!(scene.commits(), 0);
}

#[tokio::test(start_paused = true)]
async fn more_than_may_wait_are_refused_and_leavers_make_room() {
    let scene = Scene::new().await;
    let locks = LockConfig {
        max_waiting: 2,
        ..LockConfig::default()
    };
    let keeper = scene.keeper(FaultStore::new(scene.memory.clone()), locks);
    let held = acquire(&keeper, scene.open()).await.unwrap();
    let waiting = [0; 2].map(|_| tokio::spawn(write(keeper.clone(), scene.open())));
    settle().await;
    let refused = write(keeper.clone(), scene.open()).await;
    assert!(matches!(refused, Err(Error::TooManyWaiting)), "{refused:?}");
    waiting[0].abort();
    settle().await;
    let third = tokio::spawn(write(keeper.clone(), scene.open()));
    settle().await;
    commit(held).await.unwrap();
    let [_, second] = waiting;
    assert_eq!(second.await.unwrap().unwrap(), 3);
    assert_eq!(third.await.unwrap().unwrap(), 4);
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_when_it_was_long_enough() {
    let scene = Scene::new().await;
    let keeper = scene.keeper(FaultStore::new(scene.memory.clone()), LockConfig::default());
    let held = acquire(&keeper, scene.open()).await.unwrap();
    let start = Instant::now();
    let waited = write(keeper.clone(), scene.open()).await;
    assert!(matches!(waited, Err(Error::LockTimeout)), "{waited:?}");
    let took = start.elapsed();
    assert!((15 * SECOND..16 * SECOND).contains(&took), "{took:?}");
    assert_eq!(commit(held).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn waiters_that_go_away_leave_nothing_whenever_they_do() {
    // Dropped after so many turns of the scheduler: before the store was asked, while it was,
    // when it has answered, and so on.
    for turns in 0..60 {
        let scene = Scene::new().await;
        let store = NetworkStore::new(scene.memory.clone(), turns).yields(4);
        let keeper = scene.keeper(store.clone(), LockConfig::default());
        let requests: Vec<_> = (0..3)
            .map(|_| tokio::spawn(acquire_and_keep(keeper.clone(), scene.open())))
            .collect();
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        for request in &requests {
            request.abort();
        }
        settle().await;
        assert_eq!(scene.leased(), None, "after {turns} turns");
        assert!(is_idle(&keeper), "after {turns} turns");
    }
}

async fn acquire_and_keep(keeper: Arc<Keeper>, open: Open) {
    let _held = acquire(&keeper, open).await;
    std::future::pending::<()>().await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_was_told_is_carried_out_though_nobody_waits_for_it() {
    let scene = Scene::new().await;
    let store = NetworkStore::new(scene.memory.clone(), 1).latency(SECOND);
    let keeper = scene.keeper(store, LockConfig::default());
    let held = acquire(&keeper, scene.open()).await.unwrap();
    let committing = tokio::spawn(commit(held));
    settle().await;
    committing.abort();
    sleep(3 * SECOND).await;
    assert_eq!((scene.commits(), scene.leased()), (1, None));
}

#[tokio::test(start_paused = true)]
async fn a_session_in_long_use_is_touched_and_does_not_expire() {
    let scene = Scene::with_idle(60 * SECOND).await;
    let keeper = scene.keeper(FaultStore::new(scene.memory.clone()), LockConfig::default());
    let open = Open {
        touch: Some(6 * SECOND),
        ..scene.open()
    };
    let mut held = acquire(&keeper, open).await.unwrap();
    // There is always one who waits, so each gets the session from the one before.
    for turn in 0..100 {
        let next = tokio::spawn({
            let keeper = keeper.clone();
            async move { acquire(&keeper, open).await }
        });
        sleep(SECOND).await;
        commit(held).await.unwrap();
        held = next
            .await
            .unwrap()
            .unwrap_or_else(|error| panic!("turn {turn}: {error}"));
    }
}

#[tokio::test(start_paused = true)]
async fn those_behind_a_rotation_or_a_destruction_are_stale_without_a_question() {
    for destroys in [false, true] {
        let scene = Scene::new().await;
        let store = FaultStore::new(scene.memory.clone());
        let keeper = scene.keeper(store.clone(), LockConfig::default());
        let (view, grant) = acquire(&keeper, scene.open()).await.unwrap();
        let waiting: [_; 3] = std::array::from_fn(|_| {
            let (keeper, open) = (keeper.clone(), scene.open());
            tokio::spawn(async move { keeper.acquire(&open, 15 * SECOND).await })
        });
        settle().await;
        let rotation = HeadChange {
            secret: Some(SecretHash::from_bytes([2; 32])),
            ..HeadChange::default()
        };
        let end = if destroys {
            Commit::Destroy
        } else {
            Commit::Put(rotation, Patch::default())
        };
        grant.finish(view, end).await.unwrap();
        for request in waiting {
            let refused = request.await.unwrap();
            assert!(matches!(refused, Ok(Err(Opened::Stale))));
        }
        settle().await;
        assert_eq!(store.calls().total(), 2);
        assert_eq!((scene.leased(), is_idle(&keeper)), (None, true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_holders_and_keeps_their_leases() {
    let scene = Scene::new().await;
    let keeper = scene.keeper(FaultStore::new(scene.memory.clone()), LockConfig::default());
    let held = acquire(&keeper, scene.open()).await.unwrap();
    let waiting = tokio::spawn(write(keeper.clone(), scene.open()));
    settle().await;
    keeper.tasks.close();
    let refused = write(keeper.clone(), scene.open()).await;
    assert!(matches!(refused, Err(Error::ShuttingDown)), "{refused:?}");
    let drained = tokio::spawn({
        let tasks = keeper.tasks.clone();
        async move { tasks.drained().await }
    });
    sleep(12 * SECOND).await;
    assert!(!drained.is_finished());
    assert!(scene.leased().unwrap() > SECOND, "the lease ran out");
    assert_eq!(commit(held).await.unwrap(), 2);
    assert_eq!(waiting.await.unwrap().unwrap(), 3);
    drained.await.unwrap();
    assert_eq!(scene.leased(), None);
}
