//! An app for browsers to visit.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;

/// Serves an app on a free port of the loopback interface for as long as the runtime lives, and
/// gives its address, as `http://127.0.0.1:1234`. Its requests know their peer's address.
pub async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}
