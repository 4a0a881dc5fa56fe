use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let app = Router::new().route("/", get(async || "Hello, visitor number 1"));
    axum::serve(TcpListener::bind("127.0.0.1:3000").await?, app).await
}
