//! No sessions at all: what the framework costs.

use axum::Router;
use axum::routing::get;

pub fn app() -> Router {
    Router::new()
        .route("/unused", get(async || "nothing"))
        .route("/read", get(async || 1_u64.to_string()))
        .route("/increment", get(async || 1_u64.to_string()))
        .route("/new", get(async || ()))
        .route("/fill", get(async || ()))
}
