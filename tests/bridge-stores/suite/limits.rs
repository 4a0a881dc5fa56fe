//! What their tables cannot hold.

use tower_keep::SessionStore;
use tower_sessions_core_014::SessionStore as _;

use crate::life::{client, clock, id_of};
use crate::place::{Place, their_id};
use crate::sql::{MariaDb, Postgres, Sqlite};

/// What is answered to a value of so many bytes.
async fn fits(store: impl SessionStore, size: usize) -> u16 {
    let client = client(store, &clock());
    client.get("/login/ann").await;
    let path = format!("/keep/{}", "x".repeat(size));
    let status = client.get(&path).await.status().as_u16();
    // Nothing is lost by it, and nothing is stuck.
    assert_eq!(client.get("/add").await.text(), "1");
    assert_eq!(client.get("/who").await.text(), "ann 1");
    status
}

/// Their `blob` ends at 65,535 bytes, and base64 makes four of three.
#[tokio::test]
async fn f1_mariadb_holds_less_and_the_bridge_can_say_so() {
    let place = MariaDb::new().await;
    let limited = || place.bridge(&clock()).max_data(47 * 1024).build();
    assert_eq!(fits(limited(), 46 * 1024).await, 200);
    assert_eq!(fits(limited(), 50 * 1024).await, 500);
}

/// It refuses what is more, and keeps what was there.
#[tokio::test]
async fn f1_mariadb_cuts_nothing_off() {
    let (place, clock) = (MariaDb::new().await, clock());
    let client = client(place.bridge(&clock).build(), &clock);
    client.get("/login/ann").await;
    let (store, id) = (place.store(), their_id(id_of(&client).unwrap()));
    let before = store.load(&id).await.unwrap().unwrap();
    let mut larger = before.clone();
    larger
        .data
        .insert("x".to_owned(), "x".repeat(65_536).into());
    assert!(store.save(&larger).await.is_err());
    assert_eq!(store.load(&id).await.unwrap().unwrap(), before);
}

#[tokio::test]
async fn f1_the_others_hold_what_a_session_may_hold() {
    let (sqlite, postgres) = (Sqlite::new().await, Postgres::new().await);
    let size = 62 * 1024;
    assert_eq!(fits(sqlite.bridge(&clock()).build(), size).await, 200);
    assert_eq!(fits(postgres.bridge(&clock()).build(), size).await, 200);
}
