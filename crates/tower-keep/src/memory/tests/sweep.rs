//! Sweeping in steps.

use tower_keep_core::{Expect, SessionStore, Sweep, Swept};

use super::*;

const EVERYTHING: usize = usize::MAX;

async fn sweep(store: &MemoryStore, limit: usize) -> Swept {
    let sweep = Sweep {
        limit,
        ..Sweep::default()
    };
    store.sweep(sweep).await.unwrap()
}

#[tokio::test]
async fn one_call_goes_once_around_wherever_it_begins() {
    let (store, clock) = store(usize::MAX);
    // More than a chunk in each shard.
    for _ in 0..9_000 {
        store.add(SECOND);
    }
    let lives = store.add(60 * SECOND);
    clock.advance(SECOND);
    for limit in [1, 7, 500] {
        let swept = sweep(&store, limit).await;
        assert_eq!((swept.expired.len(), swept.more), (limit, true));
    }
    let swept = sweep(&store, EVERYTHING).await;
    assert_eq!((swept.expired.len(), swept.more), (9_000 - 508, false));
    assert_eq!((store.len(), store.ids()), (1, vec![lives]));
    // What was given back is there again.
    for _ in 0..9_000 {
        store.add(SECOND);
    }
    assert_eq!(store.ids().len(), 9_001);
    clock.advance(SECOND);
    assert_eq!(sweep(&store, EVERYTHING).await.expired.len(), 9_000);
}

#[tokio::test]
async fn a_deadline_that_moved_is_the_one_that_counts() {
    let (store, clock) = store(usize::MAX);
    let [longer, shorter, other] = [30, 3_600, 3_600].map(|seconds| store.add(seconds * SECOND));
    let limits = |idle| {
        let limits = Limits {
            idle,
            ..Limits::default()
        };
        let head = HeadChange {
            limits: Some(limits),
            ..HeadChange::default()
        };
        Op::Put(Put { head, data: None })
    };
    for (id, idle) in [(longer, 3_600 * SECOND), (shorter, 30 * SECOND)] {
        // Nothing is due yet, and the sweep remembers that.
        assert_eq!(sweep(&store, EVERYTHING).await, Swept::default());
        let owner = store.hold(id);
        let done = store.end(id, owner, limits(idle));
        assert!(matches!(done, Finished::Done { .. }), "{done:?}");
    }
    clock.advance(30 * SECOND);
    assert_eq!(sweep(&store, EVERYTHING).await.expired, [shorter]);
    // Written over.
    let (mut record, revision) = store.look(other).await.unwrap().record.unwrap();
    record.head.idle_deadline = Timestamp::from_millis(1);
    let expect = Expect::Revision(revision);
    assert!(store.cas(other, expect, &record).await.unwrap());
    assert_eq!(sweep(&store, EVERYTHING).await.expired, [other]);
    assert_eq!(store.ids(), [longer]);
}

#[tokio::test]
async fn tombstones_stay_as_long_as_asked() {
    let (store, clock) = store(usize::MAX);
    let id = store.add(3_600 * SECOND);
    assert!(SessionStore::destroy(&store, id).await.unwrap());
    for (seconds, left) in [(599, 1), (1, 0)] {
        clock.advance(seconds * SECOND);
        let swept = sweep(&store, EVERYTHING).await;
        assert_eq!((store.len(), swept.tombstones), (left, 1 - left));
    }
}
