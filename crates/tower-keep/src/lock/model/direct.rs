//! Leases in a store of this process, which need no keeper.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower_keep_core::data::Patch;
use tower_keep_core::{
    DynStore, HeadChange, Open, Opened, Owner, SessionId, SessionStore, Timestamp, UserCap,
};
use tower_keep_testkit::FaultStore;

use super::scene::{SECOND, Scene, commit, settle};
use crate::error::{Conflict, Error};
use crate::lock::{Commit, acquire_free, acquire_local};

const LEASE: Duration = Duration::from_secs(10);

fn locking(scene: &Scene) -> Open {
    Open {
        lease: Some((Owner::unique(), LEASE)),
        ..scene.open()
    }
}

fn store(scene: &Scene) -> DynStore {
    DynStore::new(scene.memory.clone())
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_with_its_commit_or_its_drop() {
    let scene = Scene::new().await;
    let store = store(&scene);
    let granted = acquire_local(&store, &locking(&scene), LEASE, 1).await;
    assert_eq!(scene.leased(), Some(LEASE));
    assert_eq!(commit(granted.unwrap().unwrap()).await.unwrap(), 2);
    assert_eq!((scene.leased(), scene.commits()), (None, 1));
    let granted = acquire_free(&store, &locking(&scene)).unwrap().unwrap();
    assert_eq!(scene.leased(), Some(LEASE));
    drop(granted);
    assert_eq!((scene.leased(), scene.commits()), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_free_is_had_at_once_and_what_is_not_is_not_waited_for() {
    let scene = Scene::new().await;
    let store = store(&scene);
    let held = acquire_free(&store, &locking(&scene)).unwrap().unwrap();
    assert!(acquire_free(&store, &locking(&scene)).is_none());
    drop(held);
    let nobody = Open {
        id: SessionId::new(Timestamp::from_millis(1_000)),
        ..locking(&scene)
    };
    let refused = acquire_free(&store, &nobody).unwrap();
    assert!(matches!(refused, Err(Opened::Absent)));
    let remote = DynStore::new(FaultStore::new(scene.memory.clone()));
    assert!(acquire_free(&remote, &locking(&scene)).is_none());
    let refused = acquire_local(&remote, &locking(&scene), LEASE, 1).await;
    assert!(matches!(refused, Err(Error::Closed)));
}

#[tokio::test(start_paused = true)]
async fn who_waits_gets_a_dead_holders_session_when_the_lease_ends() {
    let scene = Scene::new().await;
    scene.take(LEASE).await;
    let start = Instant::now();
    let granted = acquire_local(&store(&scene), &locking(&scene), 15 * SECOND, 1).await;
    let took = start.elapsed();
    assert!(granted.unwrap().is_ok());
    let late = Duration::from_millis(2);
    assert!((LEASE..=LEASE + late).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_in_time_and_leaves_no_place() {
    let scene = Scene::new().await;
    scene.take(60 * SECOND).await;
    let start = Instant::now();
    let waited = acquire_local(&store(&scene), &locking(&scene), 15 * SECOND, 1).await;
    assert!(matches!(waited, Err(Error::LockTimeout)));
    let took = start.elapsed();
    let late = Duration::from_millis(2);
    assert!(
        (15 * SECOND..=15 * SECOND + late).contains(&took),
        "{took:?}"
    );
    assert_eq!(scene.memory.waiting(scene.id), 0);
}

#[tokio::test(start_paused = true)]
async fn as_many_wait_as_may_and_leavers_make_room() {
    let scene = Scene::new().await;
    let (store, open) = (store(&scene), locking(&scene));
    let held = acquire_free(&store, &open).unwrap().unwrap();
    let wait = || {
        let (store, open) = (store.clone(), locking(&scene));
        tokio::spawn(async move { acquire_local(&store, &open, LEASE, 1).await.map(drop) })
    };
    let leaver = wait();
    settle().await;
    assert_eq!(scene.memory.waiting(scene.id), 1);
    assert!(matches!(wait().await.unwrap(), Err(Error::TooManyWaiting)));
    leaver.abort();
    settle().await;
    assert_eq!(scene.memory.waiting(scene.id), 0);
    let next = wait();
    settle().await;
    let start = Instant::now();
    drop(held);
    assert!(next.await.unwrap().is_ok());
    assert_eq!(start.elapsed(), Duration::ZERO, "it was not woken");
    assert_eq!(scene.leased(), None);
}

#[tokio::test(start_paused = true)]
async fn a_commit_says_what_has_become_of_the_session() {
    let scene = Scene::new().await;
    let store = store(&scene);
    let held = acquire_free(&store, &locking(&scene)).unwrap().unwrap();
    sleep(LEASE).await;
    scene.take(LEASE).await;
    let outcome = commit(held).await;
    assert!(
        matches!(outcome, Err(Error::Conflict(Conflict::Lost))),
        "{outcome:?}"
    );
    assert_eq!(scene.leased(), Some(LEASE), "it is the other's");
    sleep(LEASE).await;
    let held = acquire_free(&store, &locking(&scene)).unwrap().unwrap();
    assert!(scene.memory.destroy(scene.id).await.unwrap());
    let outcome = commit(held).await;
    assert!(
        matches!(outcome, Err(Error::Conflict(Conflict::Gone))),
        "{outcome:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_refused_gives_the_lease_back() {
    let scene = Scene::new().await;
    let store = store(&scene);
    let joins = || HeadChange {
        user: Some(Some("ada".into())),
        cap: Some(UserCap::refuse(1)),
        ..HeadChange::default()
    };
    let other = Open {
        id: scene.add().await,
        ..locking(&scene)
    };
    let (view, grant) = acquire_free(&store, &other).unwrap().unwrap();
    let put = Commit::Put(joins(), Patch::default());
    assert!(grant.finish(view, put).await.is_ok());
    let (view, grant) = acquire_free(&store, &locking(&scene)).unwrap().unwrap();
    let put = Commit::Put(joins(), Patch::default());
    let outcome = grant.finish(view, put).await;
    assert!(matches!(outcome, Err(Error::TooManySessions)));
    assert_eq!((scene.leased(), scene.commits()), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_commit_of_data_is_there_and_destroys_when_asked_to() {
    use tower_keep_core::data::{DataLimits, Edit};
    let scene = Scene::new().await;
    let store = store(&scene);
    let (view, grant) = acquire_free(&store, &locking(&scene)).unwrap().unwrap();
    let mut edit = Edit::new(view.data.clone(), DataLimits::default());
    edit.insert("n", &1).unwrap();
    let put = Commit::Put(HeadChange::default(), edit.into_patch().unwrap());
    let (head, _) = grant.finish(view, put).await.unwrap();
    assert_eq!(head.version, 2);
    let (view, grant) = acquire_free(&store, &locking(&scene)).unwrap().unwrap();
    let edit = Edit::new(view.data.clone(), DataLimits::default());
    assert_eq!(edit.get::<u32>("n").unwrap(), Some(1));
    grant.finish(view, Commit::Destroy).await.unwrap();
    assert!(scene.memory.record(scene.id).unwrap().gone_at.is_some());
}
