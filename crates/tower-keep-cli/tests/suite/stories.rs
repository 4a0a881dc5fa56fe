//! Every command on every store.

use std::collections::BTreeSet;

use serde_json::json;
use tower_keep::SessionStore;

use crate::app::{goes, id, somebody};
use crate::place::{Place, texts};

/// Two sessions of one user and one of nobody are listed, shown, counted, ended and copied.
async fn story(place: Place) {
    let store = place.store().await;
    let mut people = Vec::new();
    for user in [Some("ada"), None, Some("ada")] {
        people.push(somebody(store.clone(), user).await);
    }
    let ids: Vec<_> = people
        .iter()
        .map(|visitor| id(visitor).to_string())
        .collect();

    let all = place.keep(&["list", "--json"]).await.json();
    let listed: BTreeSet<_> = texts(&all["sessions"], "id").into_iter().collect();
    let expected: BTreeSet<_> = ids.iter().cloned().collect();
    assert_eq!(listed, expected);
    assert_eq!(
        (all["more"].as_bool(), all["unreadable"].clone()),
        (Some(false), json!([]))
    );
    let hers = place
        .keep(&["list", "--user", "ada", "--json"])
        .await
        .json();
    assert_eq!(texts(&hers["sessions"], "id"), [&*ids[2], &*ids[0]]);
    let table = place.keep(&["list"]).await.well();
    assert!(table.starts_with("ID  "), "{table}");
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(ids.iter().all(|id| table.contains(&**id)), "{table}");
    let first = place.keep(&["list", "--user", "ada", "--limit", "1"]).await;
    assert!(
        first.out.contains(&*ids[2]) && !first.out.contains(&*ids[0]),
        "{first:?}"
    );
    assert!(
        first.err.contains("1 session shown, and there may be more"),
        "{first:?}"
    );

    let shown = place
        .keep(&["show", &ids[0], "--json", "--data"])
        .await
        .json();
    assert_eq!(shown["user"], "ada");
    assert_eq!(shown["state"], "live");
    assert_eq!(shown["data"], json!({ "cart": { "items": 1 } }));
    let text = place.keep(&["show", &ids[0]]).await.well();
    assert!(
        text.contains("live, expires in ") && !text.contains("cart"),
        "{text}"
    );

    let stats = place.keep(&["stats", "--json"]).await.json();
    let expected = json!({
        "store": store.name(), "live": 3, "with_user": 2, "expired": 0, "ended": 0,
    });
    assert_eq!(stats, expected);

    let copy = Place::sqlite();
    let copied = place.copy(&copy, &["--json"]).await.json();
    assert_eq!(
        (copied["copied"].as_u64(), copied["skipped"].as_u64()),
        (Some(3), Some(0))
    );
    let hers = copy.keep(&["list", "--user", "ada", "--json"]).await.json();
    assert_eq!(texts(&hers["sessions"], "id"), [&*ids[2], &*ids[0]]);

    let ended = place
        .keep(&["revoke", "--user", "ada", "--except", &ids[2]])
        .await
        .well();
    assert_eq!(ended, format!("{} ended\n", ids[0]));
    assert_eq!(goes(&people[0], "/read").await, "nobody");
    assert_eq!(goes(&people[2], "/read").await, "1");
    let text = place.keep(&["show", &ids[0]]).await.well();
    assert!(text.contains("ended at "), "{text}");
    let both = place.keep(&["revoke", &ids[1], &ids[0]]).await;
    assert_eq!(
        both.out,
        format!("{} ended\n{} not found\n", ids[1], ids[0])
    );
    both.fails(3);
    assert_eq!(goes(&people[1], "/read").await, "nobody");
    let left = place.keep(&["list", "--json"]).await.json();
    assert_eq!(texts(&left["sessions"], "id"), [&*ids[2]]);
    // What was just ended is kept a while.
    let swept = place.keep(&["sweep"]).await.well();
    assert!(
        swept.starts_with("0 expired and 0 ended sessions removed\n"),
        "{swept}"
    );
}

/// An SQL database before anybody made its table.
async fn without_a_table(place: &Place) {
    if place.url.starts_with("sqlite:") {
        let missing = place.keep(&["list"]).await.fails(1);
        assert!(
            missing.contains("there is no `sqlite:` store at "),
            "{missing}"
        );
    } else {
        let missing = place.keep(&["list"]).await.fails(1);
        assert!(missing.contains("`migrate`"), "{missing}");
    }
    let made = place.keep(&["migrate"]).await.well();
    assert_eq!(made, "the schema was made: from version 0 to version 1\n");
    let again = place.keep(&["migrate"]).await.well();
    assert_eq!(again, "the schema is up to date: version 1\n");
    let again = place.keep(&["migrate", "--json"]).await.well();
    assert_eq!(again, "{\"schema\":{\"from\":1,\"to\":1}}\n");
}

async fn without_a_schema(place: &Place) {
    let text = place.keep(&["migrate"]).await.well();
    assert!(text.starts_with("nothing to migrate: "), "{text}");
    let json = place.keep(&["migrate", "--json"]).await.well();
    assert_eq!(json, "{\"schema\":null}\n");
}

#[tokio::test]
async fn f6_files_are_looked_after() {
    let place = Place::file();
    let missing = place.keep(&["list"]).await.fails(1);
    assert!(
        missing.contains("there is no `file:` store at "),
        "{missing}"
    );
    assert_eq!(std::fs::read_dir(&place.dir).unwrap().count(), 0);
    without_a_schema(&place).await;
    story(place).await;
}

#[tokio::test]
async fn f6_sqlite_is_looked_after() {
    let place = Place::sqlite();
    without_a_table(&place).await;
    story(place).await;
}

#[tokio::test]
async fn f6_redis_is_looked_after() {
    let place = Place::redis();
    without_a_schema(&place).await;
    story(place).await;
}

#[tokio::test]
async fn f6_postgres_is_looked_after() {
    let place = Place::postgres();
    without_a_table(&place).await;
    story(place).await;
}

#[tokio::test]
async fn f6_mariadb_is_looked_after() {
    let place = Place::mariadb();
    without_a_table(&place).await;
    story(place).await;
}
