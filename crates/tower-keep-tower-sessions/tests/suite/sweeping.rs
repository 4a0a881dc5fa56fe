//! Removing what is over.

use std::time::Duration;

use tower_keep::SessionStore;
use tower_keep::core::{Sweep, Swept};
use tower_keep_tower_sessions::Bridged14;

use crate::life::{clock, on};
use crate::rows::{Rows, bridged, new_session};

#[tokio::test]
async fn f1_a_sweep_is_theirs_if_they_have_one() {
    let (rows, clock) = (Rows::default(), clock());
    let store = on(rows.clone(), &clock).sweep_expired().build();
    let new = new_session(&clock);
    store.create(&new).await.unwrap();
    // By their clock this one was over long ago.
    let mut old = rows.one();
    old.id.0 -= 1;
    old.expiry_date = time::OffsetDateTime::UNIX_EPOCH;
    rows.put(old);
    rows.calls();

    let swept = store.sweep(Sweep::default()).await.unwrap();
    assert_eq!(rows.calls(), ["delete_expired"]);
    assert_eq!(swept, Swept::default());
    assert_eq!(rows.one().id.0, i128::from_be_bytes(*new.id.as_bytes()));
}

#[tokio::test]
async fn f1_without_theirs_a_sweep_does_nothing() {
    let (rows, store, clock) = bridged();
    store.create(&new_session(&clock)).await.unwrap();
    rows.calls();
    let swept = store.sweep(Sweep::default()).await.unwrap();
    assert_eq!(swept, Swept::default());
    assert!(rows.calls().is_empty());
}

/// A session whose time is over by their clock is not there, whether they removed it or not.
#[tokio::test]
async fn f1_their_sweep_and_their_silence_are_the_same() {
    let rows = Rows::default();
    let store = Bridged14::builder(rows.clone())
        .keep_expired(Duration::ZERO)
        .sweep_expired()
        .build();
    let mut new = new_session(&clock());
    new.limits.idle = Duration::ZERO;
    store.create(&new).await.unwrap();
    assert_eq!(rows.all().len(), 1);
    assert!(store.look(new.id).await.unwrap().record.is_none());
    store.sweep(Sweep::default()).await.unwrap();
    assert_eq!(rows.all(), []);
    assert!(store.look(new.id).await.unwrap().record.is_none());
}
