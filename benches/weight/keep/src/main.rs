use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tower_keep::{Error, MemoryStore, Session, SessionLayer};

async fn hello(session: Session) -> Result<String, Error> {
    let visits = session.increment("visits", 1)?;
    Ok(format!("Hello, visitor number {visits}"))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let sessions = SessionLayer::new(MemoryStore::new());
    let app = Router::new().route("/", get(hello)).layer(sessions);
    axum::serve(TcpListener::bind("127.0.0.1:3000").await?, app).await
}
