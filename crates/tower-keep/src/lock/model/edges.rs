//! The keeper's numbers: how often, how soon, how long, and for how many.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::time::{Instant, sleep};
use tower_keep_core::data::{Data, DataLimits, Edit, Patch};
use tower_keep_core::{
    CommitId, DynStore, Finish, Finished, HeadChange, Op, Open, Opened, SecretHash, SessionStore,
    StoreErrorKind,
};
use tower_keep_testkit::{Fault, FaultStore, Gate, NetworkStore, Script, TestClock, Verb};

use super::scene::{SECOND, Scene, acquire, commit, is_idle, settle, write};
use crate::error::Error;
use crate::lock::waiting::courtesy;
use crate::lock::{Commit, Keeper, LockConfig, Tasks, jittered};

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_span_is_jittered_by_a_quarter_at_most_and_both_ways() {
    let span = 1_024 * MS;
    let spans: Vec<_> = (0..200).map(|_| jittered(span)).collect();
    assert!(spans.iter().all(|it| (768 * MS..1_280 * MS).contains(it)));
    assert!(spans.iter().any(|it| *it < span) && spans.iter().any(|it| *it > span));
}

#[tokio::test(start_paused = true)]
async fn others_get_as_long_as_their_longest_pause_and_not_much_longer() {
    let scene = Scene::new().await;
    let deaf = NetworkStore::new(scene.memory.clone(), 1);
    let woken = deaf.clone().with_wakeups();
    let courtesy = |store: &NetworkStore<_>, poll| {
        let locks = LockConfig {
            poll,
            ..LockConfig::default()
        };
        let (clock, tasks) = (TestClock::new(), Tasks::default());
        let store = DynStore::new(store.clone());
        courtesy(&Keeper::new(store, locks, Arc::new(clock), Arc::new(tasks)))
    };
    // Eight polls, and a quarter.
    let longest = 10 * 10 * MS;
    let given = courtesy(&deaf, 10 * MS);
    assert!((longest..2 * longest).contains(&given), "{given:?}");
    assert_eq!(courtesy(&woken, 100 * MS), 200 * MS);
    assert_eq!(courtesy(&woken, MS), 20 * MS, "time enough to be scheduled");
}

#[test]
fn a_line_that_outlives_its_watchdogs_runtime_is_watched_again() {
    let runtime = || {
        let mut builder = Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    };
    let (first, second) = (runtime(), runtime());
    let (scene, keeper) = first.block_on(async {
        let scene = Scene::new().await;
        let keeper = scene.keeper(FaultStore::new(scene.memory.clone()), LockConfig::default());
        write(keeper.clone(), scene.open()).await.unwrap();
        (scene, keeper)
    });
    // The first one's watchdog is there still, so the second has none.
    let held = second.block_on(acquire(&keeper, scene.open())).unwrap();
    drop(first);
    let waited = second.block_on(async {
        let (open, wait) = (scene.open(), 2 * SECOND);
        tokio::time::timeout(3 * SECOND, keeper.acquire(&open, wait)).await
    });
    assert!(matches!(waited, Ok(Err(Error::LockTimeout))));
    drop(held);
}

