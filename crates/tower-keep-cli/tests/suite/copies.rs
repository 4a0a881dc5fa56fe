//! `keep migrate --to`, and `keep sweep`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tower_keep::core::{CommitId, Finish, Op, Open, Opened, Owner};
use tower_keep::keys::KeyRing;
use tower_keep::{EncryptedStore, SessionId, SessionLayer, SessionStore, is_encrypted};
use tower_keep_file::{Durability, FileStore};
use tower_keep_sqlx::SqliteStore;
use tower_keep_testkit::TestClock;

use crate::app::{elsewhere, goes, id, somebody};
use crate::place::{Place, texts};

const KEY: &str = "9f2b0c4d8e1a7365f00d1e2c3b4a59687f8e9dacbbca0d1e2f30415263748596";

#[tokio::test]
async fn f6_cookies_open_the_copies_and_a_second_run_skips_them() {
    let (from, to) = (Place::file(), Place::sqlite());
    let ada = somebody(from.store().await, Some("ada")).await;
    let visitor = somebody(from.store().await, None).await;
    let copied = from.copy(&to, &[]).await.well();
    assert_eq!(copied, "2 sessions copied\n");
    // One goes on, where it was copied to.
    let moved = elsewhere(&ada, to.store().await);
    assert_eq!(goes(&moved, "/add").await, "2");
    assert_eq!(
        goes(&elsewhere(&visitor, to.store().await), "/read").await,
        "1"
    );
    let late = somebody(from.store().await, None).await;
    let again = from.copy(&to, &[]).await.well();
    assert_eq!(
        again,
        "1 session copied\n2 sessions skipped: there already\n"
    );
    assert_eq!(goes(&moved, "/read").await, "2");
    assert_eq!(
        goes(&elsewhere(&late, to.store().await), "/read").await,
        "1"
    );
    // The other way round nothing is there to be overwritten either.
    let back = to.copy(&from, &["--json"]).await.json();
    let expected = json!({
        "copied": 0, "skipped": 3, "ended": 0, "held": [], "failed": [], "stopped": false,
    });
    assert_eq!(back, expected);
    assert_eq!(goes(&ada, "/read").await, "1");
}

/// A request takes the lease, and gives it back.
async fn holding(store: &impl SessionStore, id: SessionId, during: impl AsyncFnOnce()) {
    let owner = Owner::unique();
    let open = Open {
        id,
        secret: None,
        age: Duration::ZERO,
        touch: None,
        lease: Some((owner, Duration::from_mins(10))),
    };
    let Opened::Granted(view) = store.open(&open).await.unwrap() else {
        panic!("somebody holds it");
    };
    during().await;
    let release = Finish {
        id,
        owner,
        version: view.head.version,
        commit: CommitId::unique(),
        op: Op::Release,
        next: None,
    };
    store.finish(&release).await.unwrap();
}

#[tokio::test]
async fn f6_a_session_that_a_request_holds_is_left_out_and_named() {
    let (from, to) = (Place::sqlite(), Place::file());
    let store = from.store().await;
    somebody(store.clone(), None).await;
    let busy = id(&somebody(store.clone(), None).await);
    holding(&store, busy, async || {
        let copied = from.copy(&to, &[]).await;
        let text = format!("1 session copied\n{busy} not copied: a request is using it\n");
        assert_eq!(copied.out, text);
        let complaint = copied.fails(1);
        assert!(
            complaint.contains("1 session not copied; run it again"),
            "{complaint}"
        );
        let shown = from
            .keep(&["show", &busy.to_string(), "--json"])
            .await
            .json();
        let left = shown["lease"]["left_ms"].as_u64().unwrap();
        assert!(left > 0 && left <= 600_000, "{left}");
    })
    .await;
    let copied = from.copy(&to, &["--json"]).await.json();
    assert_eq!(
        (copied["copied"].as_u64(), copied["skipped"].as_u64()),
        (Some(1), Some(1))
    );
    let record = to.store().await.look(busy).await.unwrap().record.unwrap().0;
    assert!(record.lease.is_none() && record.waiting_until.is_none());
}

