//! No sessions at all: what the framework costs.

use std::task::{Context, Poll};

use axum::Router;
use axum::routing::get;
use tower::Service;

pub fn app() -> Router {
    Router::new()
        .route("/unused", get(async || "nothing"))
        .route("/read", get(async || 1_u64.to_string()))
        .route("/increment", get(async || 1_u64.to_string()))
        .route("/new", get(async || ()))
        .route("/fill", get(async || ()))
}

/// The same within a layer that does nothing: what any layer costs before it does anything.
pub fn layered() -> Router {
    app().layer(tower::layer::layer_fn(Nothing))
}

#[derive(Clone)]
struct Nothing<S>(S);

impl<S: Service<R>, R> Service<R> for Nothing<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.0.call(request)
    }
}
