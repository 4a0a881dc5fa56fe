//! A small application with the session layer on stores of theirs, and what must be so on any of
//! them. The tests with published stores, `tests/bridge-stores`, have it too.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use tower_keep::core::{SystemClock, Token};
use tower_keep::{Clock, Error, ReadSession, Session, SessionId, SessionLayer, SessionStore};
use tower_keep_testkit::{TestClient, TestClock};
use tower_keep_tower_sessions::{Bridged14, BridgedBuilder, V14};
use tower_sessions_core_014::SessionStore as Theirs;

pub(crate) const COOKIE: &str = "__Host-id";

pub(crate) type Client = TestClient<Router>;

/// Long enough that no test takes so long: their stores have the system's clock.
pub(crate) const KEEP: Duration = Duration::from_secs(45);

/// A clock that stands still at the system's time and is moved by the test.
pub(crate) fn clock() -> TestClock {
    TestClock::at(SystemClock::default().now())
}

pub(crate) fn on<S: Theirs>(store: S, clock: &TestClock) -> BridgedBuilder<V14<S>> {
    Bridged14::builder(store)
        .keep_expired(KEEP)
        .clock(Arc::new(clock.clone()))
}

pub(crate) fn client(store: impl SessionStore, clock: &TestClock) -> Client {
    let layer = SessionLayer::builder(store).clock(Arc::new(clock.clone()));
    let app = Router::new()
        .route("/add", get(add))
        .route("/keep/{value}", get(keep))
        .route("/login/{user}", get(login))
        .route("/rotate", get(async |session: Session| session.rotate()))
        .route("/logout", get(logout))
        .route("/who", get(who));
    TestClient::new(app.layer(layer.build().unwrap())).with_clock(clock.clone())
}

/// The id in the client's cookie.
pub(crate) fn id_of(client: &Client) -> Option<SessionId> {
    let cookie = client.cookie(COOKIE)?;
    let token = Token::parse(cookie.as_bytes(), "");
    Some(token.unwrap().id())
}

async fn add(session: Session) -> Result<String, Error> {
    Ok(session.increment("n", 1)?.to_string())
}

async fn keep(session: Session, Path(value): Path<String>) -> Result<(), Error> {
    session.insert("value", &value)
}

async fn login(session: Session, Path(user): Path<String>) -> Result<(), Error> {
    session.set_user(user)
}

async fn logout(session: Session) -> Result<String, Error> {
    Ok(session.destroy()?.to_string())
}

async fn who(session: ReadSession) -> Result<String, Error> {
    let n: i64 = session.get_or("n", 0)?;
    Ok(match session.user() {
        Some(user) => format!("{user} {n}"),
        None => format!("nobody {n}"),
    })
}

/// Everything that happens to a session, from its first write to its end.
pub(crate) async fn whole_life<S: SessionStore>(store: impl FnOnce(&TestClock) -> S) {
    let clock = clock();
    let client = client(store(&clock), &clock);
    assert_eq!(client.get("/who").await.text(), "nobody 0");
    assert_eq!(client.cookie(COOKIE), None, "reading stores nothing");
    assert_eq!(client.get("/add").await.text(), "1");

    // The old cookie is worth nothing after a login, nor after a rotation.
    for (path, who) in [("/login/ann", "ann 1"), ("/rotate", "ann 1")] {
        let thief = client.fork();
        client.get(path).await;
        assert_ne!(client.cookie(COOKIE), thief.cookie(COOKIE), "{path}");
        assert_eq!(client.get("/who").await.text(), who, "{path}");
        clock.advance(Duration::from_secs(11));
        assert_eq!(thief.get("/who").await.text(), "nobody 0", "{path}");
    }

    // Logged out is logged out, also for who has a copy of the cookie.
    let copy = client.fork();
    assert_eq!(client.get("/logout").await.text(), "true");
    assert_eq!(client.cookie(COOKIE), None);
    assert_eq!(copy.get("/who").await.text(), "nobody 0");

    // The next one ends by being left alone.
    client.get("/login/eve").await;
    clock.advance(Duration::from_secs(2 * 60 * 60 - 1));
    assert_eq!(client.get("/who").await.text(), "eve 0");
    clock.advance(Duration::from_secs(2 * 60 * 60));
    assert_eq!(client.get("/who").await.text(), "nobody 0");
}

/// Fifty at once from one browser.
pub(crate) async fn no_increment_is_lost<S: SessionStore>(store: impl FnOnce(&TestClock) -> S) {
    let clock = clock();
    let client = client(store(&clock), &clock);
    client.get("/login/ann").await;
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let tab = client.clone();
            tokio::spawn(async move { tab.get("/add").await.text() })
        })
        .collect();
    let mut seen = Vec::new();
    for task in tasks {
        seen.push(task.await.unwrap().parse::<u64>().unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=50).collect::<Vec<u64>>());
    assert_eq!(client.get("/who").await.text(), "ann 50");
}
