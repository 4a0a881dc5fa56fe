//! F1 and the contract, on each of their stores.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tower_keep::core::{Record, Sweep, Token};
use tower_keep::{Clock, SessionStore, Timestamp};
use tower_keep_testkit::TestClock;
use tower_keep_testkit::conformance::{Harness, cases, run_case};
use tower_sessions_core_014::SessionStore as Theirs;

use crate::life::{COOKIE, client, clock, id_of, no_increment_is_lost, whole_life};
use crate::place::{Moka, Place, their_id};
use crate::redis::Redis;
use crate::spelling::{contains, spellings};
use crate::sql::{MariaDb, Postgres, Sqlite};

/// The conformance suite: all of it in a heavy run (`KEEP_HEAVY`), else every eighth case.
async fn contract<P: Place>() {
    let place = P::new().await;
    let harness = || async {
        let clock = clock();
        let store = place.bridge(&clock).build();
        Harness::new(store)
            .with_clock(move |span| clock.advance(span))
            .expires_by_itself()
    };
    let step = if std::env::var_os("KEEP_HEAVY").is_some() {
        1
    } else {
        8
    };
    for (name, _) in cases().step_by(step) {
        if let Err(violation) = run_case(name, harness).await {
            let violation = violation.to_string();
            let is_theirs = P::BREAKS.is_some_and(|error| violation.contains(error));
            assert!(is_theirs, "{violation}");
            println!("{name}: their store breaks it");
        }
    }
}

async fn life<P: Place>() {
    let place = P::new().await;
    whole_life(|clock| place.bridge(clock).build()).await;
}

async fn increments<P: Place>() {
    let place = P::new().await;
    no_increment_is_lost(|clock| place.bridge(clock).build()).await;
}

/// What this process knew is not needed to go on.
async fn restart<P: Place>() {
    let (place, clock) = (P::new().await, clock());
    let before = client(place.bridge(&clock).build(), &clock);
    before.get("/login/ann").await;
    before.get("/add").await;
    let after = client(place.bridge(&clock).build(), &clock);
    after.set_cookie(COOKIE, &before.cookie(COOKIE).unwrap());
    assert_eq!(after.get("/who").await.text(), "ann 1");
    assert_eq!(after.get("/add").await.text(), "2");
}

fn seconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis() / 1000).unwrap()
}

/// Longer than any test takes: theirs go by the system's clock.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// They are told how long to keep a session, and remove it only then.
async fn until<P: Place>() {
    let (place, now) = (P::new().await, clock());
    let store = place.bridge(&now).keep_expired(KEPT).build();
    let live = client(store.clone(), &now);
    live.get("/login/ann").await;
    let id = id_of(&live).unwrap();
    let deadline = store.look(id).await.unwrap().record.unwrap().0.head;
    let until = Some(seconds(deadline.deadline().plus(KEPT)));
    assert_eq!(place.until(their_id(id)).await, until);

    // One that by their clock was over long ago.
    let past = TestClock::at(now.now().minus(Duration::from_secs(3 * 24 * 60 * 60)));
    let over = client(place.bridge(&past).build(), &past);
    over.get("/login/eve").await;
    let over = their_id(id_of(&over).unwrap());
    store.sweep(Sweep::default()).await.unwrap();
    assert_eq!(place.until(over).await, None);
    assert_eq!(place.until(their_id(id)).await, until);

    live.get("/logout").await;
    let until = Some(seconds(now.now().plus(KEPT)));
    assert_eq!(place.until(their_id(id)).await, until);
}

/// G8: what the database has opens nothing.
async fn secrets<P: Place>() {
    let (place, clock) = (P::new().await, clock());
    let client = client(place.bridge(&clock).build(), &clock);
    for path in ["/add", "/login/ann", "/rotate", "/keep/hunter2", "/add"] {
        client.get(path).await;
        let cookie = client.cookie(COOKIE).unwrap();
        let token = Token::parse(cookie.as_bytes(), "").unwrap();
        let row = place.store().load(&their_id(token.id())).await.unwrap();
        let row = row.unwrap();
        // The one key that the crate's documentation shows.
        assert_eq!(row.data.len(), 1);
        let encoded = row.data["tower-keep"]["record"].as_str().unwrap();
        assert!(row.data["tower-keep"]["revision"].is_u64());
        let record = STANDARD.decode(encoded).unwrap();
        assert_eq!(
            Record::from_bytes(&record, 1024).unwrap().head.id,
            token.id()
        );

        let mut dump = place.bytes().await;
        // The search finds what is there.
        assert!(contains(&dump, encoded.as_bytes()), "after {path}");
        dump.extend(&record);
        assert!(contains(&dump, token.secret().hash().as_bytes()));
        for spelling in spellings(&cookie) {
            assert!(!contains(&dump, &spelling), "after {path}");
        }
    }
}

/// The tests of one place.
macro_rules! on {
    ($name:ident, $Place:ident) => {
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn f1_a_published_store_keeps_the_contract() {
                contract::<$Place>().await;
            }

            #[tokio::test]
            async fn f1_a_whole_life_on_a_published_store() {
                life::<$Place>().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn f1_no_increment_is_lost_on_a_published_store() {
                increments::<$Place>().await;
            }

            #[tokio::test]
            async fn f1_a_restart_keeps_the_sessions() {
                restart::<$Place>().await;
            }

            #[tokio::test]
            async fn f1_they_are_told_how_long_to_keep_a_session() {
                until::<$Place>().await;
            }

            #[tokio::test]
            async fn f1_no_secret_is_in_their_database() {
                secrets::<$Place>().await;
            }
        }
    };
}

on!(moka, Moka);
on!(redis, Redis);
on!(sqlite, Sqlite);
on!(postgres, Postgres);
on!(mariadb, MariaDb);
