//! Several keepers on one store, as in several processes: who gets the session, and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower_keep_testkit::{FaultStore, NetworkStore, Rng, Verb, seed_or};

use super::heavy;
use super::scene::{SECOND, Scene, acquire, commit, is_idle, settle, write};
use crate::error::{Conflict, Error};
use crate::lock::{Keeper, LockConfig};

const MS: Duration = Duration::from_millis(1);

/// Keeps `count` requests at a time in the line, each of which holds the session for `hold`.
fn crowd(keeper: &Arc<Keeper>, scene: &Scene, count: usize, hold: Duration) -> Vec<Crowd> {
    crowd_counted(keeper, scene, count, hold, &Arc::default())
}

/// As [`crowd`], and counts those it served.
fn crowd_counted(
    keeper: &Arc<Keeper>,
    scene: &Scene,
    count: usize,
    hold: Duration,
    served: &Arc<AtomicU64>,
) -> Vec<Crowd> {
    let one = |_| {
        let (keeper, open, served) = (keeper.clone(), scene.open(), served.clone());
        tokio::spawn(async move {
            loop {
                let granted = acquire(&keeper, open).await.unwrap();
                sleep(hold).await;
                commit(granted).await.unwrap();
                served.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    (0..count).map(one).collect()
}

type Crowd = tokio::task::JoinHandle<()>;

#[tokio::test(start_paused = true)]
async fn a_crowd_lets_a_stranger_in() {
    let seed = seed_or(1);
    println!("seed {seed}");
    for round in 0..if heavy() { 1_000 } else { 40 } {
        let scene = Scene::new().await;
        let mut rng = Rng::new(seed + round);
        let mut store = NetworkStore::new(scene.memory.clone(), rng.next_u64()).latency(2 * MS);
        if round % 2 == 0 {
            store = store.with_wakeups();
        }
        let busy = scene.keeper(store.clone(), LockConfig::default());
        let stranger = scene.keeper(store, LockConfig::default());
        let hold = MS + rng.up_to(20 * MS);
        let crowd = crowd(&busy, &scene, 20, hold);
        sleep(rng.up_to(SECOND)).await;
        let start = Instant::now();
        write(stranger, scene.open()).await.unwrap();
        // It may have to be refused first and to see a whole cohort and the rest of one before;
        // then it gets its chance.
        let (took, cohort) = (start.elapsed(), 16 * (hold + 4 * MS));
        let most = 2 * cohort + 500 * MS;
        assert!(took <= most, "round {round}, hold {hold:?}: {took:?}");
        crowd.iter().for_each(Crowd::abort);
    }
}

#[tokio::test(start_paused = true)]
async fn two_crowds_share_a_session() {
    for wakeups in [false, true] {
        let scene = Scene::new().await;
        let mut store = NetworkStore::new(scene.memory.clone(), seed_or(1)).latency(2 * MS);
        if wakeups {
            store = store.with_wakeups();
        }
        let keepers = [0; 2].map(|_| scene.keeper(store.clone(), LockConfig::default()));
        let served = [0; 2].map(|_| Arc::new(AtomicU64::new(0)));
        let crowds: Vec<_> = keepers
            .iter()
            .zip(&served)
            .flat_map(|(keeper, served)| crowd_counted(keeper, &scene, 20, MS, served))
            .collect();
        sleep(30 * SECOND).await;
        crowds.iter().for_each(Crowd::abort);
        let served = served.map(|served| served.load(Ordering::Relaxed));
        println!("with wake-ups {wakeups}: {served:?} in 30 s");
        let (less, more) = (served[0].min(served[1]), served[0].max(served[1]));
        assert!(less * 2 >= more, "{served:?}");
        assert!(more > 1_000, "{served:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn wake_ups_are_quick_and_save_questions() {
    for wakeups in [false, true] {
        let scene = Scene::new().await;
        let mut store = NetworkStore::new(scene.memory.clone(), 1);
        if wakeups {
            store = store.with_wakeups();
        }
        let [first, second] = [0; 2].map(|_| scene.keeper(store.clone(), LockConfig::default()));
        let held = acquire(&first, scene.open()).await.unwrap();
        let waiting = tokio::spawn(write(second, scene.open()));
        sleep(5 * SECOND).await;
        let start = Instant::now();
        commit(held).await.unwrap();
        assert_eq!(waiting.await.unwrap().unwrap(), 3);
        let took = start.elapsed();
        if wakeups {
            assert_eq!(took, Duration::ZERO);
        } else {
            assert!(took <= 200 * MS, "{took:?}");
        }
        // No busy loop.
        let asked = store.calls().of(Verb::Open);
        assert!(asked < 90, "{asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crashed_holder_is_outlasted() {
    let scene = Scene::new().await;
    scene.take(10 * SECOND).await;
    let keeper = scene.keeper(FaultStore::new(scene.memory.clone()), LockConfig::default());
    let start = Instant::now();
    assert_eq!(write(keeper, scene.open()).await.unwrap(), 2);
    let took = start.elapsed();
    assert!((10 * SECOND..11 * SECOND).contains(&took), "{took:?}");
}

/// Requests of several processes over a bad network: what is acknowledged is there, once.
#[tokio::test(start_paused = true)]
async fn nothing_acknowledged_is_lost_and_nothing_is_applied_twice() {
    let seed = seed_or(1);
    println!("seed {seed}");
    for round in 0..if heavy() { 3_000 } else { 60 } {
        let scene = Scene::new().await;
        let mut rng = Rng::new(seed ^ (round << 32));
        let (bad, slow) = (rng.below(30), rng.up_to(20 * MS));
        let bad = u32::try_from(bad).unwrap();
        let store = NetworkStore::new(scene.memory.clone(), rng.next_u64())
            .latency(slow)
            .lost_requests(bad)
            .lost_replies(bad);
        let keepers = [0; 3].map(|_| scene.keeper(store.clone(), LockConfig::default()));
        let mut requests = Vec::new();
        for n in 0..30 {
            let keeper = keepers[n % 3].clone();
            let (open, start, hold) = (scene.open(), rng.up_to(SECOND), rng.up_to(20 * MS));
            let (gives_up, writes) = (rng.percent(20), rng.percent(70));
            requests.push(tokio::spawn(async move {
                sleep(start).await;
                let request = async {
                    let granted = acquire(&keeper, open).await?;
                    sleep(hold).await;
                    if writes {
                        commit(granted).await.map(Some)
                    } else {
                        Ok(None)
                    }
                };
                if gives_up {
                    // At some moment in the middle.
                    tokio::time::timeout(hold * 3, request).await.ok()
                } else {
                    Some(request.await)
                }
            }));
        }
        let mut versions = Vec::new();
        let (mut unknown, mut attempted) = (0, 0);
        for request in requests {
            attempted += 1;
            match request.await.unwrap() {
                Some(Ok(Some(version))) => versions.push(version),
                None | Some(Err(Error::OutcomeUnknown)) => unknown += 1,
                Some(
                    Ok(None)
                    | Err(Error::Store(_) | Error::LockTimeout | Error::Conflict(Conflict::Lost)),
                ) => {}
                Some(Err(error)) => panic!("round {round}: {error:?}"),
            }
        }
        settle().await;
        sleep(60 * SECOND).await;
        let (acknowledged, applied) = (versions.len() as u64, scene.commits());
        assert!(acknowledged <= applied, "round {round}: lost");
        assert!(applied <= acknowledged + unknown, "round {round}: twice");
        assert!(attempted == 30 && scene.leased().is_none_or(|left| left.is_zero()));
        assert!(
            keepers.iter().all(|keeper| is_idle(keeper)),
            "round {round}"
        );
    }
}
