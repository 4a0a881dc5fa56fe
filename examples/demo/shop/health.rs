//! How a node is, for whoever watches it.

use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::runtime::Handle;

/// It answers, so it is well.
#[derive(Debug, Serialize)]
struct Health {
    /// What runs in the program at the moment: a task for each connection, a few for the store, and
    /// while requests wait for a session one for that.
    tasks: usize,
}

pub(crate) fn routes() -> Router {
    Router::new().route("/health", get(health))
}

async fn health() -> Json<Health> {
    let tasks = Handle::current().metrics().num_alive_tasks();
    Json(Health { tasks })
}
