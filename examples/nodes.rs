//! One of several nodes on one Redis: whichever a request comes to, the session is the same.
//!
//! With a Redis (or Valkey) on this machine, in three terminals:
//! `cargo run --example nodes -- 127.0.0.1:3001`, `… 3002`, `… 3003`. Open any of them and change
//! the port: cookies are shared by all ports of a host.

use std::future::IntoFuture;
use std::io::{Write, stdout};
use std::time::Duration;

use axum::extract::State;
use axum::{Router, http::StatusCode, routing::get};
use tokio::net::TcpListener;
use tokio::signal::ctrl_c;
use tokio::time::timeout;
use tower_keep::cookie::CookieConfig;
use tower_keep::{DynStore, Error, LockConfig, ReadSession, Session, SessionLayer, SessionStore};

#[derive(Clone)]
struct Node {
    name: String,
    store: DynStore,
}

/// The lock is in Redis, so requests to different nodes are counted one by one too.
async fn count(session: Session, State(here): State<Node>) -> Result<String, Error> {
    let visits = session.increment("visits", 1)?;
    let before: Option<String> = session.get("node")?;
    session.insert("node", &here.name)?;
    let before = before.unwrap_or_else(|| "nowhere".to_owned());
    Ok(format!(
        "visit {visits}, at {}, before at {before}\n",
        here.name
    ))
}

/// Reads what the last commit left, on whichever node that was.
async fn look(session: ReadSession) -> Result<String, Error> {
    Ok(session.get_or::<i64>("visits", 0)?.to_string())
}

/// For a load balancer: whether this node reaches the store.
async fn health(State(here): State<Node>) -> StatusCode {
    match here.store.ping().await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:3001".to_owned());
    let url = arguments.next().unwrap_or("redis://127.0.0.1/".to_owned());

    let store = tower_keep_connect::connect(&url).await?;
    let sessions = SessionLayer::builder(store.clone())
        // For plain HTTP. A site on HTTPS leaves this line out.
        .cookie(CookieConfig::dev_http())
        // A node that dies frees its sessions after this at the latest. 10 seconds by default.
        .locks(LockConfig {
            lease: Duration::from_secs(2),
            ..LockConfig::default()
        })
        .build()?;
    let listener = TcpListener::bind(address).await?;
    let name = listener.local_addr()?.to_string();
    writeln!(stdout(), "listening on http://{name}")?;
    let app = Router::new()
        .route("/", get(count))
        .route("/look", get(look))
        .route("/health", get(health))
        .with_state(Node { name, store })
        .layer(sessions.clone());

    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        let _ = ctrl_c().await;
    });
    server.into_future().await?;
    // What requests began with their sessions is carried to its end, but not for ever.
    let _ = timeout(Duration::from_secs(10), sessions.shutdown()).await;
    Ok(())
}
