//! Requests at a store of this process: the queue of a shard, turns, and what is given back by
//! being dropped.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time;
use tower_keep_core::{DynStore, Opened, SessionStore};

use super::stage::{End, LEASE, Stage};
use crate::error::{Conflict, Error};
use crate::lock::{acquire_free, acquire_local};
use crate::threads::{Time, choose, play, start};

const LONG: Duration = Duration::from_secs(15);

async fn request(stage: Arc<Stage>, end: End, wait: Duration) -> Result<bool, Error> {
    let over = stage.is_over();
    let store = DynStore::new(stage.memory.clone());
    match acquire_local(&store, &stage.open(), wait, 64).await? {
        Ok(granted) => stage.hold(granted, end, over).await.map(|()| true),
        Err(opened) => {
            let fits = matches!(opened, Opened::Stale | Opened::Absent | Opened::Expired);
            assert!(fits, "{opened:?}");
            Ok(false)
        }
    }
}

/// So many add one each.
pub fn everyone_counts(requests: u64) {
    play(Time::StandsStill, async {
        let stage = Stage::new(true);
        let one = |_| start(request(stage.clone(), End::Count, LONG));
        let tasks: Vec<_> = (0..requests).map(one).collect();
        for task in tasks {
            assert!(task.await.unwrap().unwrap());
        }
        stage.check_all(requests);
    });
}

/// One waits for what is given up, and leaves at any moment; another one behind it if there is one.
pub fn one_leaves(others: u64) {
    play(Time::StandsStill, async move {
        let stage = Stage::new(true);
        let store = DynStore::new(stage.memory.clone());
        let held = acquire_free(&store, &stage.open()).unwrap().unwrap();
        let leaver = start(request(stage.clone(), End::Discard, LONG));
        let other = |_| start(request(stage.clone(), End::Count, LONG));
        let waiting: Vec<_> = (0..others).map(other).collect();
        let leaves = start(async move {
            leaver.abort();
            drop(leaver.await);
        });
        drop(held);
        for task in waiting {
            assert!(task.await.unwrap().unwrap());
        }
        leaves.await.unwrap();
        stage.check_all(others);
    });
}

/// Four, each of which ends its turn in some way or is dropped at any moment.
pub fn some_leave() {
    play(Time::StandsStill, async {
        let stage = Stage::new(true);
        let one = |_| {
            let end = [End::Count, End::Discard][choose(2) as usize];
            start(request(stage.clone(), end, LONG))
        };
        let tasks: Vec<_> = (0..4).map(one).collect();
        for task in &tasks {
            if choose(2) == 0 {
                task.abort();
            }
        }
        for task in tasks {
            if let Ok(answer) = task.await {
                assert!(answer.unwrap());
            }
        }
        // A commit here is one step, so who was dropped in the middle did all of it or nothing.
        stage.check();
    });
}

/// A holder is dead, and of those who wait some do so longer than its lease lasts.
pub fn some_time_out() {
    play(Time::Passes, async {
        let stage = Stage::new(false);
        let dead = stage.memory.local().unwrap().open(&stage.open());
        assert!(matches!(dead, Opened::Granted(_)));
        let one = |wait| {
            let (stage, wait) = (stage.clone(), Duration::from_secs(wait));
            start(async move {
                let start = time::now();
                let answer = request(stage, End::Count, wait).await;
                let took = time::now() - start;
                match answer {
                    Ok(granted) => assert!(granted),
                    Err(Error::LockTimeout) => assert!(took >= wait, "after {took:?}"),
                    Err(Error::Conflict(Conflict::Lost)) => assert!(took >= LEASE),
                    Err(error) => panic!("{error:?}"),
                }
            })
        };
        let tasks = [5, 12, 15, 15].map(one);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(stage.memory.waiting(stage.id), 0);
        // One that timed out in the same moment may have left a lease that ends by itself.
        stage.memory.local().unwrap().expire_lease(stage.id);
        time::sleep(LEASE).await;
        let after = stage.memory.local().unwrap().open(&stage.open());
        assert!(matches!(after, Opened::Granted(_)), "{after:?}");
    });
}

/// One destroys the session or replaces its secret while others queue, and one comes after.
pub fn it_ends(rotates: bool) {
    play(Time::StandsStill, async {
        let stage = Stage::new(true);
        let end = if rotates { End::Rotate } else { End::Destroy };
        let counts = [(); 2].map(|()| start(request(stage.clone(), End::Count, LONG)));
        let ends = start(request(stage.clone(), end, LONG));
        assert!(ends.await.unwrap().unwrap());
        assert!(!request(stage.clone(), End::Count, LONG).await.unwrap());
        for task in counts {
            task.await.unwrap().unwrap();
        }
        stage.check();
    });
}

/// Somebody destroys the session from outside while it is held and waited for.
pub fn it_is_revoked() {
    play(Time::StandsStill, async {
        let stage = Stage::new(true);
        let counts = [(); 3].map(|()| start(request(stage.clone(), End::Count, LONG)));
        let revoked = {
            let stage = stage.clone();
            start(async move {
                assert!(stage.memory.destroy(stage.id).await.unwrap());
                stage.destroyed.store(true, Ordering::SeqCst);
                stage.over.store(true, Ordering::SeqCst);
            })
        };
        for task in counts {
            match task.await.unwrap() {
                Ok(_) | Err(Error::Conflict(Conflict::Gone)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        revoked.await.unwrap();
        assert!(!request(stage.clone(), End::Count, LONG).await.unwrap());
        stage.check();
    });
}
