use axum::Router;
use axum::routing::get;
use axum_session::{Session, SessionConfig, SessionLayer, SessionNullPool, SessionStore};
use tokio::net::TcpListener;

async fn hello(session: Session<SessionNullPool>) -> String {
    let visits = session.get::<u64>("visits").unwrap_or_default() + 1;
    session.set("visits", visits);
    format!("Hello, visitor number {visits}")
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let store = SessionStore::<SessionNullPool>::new(None, SessionConfig::default()).await;
    let sessions = SessionLayer::new(store.map_err(std::io::Error::other)?);
    let app = Router::new().route("/", get(hello)).layer(sessions);
    axum::serve(TcpListener::bind("127.0.0.1:3000").await?, app).await
}
