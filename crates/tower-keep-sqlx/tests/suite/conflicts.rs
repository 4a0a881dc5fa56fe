//! Other transactions that are in the way.

use axum::http::StatusCode;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection};
use tower_keep_core::{
    DynStore, Finished, NewSession, Opened, Owner, SessionStore, StoreError, StoreErrorKind,
};
use tower_keep_sqlx::{MySqlStore, PostgresStore};

use crate::app::{client, locks};
use crate::place::{Engine, Place, soon, until};
use crate::storage::{leasing, new_session, putting};

/// Settings of the store's connections.
async fn postgres(place: &Place, settings: &str) -> PostgresStore {
    let builder = PostgresStore::builder().table(&place.table).unwrap();
    let url = format!(
        "{}?application_name={}&options={settings}",
        place.url, place.table
    );
    let store = builder.connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    store
}

async fn mariadb(place: &Place, setting: &'static str) -> MySqlStore {
    let options = MySqlPoolOptions::new().after_connect(move |connection, _| {
        Box::pin(async move { connection.execute(setting).await.map(drop) })
    });
    let pool = options.connect(&place.url).await.unwrap();
    let builder = MySqlStore::builder().table(&place.table).unwrap();
    let store = builder.build(&pool);
    store.migrate().await.unwrap();
    store
}

async fn leased(store: &impl SessionStore) -> (NewSession, Owner) {
    let (new, owner) = (new_session(), Owner::unique());
    store.create(&new).await.unwrap();
    let opened = store.open(&leasing(&new, owner)).await.unwrap();
    assert!(matches!(opened, Opened::Granted(_)), "{opened:?}");
    (new, owner)
}

fn is_second(finished: Result<Finished, StoreError>) -> bool {
    matches!(finished.unwrap(), Finished::Done { version: 2, .. })
}

/// How many connections to PostgreSQL wait for a lock, by the name that they gave.
async fn waiting(place: &Place) -> i64 {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity \
         WHERE application_name = '{}' AND wait_event_type = 'Lock'",
        place.table
    );
    place.count(&sql).await
}

