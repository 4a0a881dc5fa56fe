//! What has nothing to do with sessions: the files that pages need, and the headers that make
//! browsers careful.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{self, HeaderName, HeaderValue};

/// The stylesheet, the script and the icons. They are part of the program.
pub(crate) fn assets() -> Router {
    let style = async || file("text/css", include_str!("assets/style.css"));
    let clicks = async || file("text/javascript", include_str!("assets/clicks.js"));
    let icons = async || file("image/svg+xml", include_str!("assets/icons.svg"));
    Router::new()
        .route("/assets/style.css", get(style))
        .route("/assets/clicks.js", get(clicks))
        .route("/assets/icons.svg", get(icons))
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "max-age=60"),
    ];
    (headers, text)
}

/// Scripts, styles and images come from here and nowhere else, forms go here and nowhere else, and
/// no other site may put the shop in a frame. Pages are not kept: they show a session.
pub(crate) async fn careful(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 4] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
             connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