#[tokio::test]
async fn f6_encrypted_data_stay_encrypted_and_are_shown_with_their_key() {
    let (from, to) = (Place::file(), Place::sqlite());
    let keys: KeyRing = KEY.parse().unwrap();
    let sealing = EncryptedStore::new(from.store().await, &keys);
    let ada = somebody(sealing, Some("ada")).await;
    let (id, text) = (id(&ada), id(&ada).to_string());
    from.copy(&to, &[]).await.well();
    let bare = to.store().await;
    let record = bare.look(id).await.unwrap().record.unwrap().0;
    assert!(is_encrypted(&record.data));
    let copy = elsewhere(&ada, EncryptedStore::new(bare, &keys));
    assert_eq!(goes(&copy, "/read").await, "1");

    let file = to.dir.path().join("keys");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    let file = file.to_str().unwrap();
    for place in [&from, &to] {
        let shown = place.keep(&["show", &text, "--data"]).await.well();
        assert!(shown.contains(", encrypted\n"), "{shown}");
        assert!(
            shown.ends_with("the data are encrypted: give --key-file FILE\n"),
            "{shown}"
        );
        let shown = place
            .keep(&["show", &text, "--data", "--json"])
            .await
            .json();
        assert_eq!(
            (shown["encrypted"].as_bool(), &shown["data"]),
            (Some(true), &json!(null))
        );
        let shown = place
            .keep(&["show", &text, "--data", "--key-file", file])
            .await
            .well();
        assert!(shown.contains("\"items\": 1"), "{shown}");
    }
    let other = to.dir.path().join("other");
    std::fs::write(&other, KEY.replace('9', "8")).unwrap();
    let other = other.to_str().unwrap();
    let failure = from
        .keep(&["show", &text, "--data", "--key-file", other])
        .await
        .fails(1);
    assert!(!failure.contains(&KEY[..8]), "{failure}");
}

#[tokio::test]
async fn f6_what_is_over_is_swept_and_not_copied() {
    let (files, sqlite) = (Place::file(), Place::sqlite());
    // Its time is long ago.
    let clock = Arc::new(TestClock::new());
    let path = files.url.strip_prefix("file:").unwrap();
    let store = FileStore::builder(path)
        .durability(Durability::NoSync)
        .clock(clock.clone());
    let store = store.open().unwrap();
    let old = SqliteStore::builder()
        .clock(clock)
        .connect(&sqlite.url)
        .await
        .unwrap();
    old.migrate().await.unwrap();
    let (in_files, in_sqlite) = (
        SessionLayer::new(store).sessions(),
        SessionLayer::new(old).sessions(),
    );
    for n in 0..3 {
        in_files.create(None, [("n", n)]).await.unwrap();
        in_sqlite.create(Some("ada"), [("n", n)]).await.unwrap();
    }
    let gone = in_sqlite.create(Some("ada"), [("n", 3)]).await.unwrap();
    in_sqlite.destroy(gone.id).await.unwrap();
    for (place, ended) in [(&files, 0), (&sqlite, 1)] {
        let alive = id(&somebody(place.store().await, None).await).to_string();
        let stats = place.keep(&["stats", "--json"]).await.json();
        assert_eq!(
            (&stats["live"], &stats["expired"], &stats["ended"]),
            (&json!(1), &json!(3), &json!(ended))
        );
        let copied = place.copy(&Place::file(), &["--json"]).await.json();
        assert_eq!(copied["copied"], 1);
        let swept = place.keep(&["sweep", "--json"]).await.json();
        assert_eq!(
            swept,
            json!({ "expired": 3, "ended": ended, "stopped": false })
        );
        let left = place.keep(&["list", "--json"]).await.json();
        assert_eq!(texts(&left["sessions"], "id"), [alive]);
        let again = place.keep(&["sweep"]).await.well();
        assert_eq!(again, "0 expired and 0 ended sessions removed\n");
    }
}
