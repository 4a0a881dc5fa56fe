//! tower-sessions, set up as its documentation shows: 0.15 in memory, 0.14 with its other stores.

use std::str::FromStr;
use std::time::Duration;

use axum::http::StatusCode;
use tower_sessions_014::ExpiredDeletion;
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike, Config, Pool};
use tower_sessions_sqlx_store::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous,
};
use tower_sessions_sqlx_store::sqlx::{PgPool, SqlitePool};
use tower_sessions_sqlx_store::{PostgresStore, SqliteStore};

/// The app, on either version.
macro_rules! app {
    ($library:ident, $store:expr) => {{
        use std::time::Instant;

        use axum::Router;
        use axum::extract::Path;
        use axum::routing::get;
        use $library::{Session, SessionManagerLayer};

        async fn new(session: Session) -> Result<(), StatusCode> {
            session.insert("n", 0_u64).await.map_err(failed)
        }

        async fn read(session: Session) -> Result<String, StatusCode> {
            let n: Option<u64> = session.get("n").await.map_err(failed)?;
            Ok(n.unwrap_or_default().to_string())
        }

        async fn increment(session: Session) -> Result<String, StatusCode> {
            let n: Option<u64> = session.get("n").await.map_err(failed)?;
            let n = n.unwrap_or_default() + 1;
            session.insert("n", n).await.map_err(failed)?;
            Ok(n.to_string())
        }

        async fn hold(session: Session, Path(ms): Path<u64>) -> Result<String, StatusCode> {
            let n: Option<u64> = session.get("n").await.map_err(failed)?;
            let n = n.unwrap_or_default() + 1;
            let start = Instant::now();
            tokio::time::sleep(bench_serve::span(ms)).await;
            session.insert("n", n).await.map_err(failed)?;
            Ok(bench_serve::held(start, n))
        }

        Router::new()
            .route("/unused", get(async || "nothing"))
            .route("/new", get(new))
            .route("/read", get(read))
            .route("/increment", get(increment))
            .route("/hold/{ms}", get(hold))
            .layer(SessionManagerLayer::new($store))
    }};
}

fn main() {
    bench_serve::axum(async |store: &str, url: &str| match store {
        "memory" => app!(tower_sessions, tower_sessions::MemoryStore::default()),
        "redis" => {
            let config = Config::from_url(url).unwrap();
            let pool = Pool::new(config, None, None, None, 6).unwrap();
            drop(pool.connect());
            pool.wait_for_connect().await.unwrap();
            app!(tower_sessions_014, RedisStore::new(pool))
        }
        "postgres" => {
            let store = PostgresStore::new(PgPool::connect(url).await.unwrap());
            store.migrate().await.unwrap();
            sweep(store.clone());
            app!(tower_sessions_014, store)
        }
        "sqlite" | "sqlite-normal" => {
            let synchronous = match store {
                "sqlite" => SqliteSynchronous::Full,
                _ => SqliteSynchronous::Normal,
            };
            let options = SqliteConnectOptions::from_str(url)
                .unwrap()
                .create_if_missing(true);
            let options = options
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(synchronous);
            let store = SqliteStore::new(SqlitePool::connect_with(options).await.unwrap());
            store.migrate().await.unwrap();
            sweep(store.clone());
            app!(tower_sessions_014, store)
        }
        _ => bench_serve::unknown(store),
    });
}

/// A store that fails is answered for like any other error.
fn failed<E>(_: E) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}

fn sweep(store: impl ExpiredDeletion + 'static) {
    tokio::spawn(store.continuously_delete_expired(Duration::from_secs(60)));
}
