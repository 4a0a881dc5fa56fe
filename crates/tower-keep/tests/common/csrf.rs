//! An app behind the CSRF layer, and requests to it.

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, StatusCode, request};
use tower_keep::{CsrfLayer, CsrfLayerBuilder, CsrfRefusal, Session};

use super::{Backend, Client};

pub const FORM: &str = "application/x-www-form-urlencoded";

pub fn routes() -> Router {
    Router::new()
        .route("/form", get(async |s: Session| s.csrf_token()))
        .route("/login", get(async |s: Session| s.set_user("ann")))
        .route("/do", any(async |body: Bytes| body))
        .route("/write", any(async |s: Session| s.insert("n", &1)))
        .fallback(async || "fallback")
}

pub fn client(backend: &Backend, csrf: CsrfLayerBuilder) -> Client {
    backend.client(routes().layer(csrf.build().unwrap()))
}

pub fn usual(backend: &Backend) -> Client {
    client(backend, CsrfLayer::builder())
}

pub fn post(path: &str) -> request::Builder {
    Request::post(path).header(HOST, "shop.example")
}

pub fn form(path: &str) -> request::Builder {
    post(path).header(CONTENT_TYPE, FORM)
}

pub async fn status(client: &Client, request: request::Builder) -> StatusCode {
    let request = request.body(Body::empty()).unwrap();
    client.request(request).await.status()
}

/// The status, and what the handler was given or the client told.
pub async fn send(
    client: &Client,
    request: request::Builder,
    body: impl Into<Body>,
) -> (u16, String) {
    let response = client.request(request.body(body.into()).unwrap()).await;
    (response.status().as_u16(), response.text())
}

pub fn refusal(refusal: CsrfRefusal) -> (u16, String) {
    (403, format!("{refusal}\n"))
}
