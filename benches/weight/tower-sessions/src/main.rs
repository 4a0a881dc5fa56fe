use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tower_sessions::session::Error;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

async fn hello(session: Session) -> String {
    match visit(&session).await {
        Ok(visits) => format!("Hello, visitor number {visits}"),
        Err(error) => error.to_string(),
    }
}

async fn visit(session: &Session) -> Result<u64, Error> {
    let visits = session.get::<u64>("visits").await?.unwrap_or_default() + 1;
    session.insert("visits", visits).await?;
    Ok(visits)
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let sessions = SessionManagerLayer::new(MemoryStore::default());
    let app = Router::new().route("/", get(hello)).layer(sessions);
    axum::serve(TcpListener::bind("127.0.0.1:3000").await?, app).await
}
