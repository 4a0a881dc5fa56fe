//! What has nothing to do with sessions: the files that pages need, and the headers that make
//! browsers careful.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{self, HeaderName, HeaderValue, InvalidHeaderValue};

use super::site::Site;

/// The stylesheet, the scripts and the icons. They are part of the program.
pub(crate) fn assets() -> Router {
    let style = async || file("text/css", include_str!("assets/style.css"));
    let at_once = async || file("text/javascript", include_str!("assets/at-once.js"));
    let chat = async || file("text/javascript", include_str!("assets/chat.js"));
    let icons = async || file("image/svg+xml", include_str!("assets/icons.svg"));
    Router::new()
        .route("/assets/style.css", get(style))
        .route("/assets/at-once.js", get(at_once))
        .route("/assets/chat.js", get(chat))
        .route("/assets/icons.svg", get(icons))
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "max-age=60"),
    ];
    (headers, text)
}

/// The policy of every page: scripts, styles and images come from this node and from nowhere else,
/// forms go there, requests and sockets to the nodes of the shop, and no other site may put a page
/// into a frame.
pub(crate) fn policy(site: &Site) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut nodes = String::from("'self'");
    if !site.is_alone() {
        for origin in site.origins() {
            nodes.push(' ');
            nodes.push_str(&origin);
        }
    }
    HeaderValue::try_from(format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src {nodes}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ))
}

/// Pages have the policy, and are not kept: they show a session.
pub(crate) fn careful(mut response: Response, policy: &HeaderValue) -> Response {
    const HEADERS: [(HeaderName, &str); 3] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
