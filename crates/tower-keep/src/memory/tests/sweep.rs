//! Sweeping in steps.

use std::future::Future;

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
    // More than a step's in each shard.
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
async fn others_have_their_turn_while_it_goes_on() {
    let (store, clock) = store(usize::MAX);
    for _ in 0..20_000 {
        store.add(SECOND);
    }
    let lives = store.add(60 * SECOND);
    clock.advance(SECOND);
    // One that goes to its end, then, as much later, one that is dropped on its way.
    for stops in [usize::MAX, 2] {
        let (mut turns, mut left) = (0, store.len());
        let mut sweep = std::pin::pin!(sweep(&store, EVERYTHING));
        let mut cx = Context::from_waker(Waker::noop());
        while turns < stops && sweep.as_mut().poll(&mut cx).is_pending() {
            let removed = left - store.len();
            assert!((1..=4_096).contains(&removed), "{removed}");
            (turns, left) = (turns + 1, store.len());
            // Nobody has the mutex now, and nothing is half done.
            assert_eq!(store.ids().len(), left);
            store.release(lives, store.hold(lives));
        }
        assert!(turns >= 2, "{turns}");
        if stops == usize::MAX {
            assert_eq!(store.ids(), [lives]);
            (0..20_000).for_each(|_| _ = store.add(SECOND));
            clock.advance(SECOND);
        }
    }
    let left = store.len() - 1;
    assert!((1..20_000).contains(&left), "{left}");
    assert_eq!(sweep(&store, EVERYTHING).await.expired.len(), left);
    assert_eq!(store.ids(), [lives]);
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
