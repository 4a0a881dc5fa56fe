//! Databases that fail.

use std::time::Duration;

use sqlx::{Connection, Executor, MySqlConnection, PgConnection, SqliteConnection};
use tower_keep_core::{
    Finished, NewSession, Open, Opened, Owner, SessionStore, StoreError, StoreErrorKind,
};

use crate::place::{ENGINES, Engine, Place};
use crate::storage::{leasing, new_session, putting, reading};

fn why(error: &StoreError) -> String {
    std::error::Error::source(error).unwrap().to_string()
}

/// Another process writes for longer than the store is ready to wait: nobody reads stale data,
/// nothing is half done, and it goes on as soon as the other one is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_file_is_a_typed_error() {
    let place = Place::new(Engine::Sqlite);
    let store = place.sqlite(Duration::from_millis(20)).await;
    let new = new_session();
    store.create(&new).await.unwrap();
    let mut other = SqliteConnection::connect(&place.url).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();

    let owner = Owner::unique();
    let error = store.open(&leasing(&new, owner)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(
        why(&error).contains("database is locked"),
        "{}",
        why(&error)
    );
    let both = [leasing(&new, owner), leasing(&new, owner)];
    let (one, two) = tokio::join!(store.open(&both[0]), store.open(&both[1]));
    assert!(one.is_err() && two.is_err());
    let opened = store.open(&reading(&new)).await.unwrap();
    assert!(
        matches!(opened, Opened::Granted(_)),
        "readers go on: {opened:?}"
    );

    other.execute("ROLLBACK").await.unwrap();
    let opened = store.open(&leasing(&new, owner)).await.unwrap();
    assert!(matches!(opened, Opened::Granted(_)), "{opened:?}");
    let finish = putting(&new, owner, 1);
    let finished = store.finish(&finish).await.unwrap();
    assert!(
        matches!(finished, Finished::Done { version: 2, .. }),
        "{finished:?}"
    );
}

/// The first open connections are dead: each may fail one step, none answers wrongly, and a commit
/// that is tried until it is answered is applied once.
async fn commit_through(store: &impl SessionStore, new: &NewSession, connections: usize) {
    let (owner, mut errors) = (Owner::unique(), 0);
    let mut failed = |error: StoreError| {
        println!("{error}: {}", why(&error));
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        errors += 1;
        assert!(errors <= connections, "still failing");
    };
    loop {
        match store.open(&leasing(new, owner)).await {
            Ok(opened) => break assert!(matches!(opened, Opened::Granted(_)), "{opened:?}"),
            Err(error) => failed(error),
        }
    }
    let finish = putting(new, owner, 1);
    loop {
        match store.finish(&finish).await {
            Ok(finished) => {
                let done = matches!(finished, Finished::Done { version: 2, .. });
                break assert!(done, "{finished:?}");
            }
            Err(error) => failed(error),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn terminated_backends_are_replaced() {
    let place = Place::new(Engine::Postgres);
    let (store, new) = (place.postgres(2).await, new_session());
    store.create(&new).await.unwrap();
    let mut admin = PgConnection::connect(&place.url).await.unwrap();
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1";
    let killed = sqlx::query(sql)
        .bind(&place.table)
        .fetch_all(&mut admin)
        .await
        .unwrap();
    assert!(!killed.is_empty());
    commit_through(&store, &new, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_connections_are_replaced() {
    // In a database of its own, by which the server's list tells its connections.
    let mut place = Place::new(Engine::MariaDb);
    let mut admin = MySqlConnection::connect(&place.url).await.unwrap();
    let create = format!("CREATE DATABASE {}", place.table);
    admin.execute(sqlx::AssertSqlSafe(create)).await.unwrap();
    let (server, _) = place.url.rsplit_once('/').unwrap();
    place.url = format!("{server}/{}", place.table);
    let (store, new) = (place.mariadb(2).await, new_session());
    store.create(&new).await.unwrap();
    let sql = "SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE db = ?";
    let ids = sqlx::query_scalar::<_, i64>(sql).bind(&place.table);
    let ids = ids.fetch_all(&mut admin).await.unwrap();
    assert!(!ids.is_empty());
    for id in ids {
        admin
            .execute(sqlx::AssertSqlSafe(format!("KILL {id}")))
            .await
            .unwrap();
    }
    commit_through(&store, &new, 2).await;
}

/// Data of another release are left alone, damaged ones stay as they are, and neither keeps a
/// lock.
#[tokio::test]
async fn what_cannot_be_read_is_left_alone() {
    for engine in ENGINES {
        let place = Place::new(engine);
        let (store, new) = (place.store().await, new_session());
        store.create(&new).await.unwrap();
        for (change, kind) in [
            ("codec = 9", StoreErrorKind::Unsupported),
            ("codec = 1, data = '{}'", StoreErrorKind::Corrupt),
        ] {
            place
                .run(&format!("UPDATE {} SET {change}", place.table))
                .await;
            for open in [reading(&new), leasing(&new, Owner::unique())] {
                let error = store.open(&open).await.unwrap_err();
                assert_eq!(error.kind(), kind, "{engine:?}: {}", why(&error));
            }
            let free = format!("SELECT COUNT(*) FROM {} WHERE owner IS NULL", place.table);
            assert_eq!(place.count(&free).await, 1, "{engine:?}: {change}");
        }
        // Whoever lacks the secret learns nothing of it.
        let wrong = Open {
            secret: Some(new_session().secret),
            ..reading(&new)
        };
        let opened = store.open(&wrong).await.unwrap();
        assert!(matches!(opened, Opened::Absent), "{engine:?}: {opened:?}");
    }
}

/// A table that nobody made is named as such.
#[tokio::test]
async fn a_missing_table_is_told() {
    for engine in ENGINES {
        let place = Place::new(engine);
        let error = match engine {
            Engine::Sqlite => {
                let store = tower_keep_sqlx::SqliteStore::connect(&place.url)
                    .await
                    .unwrap();
                store.look(new_session().id).await.unwrap_err()
            }
            Engine::Postgres => {
                let builder = tower_keep_sqlx::PostgresStore::builder();
                let store = builder.table("nobody_made_it").unwrap();
                let store = store.connect(&place.url).await.unwrap();
                store.look(new_session().id).await.unwrap_err()
            }
            Engine::MariaDb => {
                let builder = tower_keep_sqlx::MySqlStore::builder();
                let store = builder.table("nobody_made_it").unwrap();
                let store = store.connect(&place.url).await.unwrap();
                store.look(new_session().id).await.unwrap_err()
            }
        };
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(
            why(&error).contains("`migrate`"),
            "{engine:?}: {}",
            why(&error)
        );
    }
}
