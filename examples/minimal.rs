//! The shortest app with a session: a page that counts its visitor's visits.
//!
//! `cargo run --example minimal`, then open <http://127.0.0.1:3000> and reload.

use axum::{Router, routing::get};
use tokio::net::TcpListener;
use tower_keep::cookie::CookieConfig;
use tower_keep::{Error, LayerConfigError, MemoryStore, Session, SessionLayer, SessionStore};

async fn count(session: Session) -> Result<String, Error> {
    let visits = session.increment("visits", 1)?;
    Ok(format!("Visits: {visits}\n"))
}

pub(crate) fn app(store: impl SessionStore) -> Result<Router, LayerConfigError> {
    // `SessionLayer::new(store)` is all it takes where the site is served over HTTPS.
    let sessions = SessionLayer::builder(store)
        .cookie(CookieConfig::dev_http())
        .build()?;
    Ok(Router::new().route("/", get(count)).layer(sessions))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app(MemoryStore::new())?).await?;
    Ok(())
}
