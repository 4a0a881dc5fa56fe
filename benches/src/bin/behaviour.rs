//! What the libraries do with the same few requests, on their stores in memory, as a table.
//!
//! `cargo run --release --bin behaviour`

use std::future::Future;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::routing::{get, post};
use axum::{Router, response::IntoResponse};
use http_body_util::BodyExt;
use tokio::time::sleep;
use tower::ServiceExt;

/// How long the slow handlers take: long enough that requests sent together overlap.
const PAUSE: Duration = Duration::from_millis(20);

mod keep {
    use super::*;
    use tower_keep::{Error, MemoryStore, ReadSession, Session, SessionLayer};

    pub fn app() -> Router {
        Router::new()
            .route("/increment", post(increment))
            .route("/slow", post(slow))
            .route("/logout", post(logout))
            .route("/rotate-and-fail", post(rotate_and_fail))
            .route("/count", get(count))
            .route("/unused", get(async || "nothing"))
            .layer(SessionLayer::new(MemoryStore::new()))
    }

    async fn increment(session: Session) -> Result<(), Error> {
        let n: u64 = session.get_or_default("n")?;
        sleep(PAUSE).await;
        session.insert("n", &(n + 1))
    }

    async fn slow(session: Session) -> Result<(), Error> {
        sleep(PAUSE * 3).await;
        session.insert("slow", &true)
    }

    async fn logout(session: Session) -> Result<(), Error> {
        session.destroy().map(drop)
    }

    async fn rotate_and_fail(session: Session) -> Result<StatusCode, Error> {
        session.rotate()?;
        Ok(StatusCode::INTERNAL_SERVER_ERROR)
    }

    async fn count(session: ReadSession) -> Result<String, Error> {
        let n: u64 = session.get_or_default("n")?;
        Ok(n.to_string())
    }
}

mod tower_sessions_ {
    use super::*;
    use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

    pub fn app() -> Router {
        Router::new()
            .route("/increment", post(increment))
            .route("/slow", post(slow))
            .route("/logout", post(logout))
            .route("/rotate-and-fail", post(rotate_and_fail))
            .route("/count", get(count))
            .route("/unused", get(async || "nothing"))
            .layer(SessionManagerLayer::new(MemoryStore::default()))
    }

    async fn increment(session: Session) {
        let n: u64 = session.get("n").await.unwrap().unwrap_or_default();
        sleep(PAUSE).await;
        session.insert("n", n + 1).await.unwrap();
    }

    async fn slow(session: Session) {
        let _: Option<u64> = session.get("n").await.unwrap();
        sleep(PAUSE * 3).await;
        session.insert("slow", true).await.unwrap();
    }

    async fn logout(session: Session) {
        session.flush().await.unwrap();
    }

    async fn rotate_and_fail(session: Session) -> StatusCode {
        session.cycle_id().await.unwrap();
        StatusCode::INTERNAL_SERVER_ERROR
    }

    async fn count(session: Session) -> String {
        let n: u64 = session.get("n").await.unwrap().unwrap_or_default();
        n.to_string()
    }
}

mod axum_session_ {
    use super::*;
    use axum_session::{Session, SessionConfig, SessionLayer, SessionNullPool, SessionStore};

    type Visit = Session<SessionNullPool>;

    pub async fn app() -> Router {
        let config = SessionConfig::default();
        let store = SessionStore::<SessionNullPool>::new(None, config)
            .await
            .unwrap();
        Router::new()
            .route("/increment", post(increment))
            .route("/slow", post(slow))
            .route("/logout", post(logout))
            .route("/rotate-and-fail", post(rotate_and_fail))
            .route("/count", get(count))
            .route("/unused", get(async || "nothing"))
            .layer(SessionLayer::new(store))
    }

    async fn increment(session: Visit) {
        let n: u64 = session.get("n").unwrap_or_default();
        sleep(PAUSE).await;
        session.set("n", n + 1);
    }

