//! tower-sessions.

use axum::Router;
use axum::routing::get;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

pub fn app() -> Router {
    Router::new()
        .route("/unused", get(async || "nothing"))
        .route("/read", get(read))
        .route("/increment", get(increment))
        .route("/new", get(new))
        .route("/fill", get(fill))
        .layer(SessionManagerLayer::new(MemoryStore::default()))
}

async fn read(session: Session) -> String {
    let n: u64 = session.get("n").await.unwrap().unwrap_or_default();
    n.to_string()
}

async fn increment(session: Session) -> String {
    let n: u64 = session.get("n").await.unwrap().unwrap_or_default();
    session.insert("n", n + 1).await.unwrap();
    (n + 1).to_string()
}

async fn new(session: Session) {
    session.insert("n", 1).await.unwrap();
}

async fn fill(session: Session) {
    session.insert("n", 1).await.unwrap();
    for (key, value) in super::others() {
        session.insert(&key, value).await.unwrap();
    }
}
