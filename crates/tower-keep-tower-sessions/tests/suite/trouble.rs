//! G5: an error of theirs is an error of ours, and a record that cannot be used stays as it is.

use std::error::Error as _;

use tower_keep::core::{Created, StoreError};
use tower_keep::{SessionStore, StoreErrorKind};
use tower_keep_tower_sessions::{BridgeError, Bridged14};
use tower_sessions_core_014::session::Record as Row;
use tower_sessions_core_014::session_store::Error;

use crate::life::{COOKIE, client, clock};
use crate::rows::{Failure, Rows, bridged, new_session};

/// What is wrong, and what of the stored session must not be told.
fn cause(error: &StoreError) -> (StoreErrorKind, BridgeError) {
    let text = format!("{error} {error:?}");
    assert!(!text.contains("hunter2"), "{text}");
    let source = error.source().unwrap();
    assert!(!source.to_string().contains("hunter2"), "{source}");
    let cause = source.downcast_ref::<BridgeError>();
    (error.kind(), cause.unwrap().clone())
}

fn quoting() -> Error {
    Error::Decode("unexpected string \"hunter2\"".into())
}

#[tokio::test]
async fn f1_a_failed_call_is_an_error() {
    let failures: [(Failure, StoreErrorKind, BridgeError); 3] = [
        (
            || Error::Backend("connection refused".into()),
            StoreErrorKind::Unavailable,
            BridgeError::Failed("connection refused".into()),
        ),
        (quoting, StoreErrorKind::Corrupt, BridgeError::Decode),
        (
            || Error::Encode("hunter2".into()),
            StoreErrorKind::Unavailable,
            BridgeError::Encode,
        ),
    ];
    for (error, kind, expected) in failures {
        let clock = clock();
        let rows = Rows::default();
        let store = Bridged14::builder(rows.clone()).sweep_expired().build();
        let new = new_session(&clock);
        store.create(&new).await.unwrap();
        rows.fail(Some(error));
        let sweep = tower_keep::core::Sweep::default();
        for failed in [
            store.look(new.id).await.map(drop),
            store.destroy(new.id).await.map(drop),
            store.create(&new).await.map(drop),
            store.sweep(sweep).await.map(drop),
        ] {
            assert_eq!(cause(&failed.unwrap_err()), (kind, expected.clone()));
        }
    }
}

#[tokio::test]
async fn f1_an_outage_logs_nobody_out() {
    let (rows, store, clock) = bridged();
    let client = client(store, &clock);
    client.get("/login/ann").await;
    let cookie = client.cookie(COOKIE);
    let before = rows.one();
    rows.fail(Some(|| Error::Backend("connection refused".into())));
    for path in ["/who", "/add", "/logout"] {
        let answer = client.get(path).await;
        assert_eq!(answer.status(), 503, "{path}");
        assert!(answer.set_cookies().is_empty(), "{path}");
    }
    rows.fail(None);
    assert_eq!(rows.one(), before);
    assert_eq!(client.cookie(COOKIE), cookie);
    assert_eq!(client.get("/add").await.text(), "1");
    assert_eq!(client.get("/who").await.text(), "ann 1");
}

/// Puts a row in a session's place and looks.
async fn looked(change: impl FnOnce(&mut Row)) -> (StoreErrorKind, BridgeError) {
    let (rows, store, clock) = bridged();
    let new = new_session(&clock);
    store.create(&new).await.unwrap();
    let mut row = rows.one();
    change(&mut row);
    rows.put(row.clone());
    let error = store.look(new.id).await.unwrap_err();
    let destroyed = store.destroy(new.id).await.unwrap_err();
    assert_eq!(destroyed.kind(), error.kind());
    assert_eq!(rows.one(), row, "it was not left alone");
    cause(&error)
}

fn entry(row: &mut Row) -> &mut serde_json::Value {
    row.data.get_mut("tower-keep").unwrap()
}

#[tokio::test]
async fn f1_what_is_not_ours_or_damaged_is_left_alone() {
    let (kind, cause) = looked(|row| {
        row.data = [("user".to_owned(), "hunter2".into())].into();
    })
    .await;
    assert_eq!(
        (kind, cause),
        (StoreErrorKind::Corrupt, BridgeError::Foreign)
    );

    let (kind, cause) = looked(|row| *entry(row) = "hunter2".into()).await;
    assert_eq!(
        (kind, cause),
        (StoreErrorKind::Unsupported, BridgeError::OtherRelease)
    );

    let (kind, cause) = looked(|row| entry(row)["record"] = "hunter2!".into()).await;
    assert_eq!(kind, StoreErrorKind::Corrupt);
    assert_eq!(cause, BridgeError::Damaged("it is not in base64"));
}

/// A row that was moved under another session's id opens nothing.
#[tokio::test]
async fn f1_a_record_under_another_id_is_damaged() {
    let (rows, store, clock) = bridged();
    let (one, two) = (new_session(&clock), new_session(&clock));
    store.create(&one).await.unwrap();
    let mut row = rows.one();
    row.id.0 = i128::from_be_bytes(*two.id.as_bytes());
    rows.put(row);
    let error = store.look(two.id).await.unwrap_err();
    let damaged = BridgeError::Damaged("it is another session's");
    assert_eq!(cause(&error), (StoreErrorKind::Corrupt, damaged));
}

#[tokio::test]
async fn f1_more_than_is_accepted_is_refused_before_it_is_written() {
    let (clock, rows) = (clock(), Rows::default());
    let store = Bridged14::builder(rows.clone()).max_data(10).build();
    let error = store.create(&new_session(&clock)).await.unwrap_err();
    let (kind, cause) = cause(&error);
    assert_eq!(kind, StoreErrorKind::TooLarge);
    assert!(matches!(cause, BridgeError::TooLarge { max: 10, .. }));
    assert_eq!(rows.all(), []);
}

/// Theirs do not show a row that is over, and choose another id when they meet it.
#[tokio::test]
async fn f1_a_row_that_is_over_is_not_in_the_way() {
    let (rows, store, clock) = bridged();
    let new = new_session(&clock);
    store.create(&new).await.unwrap();
    let mut hidden = rows.one();
    hidden.expiry_date = time::OffsetDateTime::UNIX_EPOCH;
    rows.put(hidden.clone());
    assert!(matches!(store.create(&new).await, Ok(Created::Done(_))));
    let row = rows.one();
    assert_eq!(row.id, hidden.id, "under the id that was chosen for it");
    assert!(row.expiry_date > hidden.expiry_date);
}
