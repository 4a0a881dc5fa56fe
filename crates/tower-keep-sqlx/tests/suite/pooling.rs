//! PgBouncer in front of PostgreSQL.

use sqlx::PgPool;
use tower_keep_core::{Op, Owner, SessionStore, StoreError, StoreErrorKind, Sweep};
use tower_keep_sqlx::{PostgresStore, UnsafePooling};

use crate::place::{Engine, Place};
use crate::storage::{leasing, new_session, putting, reading};

const TRANSACTION: &str = "KEEP_PGBOUNCER_TRANSACTION_URL";

fn is_refused<T>(result: Result<T, StoreError>) -> bool {
    let Err(error) = result else { return false };
    let source = std::error::Error::source(&error).unwrap();
    let text = source.to_string();
    for word in [
        "PgBouncer",
        "pool_mode = transaction",
        "1.21",
        "max_prepared_statements",
        "pool_mode = session",
        "directly",
    ] {
        assert!(text.contains(word), "{word} is missing: {text}");
    }
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    source.is::<UnsafePooling>()
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_mode_is_refused_by_name() {
    // Again and again, since what one attempt leaves behind must not make the next one succeed.
    for _ in 0..10 {
        let place = Place::behind(TRANSACTION);
        assert!(is_refused(PostgresStore::connect(&place.url).await));
    }
}

/// With a pool of one's own nothing is asked before the first verb, which then is refused, as are
/// all others; none of them reaches the table.
#[tokio::test(flavor = "multi_thread")]
async fn no_statement_on_sessions_goes_through_transaction_mode() {
    let direct = Place::new(Engine::Postgres);
    let (store, new) = (direct.postgres(1).await, new_session());
    store.create(&new).await.unwrap();
    direct
        .run("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        .await;
    let statements = format!(
        "SELECT COALESCE(sum(calls), 0)::bigint FROM pg_stat_statements \
         WHERE query LIKE '%{}%' AND query NOT LIKE '%pg_stat_statements%'",
        direct.table
    );
    let ran = direct.count(&statements).await;
    assert!(ran > 0, "what the store ran directly is seen");

    let owner = Owner::unique();
    let release = tower_keep_core::Finish {
        op: Op::Release,
        ..putting(&new, owner, 1)
    };
    // Whichever verb is the first.
    for first in 0..6 {
        let pool = PgPool::connect_lazy(&Place::behind(TRANSACTION).url).unwrap();
        let builder = PostgresStore::builder().table(&direct.table).unwrap();
        let store = builder.build(pool);
        for verb in (0..6).map(|verb| (first + verb) % 6) {
            let refused = match verb {
                0 => is_refused(store.migrate().await),
                1 => is_refused(store.look(new.id).await),
                2 => is_refused(store.open(&leasing(&new, owner)).await),
                3 => is_refused(store.finish(&release).await),
                4 => is_refused(store.destroy(new.id).await),
                _ => is_refused(store.sweep(Sweep::default()).await),
            };
            assert!(refused, "verb {verb} after {first}");
        }
    }
    assert_eq!(direct.count(&statements).await, ran);
}

/// The probe leaves nothing behind and raises no alarm where each has a connection of its own,
/// also if many connect at once.
#[tokio::test(flavor = "multi_thread")]
async fn session_mode_and_direct_connections_are_taken() {
    for place in [
        Place::behind("KEEP_PGBOUNCER_SESSION_URL"),
        Place::new(Engine::Postgres),
    ] {
        let (url, table) = (place.url.clone(), place.table.clone());
        place.store().await;
        let all: Vec<_> = (0..16)
            .map(|_| (url.clone(), table.clone()))
            .map(|(url, table)| {
                tokio::spawn(async move {
                    let builder = PostgresStore::builder().table(&table).unwrap();
                    let store = builder.max_connections(1).connect(&url).await.unwrap();
                    let new = new_session();
                    store.create(&new).await.unwrap();
                    store.open(&reading(&new)).await.unwrap();
                })
            })
            .collect();
        for one in all {
            one.await.unwrap();
        }
    }
}