/// 40001, where the connection's default is stricter than `read committed`.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_cannot_be_serialized_is_tried_again() {
    let place = Place::new(Engine::Postgres);
    let settings = "-c%20default_transaction_isolation=serializable";
    let store = postgres(&place, settings).await;
    let (new, owner) = leased(&store).await;
    let mut other = PgConnection::connect(&place.url).await.unwrap();
    other.execute("BEGIN").await.unwrap();
    let sql = format!("UPDATE {} SET flags = flags", place.table);
    other.execute(AssertSqlSafe(sql)).await.unwrap();
    let finish = putting(&new, owner, 1);
    let finished = tokio::spawn({
        let store = store.clone();
        async move { store.finish(&finish).await }
    });
    until(async || waiting(&place).await == 1).await;
    other.execute("COMMIT").await.unwrap();
    assert!(is_second(soon(finished).await.unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn increments_are_exact_where_serializable_is_the_default() {
    let place = Place::new(Engine::Postgres);
    let settings = "-c%20default_transaction_isolation=serializable";
    let stores = [
        postgres(&place, settings).await,
        postgres(&place, settings).await,
    ];
    // Two layers, so that they meet in the database.
    let clients = stores.map(|store| client(&DynStore::new(store), locks()));
    clients[0].get("/add").await;
    let cookie = clients[0].cookie(crate::app::COOKIE).unwrap();
    clients[1].set_cookie(crate::app::COOKIE, &cookie);
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let client = clients[task % 2].clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    let answer = client.get("/add").await;
                    assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(clients[1].get("/read").await.text(), "81");
}

/// 40P01: the step holds the session's row and takes, by a trigger, what the other transaction
/// holds, which waits for the row. Whoever closes the circle notices, so the step is kept at a gate
/// until the other one waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_postgres_sacrifices_in_a_deadlock_is_tried_again() {
    let place = Place::new(Engine::Postgres);
    let store = postgres(&place, "-c%20deadlock_timeout=20ms").await;
    let (table, gate) = (&place.table, Owner::unique().to_u128() >> 66);
    let held = gate + 1;
    let function = format!(
        "CREATE FUNCTION {table}_meet() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN PERFORM pg_advisory_xact_lock({gate}); PERFORM pg_advisory_xact_lock({held}); \
          RETURN NULL; END'"
    );
    place.run(&function).await;
    let (new, owner) = leased(&store).await;
    let trigger = format!(
        "CREATE TRIGGER meet AFTER UPDATE ON {table} FOR EACH ROW \
         WHEN (OLD.version < NEW.version) EXECUTE FUNCTION {table}_meet()"
    );
    place.run(&trigger).await;
    let mut keeper = PgConnection::connect(&place.url).await.unwrap();
    let close = format!("SELECT pg_advisory_lock({gate})");
    keeper.execute(AssertSqlSafe(close)).await.unwrap();
    let url = format!("{}?application_name={table}", place.url);
    let mut other = PgConnection::connect(&url).await.unwrap();
    other.execute("BEGIN").await.unwrap();
    let patient = "SET LOCAL deadlock_timeout = '30s'";
    other.execute(patient).await.unwrap();
    let take = format!("SELECT pg_advisory_xact_lock({held})");
    other.execute(AssertSqlSafe(take)).await.unwrap();

    let before = deadlocks(&place).await;
    let finish = putting(&new, owner, 1);
    let finished = tokio::spawn(async move { store.finish(&finish).await });
    until(async || waiting(&place).await == 1).await;
    let sql = AssertSqlSafe(format!("UPDATE {table} SET flags = flags"));
    let updated = tokio::spawn(async move {
        other.execute(sql).await.unwrap();
        other.execute("COMMIT").await.unwrap();
    });
    until(async || waiting(&place).await == 2).await;
    keeper.close().await.unwrap();
    soon(updated).await.unwrap();
    assert!(is_second(soon(finished).await.unwrap()));
    until(async || deadlocks(&place).await > before).await;
}

async fn deadlocks(place: &Place) -> i64 {
    let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    place.count(sql).await
}

/// 1213, made in the same way. The lighter one is sacrificed.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_mariadb_sacrifices_in_a_deadlock_is_tried_again() {
    let place = Place::new(Engine::MariaDb);
    let (store, table) = (place.mariadb(2).await, &place.table);
    let (new, owner) = leased(&store).await;
    for sql in [
        format!("CREATE TABLE {table}_other (id INT PRIMARY KEY, n INT)"),
        format!("INSERT INTO {table}_other VALUES (1, 0)"),
        format!(
            "CREATE TRIGGER {table}_meet AFTER UPDATE ON {table} FOR EACH ROW \
             UPDATE {table}_other SET n = n + NEW.version - OLD.version \
             WHERE id = 1 AND NEW.version > OLD.version"
        ),
    ] {
        place.run(&sql).await;
    }
    let sql = "SELECT CAST(variable_value AS SIGNED) FROM information_schema.global_status \
               WHERE variable_name = 'innodb_deadlocks'";
    let before = place.count(sql).await;
    let mut other = MySqlConnection::connect(&place.url).await.unwrap();
    other.execute("START TRANSACTION").await.unwrap();
    let heavy = format!("INSERT INTO {table}_other SELECT seq, 0 FROM seq_2_to_1000");
    other.execute(AssertSqlSafe(heavy)).await.unwrap();
    let held = format!("UPDATE {table}_other SET n = 1 WHERE id = 1");
    other.execute(AssertSqlSafe(held)).await.unwrap();
    let finish = putting(&new, owner, 1);
    let finished = tokio::spawn(async move { store.finish(&finish).await });
    until(async || place.waiting_in_mariadb().await.len() == 1).await;
    let update = format!("UPDATE {table} SET flags = flags");
    soon(other.execute(AssertSqlSafe(update))).await.unwrap();
    other.execute("COMMIT").await.unwrap();
    assert!(is_second(soon(finished).await.unwrap()));
    assert!(place.count(sql).await > before);
    // The one commit was counted once, beside the other's.
    let n = format!("SELECT CAST(n AS SIGNED) FROM {table}_other WHERE id = 1");
    assert_eq!(place.count(&n).await, 2);
}

/// Somebody else keeps the row for longer than the server lets anybody wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_locked_for_too_long_is_a_typed_error() {
    for engine in [Engine::Postgres, Engine::MariaDb] {
        let place = Place::new(engine);
        let store = if engine == Engine::MariaDb {
            let setting = "SET SESSION innodb_lock_wait_timeout = 1";
            DynStore::new(mariadb(&place, setting).await)
        } else {
            DynStore::new(postgres(&place, "-c%20lock_timeout=50ms").await)
        };
        let (new, owner) = leased(&store).await;
        let finish = putting(&new, owner, 1);
        let lock = format!("SELECT 1 FROM {} FOR UPDATE", place.table);
        let lock = AssertSqlSafe(lock);
        let result = if engine == Engine::MariaDb {
            let mut other = MySqlConnection::connect(&place.url).await.unwrap();
            other.execute("START TRANSACTION").await.unwrap();
            other.execute(lock).await.unwrap();
            soon(store.finish(&finish)).await
        } else {
            let mut other = PgConnection::connect(&place.url).await.unwrap();
            other.execute("BEGIN").await.unwrap();
            other.execute(lock).await.unwrap();
            soon(store.finish(&finish)).await
        };
        let error = result.unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        println!("{engine:?}: {why}");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{why}");
        let (record, _) = store.look(new.id).await.unwrap().record.unwrap();
        assert_eq!(record.head.version, 1, "{engine:?}: half a step");
        // The other one is gone, and its lock with it.
        let retried = async || store.finish(&finish).await;
        until(async || {
            retried()
                .await
                .is_ok_and(|finished| is_second(Ok(finished)))
        })
        .await;
    }
}
