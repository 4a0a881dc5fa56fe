//! The shortest app with a session: a page that counts its visitor's visits.
//!
//! `cargo run --example minimal`, then open <http://127.0.0.1:3000> and reload.

use axum::{Router, routing::get};
use tokio::net::TcpListener;
use tower_keep::cookie::CookieConfig;
use tower_keep::{Error, MemoryStore, Session, SessionLayer};

async fn count(session: Session) -> Result<String, Error> {
    let visits = session.increment("visits", 1)?;
    Ok(format!("Visits: {visits}\n"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `SessionLayer::new(store)` is all it takes where the site is served over HTTPS.
    let sessions = SessionLayer::builder(MemoryStore::new())
        .cookie(CookieConfig::dev_http())
        .build()?;
    let app = Router::new().route("/", get(count)).layer(sessions);

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}
