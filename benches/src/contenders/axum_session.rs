//! axum_session.

use axum::Router;
use axum::routing::get;
use axum_session::{Session, SessionConfig, SessionLayer, SessionNullPool, SessionStore};

type Visit = Session<SessionNullPool>;

pub async fn app() -> Router {
    let config = SessionConfig::default();
    let store = SessionStore::<SessionNullPool>::new(None, config)
        .await
        .unwrap();
    Router::new()
        .route("/unused", get(async || "nothing"))
        .route("/read", get(read))
        .route("/increment", get(increment))
        .route("/new", get(async |session: Visit| session.set("n", 1)))
        .route("/fill", get(fill))
        .layer(SessionLayer::new(store))
}

async fn read(session: Visit) -> String {
    let n: u64 = session.get("n").unwrap_or_default();
    n.to_string()
}

async fn increment(session: Visit) -> String {
    let n: u64 = session.get("n").unwrap_or_default();
    session.set("n", n + 1);
    (n + 1).to_string()
}

async fn fill(session: Visit) {
    session.set("n", 1);
    for (key, value) in super::others() {
        session.set(&key, value);
    }
}
