//! Answers at borders that only SQL has.

use std::sync::Arc;
use std::time::Duration;

use tower_keep_core::{Clock, Finish, Finished, Op, Open, Opened, Owner, SessionStore};
use tower_keep_sqlx::SqliteStore;
use tower_keep_testkit::TestClock;

use crate::place::{ENGINES, Place};
use crate::storage::{leasing, new_session, putting};

/// The row of a tombstone no longer shows that somebody waits.
#[tokio::test]
async fn a_destruction_tells_that_somebody_waits() {
    for engine in ENGINES {
        let place = Place::new(engine);
        let store = place.store().await;
        for waits in [false, true] {
            let (new, owner) = (new_session(), Owner::unique());
            store.create(&new).await.unwrap();
            store.open(&leasing(&new, owner)).await.unwrap();
            if waits {
                let opened = store.open(&leasing(&new, Owner::unique())).await.unwrap();
                assert!(matches!(opened, Opened::Busy(_)), "{engine:?}: {opened:?}");
            }
            let finish = Finish {
                op: Op::Destroy,
                ..putting(&new, owner, 1)
            };
            match store.finish(&finish).await.unwrap() {
                Finished::Done { waiting, .. } => assert_eq!(waiting, waits, "{engine:?}"),
                other => panic!("{engine:?}: {other:?}"),
            }
        }
    }
}

/// A touch that comes with a lease is made when it moves the deadline by just as much as asked.
#[tokio::test]
async fn a_touch_with_a_lease_is_due_at_its_border() {
    const DUE: Duration = Duration::from_secs(10);
    let clock = TestClock::new();
    let store = SqliteStore::builder().clock(Arc::new(clock.clone()));
    let store = store.connect("sqlite::memory:").await.unwrap();
    store.migrate().await.unwrap();
    let (new, owner) = (new_session(), Owner::unique());
    store.create(&new).await.unwrap();
    let created = clock.now();
    let open = Open {
        touch: Some(DUE),
        ..leasing(&new, owner)
    };
    for (step, last_seen) in [
        (Duration::from_millis(9_999), created),
        (Duration::from_millis(1), created.plus(DUE)),
    ] {
        clock.advance(step);
        match store.open(&open).await.unwrap() {
            Opened::Granted(view) => assert_eq!(view.head.last_seen, last_seen),
            other => panic!("{other:?}"),
        }
    }
}
