//! A `User-Agent`, as the list of one's devices shows it.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::post;
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, HOST, SET_COOKIE, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt;
use tower_keep::{MemoryStore, Session, SessionLayer};
use tower_keep_devices::Devices;

/// What a device can be.
const KINDS: [&str; 5] = ["computer", "phone", "tablet", "television", "unknown"];

thread_local! {
    static RUNTIME: Runtime = {
        let runtime = tokio::runtime::Builder::new_current_thread();
        { runtime }.enable_time().build().unwrap()
    };
    /// What the page has where browser and system are known or not.
    static MARKS: [[usize; 2]; 2] = [["", "X11"], ["curl/", "curl/ X11"]].map(|row| {
        row.map(|agent| RUNTIME.with(|runtime| {
            let agent = HeaderValue::from_static(agent);
            runtime.block_on(async { marks(&shown(&agent, "text/html").await) })
        }))
    });
}

pub(crate) fn check(input: &[u8]) {
    let Ok(agent) = HeaderValue::from_bytes(input) else {
        return;
    };
    let show = |accept| RUNTIME.with(|runtime| runtime.block_on(shown(&agent, accept)));
    let list: Value = serde_json::from_slice(&show("application/json")).expect("JSON");
    let device = first(&list);
    assert!(KINDS.contains(&device["kind"].as_str().unwrap()));
    if let Some(told) = device["user_agent"].as_str() {
        let said = String::from_utf8_lossy(agent.as_bytes());
        assert!(
            said.starts_with(told.trim_end_matches('\u{fffd}')),
            "{told:?} {said:?}"
        );
    }
    let page = show("text/html");
    assert!(std::str::from_utf8(&page).is_ok());
    // Whatever a client says, it is text in the page and nothing else.
    let [browser, system] = ["browser", "system"].map(|name| usize::from(!device[name].is_null()));
    assert_eq!(marks(&page), MARKS.with(|marks| marks[browser][system]));
}

/// What makes tags and attributes.
fn marks(page: &[u8]) -> usize {
    let makes = |byte: &&u8| matches!(byte, b'<' | b'>' | b'"');
    page.iter().filter(makes).count()
}

/// The list of the devices of somebody whose only client says this.
async fn shown(agent: &HeaderValue, accept: &str) -> Bytes {
    let layer = SessionLayer::new(MemoryStore::new());
    let devices = Devices::new(layer.sessions()).router();
    let login = async |session: Session| session.set_user("ann");
    let app = Router::new()
        .route("/login", post(login))
        .nest("/devices", devices);
    let app = app.layer(layer);
    let request = Request::post("/login").header(USER_AGENT, agent);
    let (status, cookie, _) = send(&app, request).await;
    assert_eq!(status, StatusCode::OK);
    let request = Request::get("/devices").header(COOKIE, cookie.expect("a cookie"));
    let (status, _, body) = send(&app, request.header(ACCEPT, accept)).await;
    assert_eq!(status, StatusCode::OK);
    body
}

fn first(list: &Value) -> Value {
    let list = list.as_array().or_else(|| list["devices"].as_array());
    list.expect("a list")[0].clone()
}

async fn send(
    app: &Router,
    request: http::request::Builder,
) -> (StatusCode, Option<String>, Bytes) {
    let request = request
        .header(HOST, "shop.example")
        .header(CONTENT_TYPE, "text/plain");
    let answer = app
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await;
    let answer = answer.unwrap();
    let cookie = answer.headers().get(SET_COOKIE).map(|cookie| {
        let cookie = cookie.to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    });
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap();
    (status, cookie, body.to_bytes())
}
