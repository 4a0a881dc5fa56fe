//! tower-keep, and no sessions at all.

use std::time::Instant;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use tower_keep::{
    Error, LockConfig, MemoryStore, MergeSession, ReadSession, Session, SessionLayer, SessionStore,
};
use tower_keep_redis::RedisStore;
use tower_keep_sqlx::{PostgresStore, SqliteStore};

fn main() {
    bench_serve::axum(async |store: &str, url: &str| match store {
        "bare" => bare(),
        "memory" => app(MemoryStore::new()),
        "redis" => app(RedisStore::builder().connect(url).await.unwrap()),
        "postgres" => {
            let store = PostgresStore::connect(url).await.unwrap();
            store.migrate().await.unwrap();
            app(store)
        }
        "sqlite" | "sqlite-normal" => {
            let builder = SqliteStore::builder().relaxed_durability(store == "sqlite-normal");
            let store = builder.connect(url).await.unwrap();
            store.migrate().await.unwrap();
            app(store)
        }
        _ => bench_serve::unknown(store),
    });
}

fn bare() -> Router {
    Router::new()
        .route("/unused", get(async || "nothing"))
        .route("/new", get(async || ()))
        .route("/read", get(async || 1_u64.to_string()))
        .route("/increment", get(async || 1_u64.to_string()))
}

fn app(store: impl SessionStore) -> Router {
    // A thousand requests shall be able to wait for one session.
    let locks = LockConfig {
        max_waiting: 4_096,
        ..LockConfig::default()
    };
    Router::new()
        .route("/unused", get(async || "nothing"))
        .route("/new", get(new))
        .route("/read", get(read))
        .route("/increment", get(increment))
        .route("/hold/{ms}", get(hold))
        .route("/merge/{ms}", get(merge))
        .layer(SessionLayer::builder(store).locks(locks).build().unwrap())
}

async fn new(session: Session) -> Result<(), Error> {
    session.insert("n", &0)
}

async fn read(session: ReadSession) -> Result<String, Error> {
    let n: u64 = session.get_or_default("n")?;
    Ok(n.to_string())
}

async fn increment(session: Session) -> Result<String, Error> {
    Ok(session.increment("n", 1)?.to_string())
}

async fn hold(session: Session, Path(ms): Path<u64>) -> Result<String, Error> {
    let start = Instant::now();
    tokio::time::sleep(bench_serve::span(ms)).await;
    let n = session.increment("n", 1)?;
    Ok(bench_serve::held(start, n.unsigned_abs()))
}

async fn merge(session: MergeSession, Path(ms): Path<u64>) -> Result<String, Error> {
    let start = Instant::now();
    tokio::time::sleep(bench_serve::span(ms)).await;
    session.increment("n", 1)?;
    Ok(bench_serve::held(start, 0))
}