    async fn slow(session: Visit) {
        let _: Option<u64> = session.get("n");
        sleep(PAUSE * 3).await;
        session.set("slow", true);
    }

    async fn logout(session: Visit) {
        session.destroy();
    }

    async fn rotate_and_fail(session: Visit) -> StatusCode {
        session.renew();
        StatusCode::INTERNAL_SERVER_ERROR
    }

    async fn count(session: Visit) -> String {
        let n: u64 = session.get("n").unwrap_or_default();
        n.to_string()
    }
}

/// What came back: status, body, the cookies as they would be sent back, whether any was set.
struct Answer {
    body: String,
    cookie: Option<String>,
    sets_cookie: bool,
}

async fn send(app: &Router, method: &str, path: &str, cookie: Option<&str>) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(cookie) = cookie {
        request = request.header(header::COOKIE, cookie);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap().into_response();
    let pairs: Vec<String> = response
        .headers()
        .get_all(header::SET_COOKIE)
        .iter()
        .filter_map(|value| Some(value.to_str().ok()?.split(';').next()?.to_owned()))
        .collect();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Answer {
        body: String::from_utf8_lossy(&body).into_owned(),
        sets_cookie: !pairs.is_empty(),
        cookie: (!pairs.is_empty()).then(|| pairs.join("; ")),
    }
}

/// A session with `n` = 1.
async fn visitor(app: &Router) -> String {
    send(app, "POST", "/increment", None)
        .await
        .cookie
        .expect("a cookie for the new session")
}

async fn count(app: &Router, cookie: &str) -> String {
    send(app, "GET", "/count", Some(cookie)).await.body
}

async fn increments(app: Router) -> String {
    let cookie = visitor(&app).await;
    let requests: Vec<_> = (0..10)
        .map(|_| {
            let (app, cookie) = (app.clone(), cookie.clone());
            tokio::spawn(async move { send(&app, "POST", "/increment", Some(&cookie)).await })
        })
        .collect();
    for request in requests {
        request.await.unwrap();
    }
    let n: u64 = count(&app, &cookie).await.parse().unwrap();
    format!("{} counted", n - 1)
}

async fn logout_under_way(app: Router) -> String {
    let cookie = visitor(&app).await;
    let slow = {
        let (app, cookie) = (app.clone(), cookie.clone());
        tokio::spawn(async move { send(&app, "POST", "/slow", Some(&cookie)).await })
    };
    sleep(PAUSE).await;
    send(&app, "POST", "/logout", Some(&cookie)).await;
    slow.await.unwrap();
    match count(&app, &cookie).await.as_str() {
        "0" => "stays ended".into(),
        _ => "is back".into(),
    }
}

async fn rotate_and_fail(app: Router) -> String {
    let cookie = visitor(&app).await;
    let answer = send(&app, "POST", "/rotate-and-fail", Some(&cookie)).await;
    let cookie = answer.cookie.unwrap_or(cookie);
    match count(&app, &cookie).await.as_str() {
        "1" => "is kept".into(),
        _ => "is lost".into(),
    }
}

async fn unused(app: Router) -> String {
    match send(&app, "GET", "/unused", None).await.sets_cookie {
        true => "sets a cookie".into(),
        false => "no cookie".into(),
    }
}

async fn row<F: Future<Output = String>>(what: &str, scenario: impl Fn(Router) -> F) {
    let peers = [
        scenario(keep::app()).await,
        scenario(tower_sessions_::app()).await,
        scenario(axum_session_::app().await).await,
    ];
    println!("| {what} | {} |", peers.join(" | "));
}

#[tokio::main]
async fn main() {
    println!("| | tower-keep | tower-sessions 0.15 | axum_session 0.22 |");
    println!("|---|---|---|---|");
    row("10 concurrent read-then-write increments", increments).await;
    row(
        "a slow request ends after a logout: the session",
        logout_under_way,
    )
    .await;
    row("rotation, then a 500: the session", rotate_and_fail).await;
    row("a handler that does not use the session", unused).await;
}
