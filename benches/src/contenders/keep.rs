//! tower-keep.

use axum::Router;
use axum::routing::get;
use tower_keep::{Error, MemoryStore, MergeSession, ReadSession, Session, SessionLayer};

pub fn app() -> Router {
    Router::new()
        .route("/unused", get(async || "nothing"))
        .route("/read", get(read))
        .route("/increment", get(increment))
        .route("/merge", get(merge))
        .route("/new", get(new))
        .route("/fill", get(fill))
        .layer(SessionLayer::new(MemoryStore::new()))
}

async fn read(session: ReadSession) -> Result<String, Error> {
    let n: u64 = session.get_or_default("n")?;
    Ok(n.to_string())
}

async fn increment(session: Session) -> Result<String, Error> {
    Ok(session.increment("n", 1)?.to_string())
}

async fn merge(session: MergeSession) -> Result<(), Error> {
    session.increment("n", 1)
}

async fn new(session: Session) -> Result<(), Error> {
    session.insert("n", &1)
}

async fn fill(session: Session) -> Result<(), Error> {
    session.insert("n", &1)?;
    session.insert_all(super::others())
}
