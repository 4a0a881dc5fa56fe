//! What others do between two system calls of a step.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tower_keep_core::{Created, Open, Opened, SessionId, Sweep};
use tower_keep_testkit::TestClock;

use super::NOW;
use super::script::{end, meanwhile};
use super::verbs::{new_session, stored};
use crate::FileStore;
use crate::shard::{Shard, make_dir};
use crate::steps::Steps;

/// The idle limit of the sessions here.
const IDLE: Duration = Duration::from_secs(7_200);
const MILLI: Duration = Duration::from_millis(1);

fn steps(dir: &Path, clock: &TestClock) -> Steps {
    let builder = FileStore::builder(dir).clock(Arc::new(clock.clone()));
    builder.make().unwrap()
}

fn touching(id: SessionId) -> Open {
    Open {
        id,
        secret: None,
        age: Duration::ZERO,
        touch: Some(Duration::ZERO),
        lease: None,
    }
}

/// A session a millisecond before its deadline, seen by a store and by another one.
fn nearly_over() -> (tempfile::TempDir, TestClock, SessionId, Steps, Steps) {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::at(NOW));
    let (mine, others) = (steps(dir.path(), &clock), steps(dir.path(), &clock));
    let id = SessionId::new(NOW);
    mine.create(&new_session(id)).unwrap();
    clock.advance(IDLE.saturating_sub(MILLI));
    (dir, clock, id, mine, others)
}

#[test]
fn a_sweep_keeps_what_was_renewed_while_it_waited_for_the_lock() {
    let (_dir, clock, id, mine, others) = nearly_over();
    clock.advance(MILLI);
    meanwhile("lock", move || {
        // By one who had taken the time a millisecond ago.
        clock.jump_wall(-1);
        let opened = others.open(&touching(id)).unwrap();
        assert!(matches!(opened, Opened::Granted(_)), "{opened:?}");
        clock.jump_wall(1);
    });
    let swept = mine.sweep(Sweep::default()).unwrap();
    assert!(end().contains(&"lock"), "it was not about to remove it");
    assert_eq!(swept.expired, []);
    assert!(stored(&mine, id).is_some());
}

#[test]
fn a_sweep_counts_only_what_it_removed_itself() {
    let (_dir, clock, id, mine, others) = nearly_over();
    clock.advance(MILLI);
    meanwhile("lock", move || {
        assert_eq!(others.sweep(Sweep::default()).unwrap().expired.len(), 1);
    });
    let swept = mine.sweep(Sweep::default()).unwrap();
    end();
    assert_eq!(swept.expired, []);
    assert!(stored(&mine, id).is_none());
}

#[test]
fn a_reader_does_not_take_what_was_just_renewed_for_expired() {
    let (_dir, clock, id, mine, others) = nearly_over();
    let reading = Open {
        touch: None,
        ..touching(id)
    };
    // It has the file open already, and that says: over in a millisecond.
    meanwhile("read", move || {
        others.open(&touching(id)).unwrap();
        clock.advance(MILLI);
    });
    let opened = mine.read(&reading).unwrap();
    end();
    assert!(matches!(opened, Some(Opened::Granted(_))), "{opened:?}");
}

#[test]
fn who_locked_a_directory_that_was_replaced_locks_the_new_one() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::at(NOW));
    let (mine, id) = (steps(dir.path(), &clock), SessionId::new(NOW));
    let shard = mine.shard(Shard::index_of(id));
    let (path, away) = (shard.path().to_owned(), dir.path().join("away"));
    meanwhile("lock", move || {
        std::fs::rename(&path, &away).unwrap();
        make_dir(shard.path()).unwrap();
    });
    let created = mine.create(&new_session(id)).unwrap();
    let locks = end().iter().filter(|call| **call == "lock").count();
    assert!(matches!(created, Created::Done(_)), "{created:?}");
    assert_eq!(locks, 2);
    assert!(stored(&mine, id).is_some());
}