/// As by an open that comes a second time and late, when the lease has run out and somebody else has
/// committed.
#[tokio::test(start_paused = true)]
async fn what_is_handed_over_is_what_the_others_left() {
    let scene = Scene::new().await;
    let keeper = || scene.keeper(FaultStore::new(scene.memory.clone()), LockConfig::default());
    let (here, elsewhere) = (keeper(), keeper());
    let held = acquire(&here, scene.open()).await.unwrap();
    let open = scene.open();
    let waiting = tokio::spawn(async move { acquire(&here, open).await });
    settle().await;
    let owner = scene.memory.record(scene.id).unwrap().lease.unwrap().owner;
    let release = Finish {
        id: scene.id,
        owner,
        version: 0,
        commit: CommitId::unique(),
        op: Op::Release,
        next: None,
    };
    let lost = scene.memory.finish(&release).await;
    assert!(matches!(lost, Ok(Finished::Done { .. })), "{lost:?}");
    assert_eq!(write(elsewhere, scene.open()).await.unwrap(), 2);
    let late = Open {
        lease: Some((owner, SECOND)),
        ..scene.open()
    };
    let again = scene.memory.open(&late).await;
    assert!(matches!(again, Ok(Opened::Granted(_))), "{again:?}");
    drop(held);
    let handed = waiting.await.unwrap().unwrap();
    assert!(handed.0.head.remember, "what the other one wrote");
    assert_eq!(commit(handed).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_short_lease_is_renewed_as_soon_as_it_must() {
    let scene = Scene::new().await;
    let locks = LockConfig {
        lease: 60 * MS,
        hold: SECOND,
        ..LockConfig::default()
    };
    let keeper = scene.keeper(FaultStore::new(scene.memory.clone()), locks);
    let held = acquire(&keeper, scene.open()).await.unwrap();
    for _ in 0..90 {
        sleep(10 * MS).await;
        let left = scene.leased().unwrap();
        assert!(left > 20 * MS, "{left:?}");
    }
    assert_eq!(commit(held).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn all_sessions_are_looked_after_and_then_nobody_goes_on_looking() {
    let scene = Scene::new().await;
    // In another part of the table.
    let mut other = scene.add().await;
    while other.random_bits() % 16 == scene.id.random_bits() % 16 {
        other = scene.add().await;
    }
    let keeper = scene.keeper(FaultStore::new(scene.memory.clone()), LockConfig::default());
    for _ in 0..2 {
        let [one, two] = [scene.id, other].map(|id| Open { id, ..scene.open() });
        let first = acquire(&keeper, one).await.unwrap();
        let second = acquire(&keeper, two).await.unwrap();
        for _ in 0..25 {
            sleep(SECOND).await;
            assert!(scene.leased().unwrap() > SECOND);
            assert!(scene.lease_of(other).unwrap() > SECOND);
        }
        commit(first).await.unwrap();
        for _ in 0..25 {
            sleep(SECOND).await;
            assert!(scene.lease_of(other).unwrap() > SECOND);
        }
        commit(second).await.unwrap();
        sleep(2 * SECOND).await;
        assert!(is_idle(&keeper));
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    }
}

#[test]
fn who_looks_after_sessions_is_replaced_when_its_runtime_ends() {
    let runtime = || {
        let mut builder = Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    };
    let (first, second) = (runtime(), runtime());
    let scene = first.block_on(Scene::new());
    let keeper = scene.keeper(FaultStore::new(scene.memory.clone()), LockConfig::default());
    let lost = first.block_on(acquire(&keeper, scene.open())).unwrap();
    drop(first);
    drop(lost);
    second.block_on(async {
        let id = scene.add().await;
        let open = Open { id, ..scene.open() };
        let held = acquire(&keeper, open).await.unwrap();
        for _ in 0..20 {
            sleep(SECOND).await;
            assert!(scene.lease_of(id).unwrap() > SECOND);
        }
        commit(held).await.unwrap();
    });
}

#[tokio::test(start_paused = true)]
async fn who_is_next_asks_the_store_itself_exactly_when_a_touch_is_due() {
    let scene = Scene::with_idle(60 * SECOND).await;
    let store = FaultStore::new(scene.memory.clone());
    let keeper = scene.keeper(store.clone(), LockConfig::default());
    let open = Open {
        touch: Some(6 * SECOND),
        ..scene.open()
    };
    let mut held = acquire(&keeper, open).await.unwrap();
    for (pause, opens) in [
        (5_999 * MS, 1),
        (MS, 2),
        (Duration::ZERO, 2),
        (6_000 * MS, 3),
    ] {
        let next = tokio::spawn({
            let keeper = keeper.clone();
            async move { acquire(&keeper, open).await }
        });
        sleep(pause).await;
        settle().await;
        commit(held).await.unwrap();
        held = next.await.unwrap().unwrap();
        assert_eq!(store.calls().of(Verb::Open), opens, "after {pause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_touches_always_asks_only_where_that_moves_anything() {
    let scene = Scene::new().await;
    let store = FaultStore::new(scene.memory.clone());
    let keeper = scene.keeper(store.clone(), LockConfig::default());
    let open = Open {
        touch: Some(Duration::ZERO),
        ..scene.open()
    };
    let held = acquire(&keeper, open).await.unwrap();
    let next = tokio::spawn({
        let keeper = keeper.clone();
        async move { acquire(&keeper, open).await }
    });
    settle().await;
    commit(held).await.unwrap();
    next.await.unwrap().unwrap();
    assert_eq!(store.calls().of(Verb::Open), 1);
}

#[tokio::test(start_paused = true)]
async fn who_opens_by_id_alone_goes_on_after_a_rotation() {
    let scene = Scene::new().await;
    let keeper = scene.keeper(FaultStore::new(scene.memory.clone()), LockConfig::default());
    let by_id = Open {
        secret: None,
        ..scene.open()
    };
    let (view, grant) = acquire(&keeper, by_id).await.unwrap();
    let next = tokio::spawn({
        let keeper = keeper.clone();
        async move { acquire(&keeper, by_id).await }
    });
    settle().await;
    let rotation = HeadChange {
        secret: Some(SecretHash::from_bytes([2; 32])),
        ..HeadChange::default()
    };
    grant
        .finish(view, Commit::Put(rotation, Patch::default()))
        .await
        .unwrap();
    let (view, _) = next.await.unwrap().unwrap();
    assert_eq!((view.head.version, view.head.generation), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_asked_again_in_longer_and_longer_pauses_within_its_lease() {
    let scene = Scene::new().await;
    let store = FaultStore::new(scene.memory.clone());
    let down = Fault::Fail(StoreErrorKind::Unavailable);
    store.set_script(Script::new().every_of(Verb::Finish, down));
    let keeper = scene.keeper(store.clone(), LockConfig::default());
    let held = acquire(&keeper, scene.open()).await.unwrap();
    let start = Instant::now();
    let outcome = commit(held).await;
    assert!(matches!(outcome, Err(Error::OutcomeUnknown)), "{outcome:?}");
    let took = start.elapsed();
    // The next pause would have led beyond it, give or take a quarter.
    assert!((3 * SECOND..12 * SECOND).contains(&took), "{took:?}");
    let tries = store.calls().of(Verb::Finish);
    assert!((8..=12).contains(&tries), "{tries}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_nobody_wants_is_given_back_in_three_tries_or_left() {
    let scene = Scene::new().await;
    let store = FaultStore::new(scene.memory.clone());
    let (gate, down) = (Gate::new(), Fault::Fail(StoreErrorKind::Unavailable));
    let script = Script::new()
        .nth_of(Verb::Open, 1, Fault::DelayBefore(gate.clone()))
        .every_of(Verb::Finish, down);
    store.set_script(script);
    let keeper = scene.keeper(store.clone(), LockConfig::default());
    let leaver = tokio::spawn({
        let (keeper, open) = (keeper.clone(), scene.open());
        async move { acquire(&keeper, open).await.map(drop) }
    });
    settle().await;
    leaver.abort();
    settle().await;
    gate.open();
    settle().await;
    // Pauses of 10, 20 and 40 ms, give or take a quarter.
    sleep(40 * MS).await;
    assert_eq!(store.calls().of(Verb::Finish), 3);
    assert!(!is_idle(&keeper));
    sleep(60 * MS).await;
    assert_eq!(store.calls().of(Verb::Finish), 3);
    assert!(is_idle(&keeper) && scene.leased().is_some());
}

#[tokio::test(start_paused = true)]
async fn data_are_written_whole_and_only_if_they_changed() {
    let scene = Scene::new().await;
    let keeper = scene.keeper(FaultStore::new(scene.memory.clone()), LockConfig::default());
    let put = |patch| Commit::Put(HeadChange::default(), patch);
    let (view, grant) = acquire(&keeper, scene.open()).await.unwrap();
    let mut edit = Edit::new(view.data.clone(), DataLimits::default());
    edit.insert("n", &1).unwrap();
    let patch = edit.into_patch().unwrap();
    grant.finish(view, put(patch)).await.unwrap();
    settle().await;
    let (mut view, grant) = acquire(&keeper, scene.open()).await.unwrap();
    let edit = Edit::new(view.data.clone(), DataLimits::default());
    assert_eq!(edit.get::<u32>("n").unwrap(), Some(1));
    // What this request has in its hands does not matter, for it changed nothing.
    view.data = Data::default();
    grant.finish(view, put(Patch::default())).await.unwrap();
    let record = scene.memory.record(scene.id).unwrap();
    assert!(record.data.get("n").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_request_is_as_old_as_it_is() {
    let scene = Scene::new().await;
    let keeper = scene.keeper(FaultStore::new(scene.memory.clone()), LockConfig::default());
    let (view, grant) = acquire(&keeper, scene.open()).await.unwrap();
    let rotation = HeadChange {
        secret: Some(SecretHash::from_bytes([2; 32])),
        ..HeadChange::default()
    };
    let put = Commit::Put(rotation, Patch::default());
    grant.finish(view, put).await.unwrap();
    sleep(20 * SECOND).await;
    // Ten seconds after the rotation the old secret is as good as none.
    for (age, is_stale) in [(0, false), (9, false), (10, true), (20, true)] {
        let open = Open {
            age: age * SECOND,
            ..scene.open()
        };
        let refused = keeper.acquire(&open, 15 * SECOND).await.unwrap();
        let stale = matches!(refused, Err(Opened::Stale));
        assert!(stale || matches!(refused, Err(Opened::Absent)));
        assert_eq!(stale, is_stale, "{age} s");
    }
}
