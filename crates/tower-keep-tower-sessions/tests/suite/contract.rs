//! What the bridge makes of their contract: which of their calls it uses, and that nothing comes
//! back that is gone.

use std::time::Duration;

use tower_keep::core::{Created, Expect, Finished, Scope};
use tower_keep::{SessionStore, Timestamp};
use tower_sessions_core_014::session::Id;

use crate::life::KEEP;
use crate::rows::{bridged, lock, new_session};

fn millis(at: time::OffsetDateTime) -> u64 {
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap()
}

#[tokio::test]
async fn f1_it_is_for_one_process() {
    let (_, store, _) = bridged();
    assert_eq!(store.scope(), Scope::Process);
}

#[tokio::test]
async fn f1_a_new_session_is_created_and_an_old_one_saved() {
    let (rows, store, clock) = bridged();
    let new = new_session(&clock);
    assert!(matches!(store.create(&new).await, Ok(Created::Done(_))));
    assert_eq!(rows.calls().last(), Some(&"create"));
    assert_eq!(rows.one().id, Id(i128::from_be_bytes(*new.id.as_bytes())));

    lock(&store, new.id).await;
    let calls = rows.calls();
    assert!(!calls.contains(&"create") && calls.last() == Some(&"save"));
    store.destroy(new.id).await.unwrap();
    let calls = rows.calls();
    assert!(!calls.contains(&"create") && calls.last() == Some(&"save"));
}

/// Their `save` would make it again.
#[tokio::test]
async fn f1_what_was_removed_meanwhile_does_not_come_back() {
    let (rows, store, clock) = bridged();
    let new = new_session(&clock);
    store.create(&new).await.unwrap();
    let (_, finish) = lock(&store, new.id).await;
    let (record, revision) = store.look(new.id).await.unwrap().record.unwrap();
    rows.clear();

    assert!(matches!(store.finish(&finish).await, Ok(Finished::Gone)));
    let swapped = store.cas(new.id, Expect::Revision(revision), &record);
    assert!(!swapped.await.unwrap());
    assert!(!store.destroy(new.id).await.unwrap());
    assert_eq!(rows.all(), []);
}

/// So that theirs keep it as long as it is needed, and remove it then.
#[tokio::test]
async fn f1_it_is_theirs_to_remove_when_it_is_over() {
    let (rows, store, clock) = bridged();
    let new = new_session(&clock);
    store.create(&new).await.unwrap();
    let head = store.look(new.id).await.unwrap().record.unwrap().0.head;
    let kept = |until: Timestamp| until.plus(KEEP).as_millis();
    assert_eq!(millis(rows.one().expiry_date), kept(head.deadline()));

    clock.advance(KEEP / 2);
    store.destroy(new.id).await.unwrap();
    let gone_at = store.look(new.id).await.unwrap().now;
    assert_eq!(millis(rows.one().expiry_date), kept(gone_at));

    // Over for both at the same instant, though theirs still has the row.
    clock.set(gone_at.plus(KEEP).minus(Duration::from_millis(1)));
    assert!(store.look(new.id).await.unwrap().record.is_some());
    clock.advance(Duration::from_millis(1));
    assert!(store.look(new.id).await.unwrap().record.is_none());
    assert_eq!(rows.all().len(), 1);
}
