//! axum_session, set up as its documentation shows.

use std::fmt::Debug;
use std::str::FromStr;
use std::time::Instant;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use axum_session::{
    DatabasePool, Session, SessionConfig, SessionLayer, SessionNullPool, SessionStore,
};
use axum_session_redispool::SessionRedisPool;
use axum_session_sqlx::{SessionPgPool, SessionSqlitePool};
use redis_pool::RedisPool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};

/// What the library wants of a store's pool.
trait Pool: DatabasePool + Clone + Debug + Sync + Send + 'static {}

impl<P: DatabasePool + Clone + Debug + Sync + Send + 'static> Pool for P {}

fn main() {
    bench_serve::axum(async |store: &str, url: &str| match store {
        "memory" => app::<SessionNullPool>(None).await,
        "redis" => {
            let pool = RedisPool::from(redis::Client::open(url).unwrap());
            app::<SessionRedisPool>(Some(pool.into())).await
        }
        "postgres" => {
            let pool = PgPool::connect(url).await.unwrap();
            app::<SessionPgPool>(Some(pool.into())).await
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
            let pool = SqlitePool::connect_with(options).await.unwrap();
            app::<SessionSqlitePool>(Some(pool.into())).await
        }
        _ => bench_serve::unknown(store),
    });
}

async fn app<P: Pool>(pool: Option<P>) -> Router {
    let config = SessionConfig::default().with_table_name("sessions_table");
    let store = SessionStore::<P>::new(pool, config).await.unwrap();
    Router::new()
        .route("/unused", get(async || "nothing"))
        .route("/new", get(async |session: Session<P>| session.set("n", 0)))
        .route("/read", get(read::<P>))
        .route("/increment", get(increment::<P>))
        .route("/hold/{ms}", get(hold::<P>))
        .layer(SessionLayer::new(store))
}

async fn read<P: Pool>(session: Session<P>) -> String {
    let n: u64 = session.get("n").unwrap_or_default();
    n.to_string()
}

async fn increment<P: Pool>(session: Session<P>) -> String {
    let n: u64 = session.get("n").unwrap_or_default();
    session.set("n", n + 1);
    (n + 1).to_string()
}

async fn hold<P: Pool>(session: Session<P>, Path(ms): Path<u64>) -> String {
    let n: u64 = session.get("n").unwrap_or_default();
    let start = Instant::now();
    tokio::time::sleep(bench_serve::span(ms)).await;
    session.set("n", n + 1);
    bench_serve::held(start, n + 1)
}
