//! Apps whose sessions all have the same in them.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::routing::get;

pub async fn app(name: &str) -> Router {
    match name {
        "keep" => keep::app(),
        "tower-sessions" => tower_sessions::app(),
        "axum-session" => axum_session::app().await,
        _ => panic!("no app {name}"),
    }
}

/// The next visitor's id and token.
fn visitor() -> (u64, String) {
    static NEXT: AtomicU64 = AtomicU64::new(100_000);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    (id, format!("{id:039}"))
}

mod keep {
    use super::{Router, get, visitor};
    use tower_keep::{Error, MemoryStore, Session, SessionLayer};

    pub(super) fn app() -> Router {
        Router::new()
            .route("/enter", get(enter))
            .route("/login", get(login))
            .route("/increment", get(increment))
            .layer(SessionLayer::new(MemoryStore::new()))
    }

    async fn enter(session: Session) -> Result<(), Error> {
        let (id, token) = visitor();
        session.insert("user_id", &id)?;
        session.insert("token", &token)
    }

    async fn login(session: Session) -> Result<(), Error> {
        let (id, token) = visitor();
        session.set_user(id.to_string())?;
        session.insert("token", &token)
    }

    async fn increment(session: Session) -> Result<String, Error> {
        Ok(session.increment("n", 1)?.to_string())
    }
}

mod tower_sessions {
    use super::{Router, get, visitor};
    use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

    pub(super) fn app() -> Router {
        Router::new()
            .route("/enter", get(enter))
            .route("/increment", get(increment))
            .layer(SessionManagerLayer::new(MemoryStore::default()))
    }

    async fn enter(session: Session) {
        let (id, token) = visitor();
        session.insert("user_id", id).await.unwrap();
        session.insert("token", token).await.unwrap();
    }

    async fn increment(session: Session) -> String {
        let n: u64 = session.get("n").await.unwrap().unwrap_or_default();
        session.insert("n", n + 1).await.unwrap();
        (n + 1).to_string()
    }
}

mod axum_session {
    use super::{Router, get, visitor};
    use axum_session::{Session, SessionConfig, SessionLayer, SessionNullPool, SessionStore};

    type Visit = Session<SessionNullPool>;

    pub(super) async fn app() -> Router {
        let config = SessionConfig::default();
        let store = SessionStore::<SessionNullPool>::new(None, config)
            .await
            .unwrap();
        Router::new()
            .route("/enter", get(enter))
            .route("/increment", get(increment))
            .layer(SessionLayer::new(store))
    }

    async fn enter(session: Visit) {
        let (id, token) = visitor();
        session.set("user_id", id);
        session.set("token", token);
    }

    async fn increment(session: Visit) -> String {
        let n: u64 = session.get("n").unwrap_or_default();
        session.set("n", n + 1);
        (n + 1).to_string()
    }
}
