//! Users who are remembered, visitors who are nobody, and how fresh a login is.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use common::{Backend, Client, Gates, MINUTE, app, id_of};
use http::StatusCode;
use tower_keep::cookie::CookieConfig;
use tower_keep::{Error, ReadSession, Session};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn routes() -> Router {
    let pay = async |session: ReadSession| session.require_fresh(5 * MINUTE);
    let login_and_pay = async |session: Session| -> Result<(), Error> {
        session.set_user("ann")?;
        session.require_fresh(Duration::ZERO)
    };
    let remembered = async |session: ReadSession| session.is_remembered().to_string();
    app(Gates::default())
        .route(
            "/remember",
            get(async |s: Session| s.set_user_remembered("ann")),
        )
        .route("/again", get(async |s: Session| s.reauthenticate()))
        .route("/invalidate", get(async |s: Session| s.invalidate()))
        .route("/remembered", get(remembered))
        .route("/pay", get(pay))
        .route("/login-and-pay", get(login_and_pay))
}

fn closing(backend: &Backend) -> Client {
    let cookie = CookieConfig::new().expire_on_close(true);
    backend.client_of(routes(), backend.layer().cookie(cookie))
}

#[tokio::test(start_paused = true)]
async fn a20_who_asked_to_be_remembered_is_for_two_weeks() {
    for backend in Backend::both() {
        let client = closing(&backend);
        client.get("/add").await;
        let login = client.get("/remember").await;
        let cookie = &login.set_cookies()[0];
        assert!(cookie.contains("Max-Age=1209600"), "{cookie}");
        assert_eq!(client.get("/remembered").await.text(), "true");
        let head = backend.record(&client).head;
        assert!(head.remember, "{}", backend.name);
        assert_eq!(head.absolute_deadline, head.created_at.plus(14 * DAY));
        backend.clock.advance(13 * DAY);
        assert_eq!(client.get("/who").await.text(), "ann 1");
        // Used or not: in all it is two weeks from the login.
        backend.clock.advance(DAY);
        assert!(client.get("/who").await.text().starts_with("nobody"));
    }
}

#[tokio::test(start_paused = true)]
async fn a20_others_are_forgotten_with_the_browser() {
    for backend in Backend::both() {
        let client = closing(&backend);
        for path in [
            "/remember",
            "/rotate",
            "/login/bob",
            "/remember",
            "/invalidate",
        ] {
            let answer = client.get(path).await;
            let cookie = &answer.set_cookies()[0];
            // A rotation changes nothing of it; another login, or the end of this one, does.
            let lasts = matches!(path, "/remember" | "/rotate");
            assert_eq!(cookie.contains("Max-Age"), lasts, "{path}: {cookie}");
            let head = backend.record(&client).head;
            assert_eq!(head.remember, lasts, "{path}");
            let idle = if lasts { 14 * DAY } else { 2 * HOUR };
            assert_eq!(head.limits.idle, idle, "{} {path}", backend.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d8_sessions_without_a_user_may_be_shorter() {
    for backend in Backend::both() {
        let layer = backend.layer().anonymous_timeouts(MINUTE, HOUR);
        let visitor = backend.client_of(routes(), layer);
        visitor.get("/add").await;
        let flood = visitor.fork();
        let user = visitor.fork();
        flood.clear_cookies();
        flood.get("/add").await;
        user.clear_cookies();
        user.get("/add").await;
        user.get("/login/ann").await;
        backend.clock.advance(MINUTE / 2);
        visitor.get("/add").await;
        backend.clock.advance(MINUTE / 2);
        assert_eq!(visitor.get("/n").await.text(), "2");
        assert_eq!(flood.get("/n").await.text(), "0", "{}", backend.name);
        backend.clock.advance(HOUR);
        assert_eq!(visitor.get("/n").await.text(), "0");
        assert_eq!(user.get("/who").await.text(), "ann 1");
        // Nobody's again.
        user.get("/invalidate").await;
        let head = backend.record(&user).head;
        assert_eq!(head.limits.idle, MINUTE);
        assert_eq!(backend.live(), [id_of(&user)]);
    }
}

#[tokio::test(start_paused = true)]
async fn c10_a_step_up_asks_for_a_fresh_proof() {
    for backend in Backend::both() {
        let client = backend.client(routes());
        let pay = async || client.get("/pay").await.status();
        assert_eq!(pay().await, StatusCode::FORBIDDEN, "nobody");
        client.get("/add").await;
        assert_eq!(pay().await, StatusCode::FORBIDDEN, "a visitor");
        client.get("/login/ann").await;
        assert_eq!(pay().await, StatusCode::OK);
        backend.clock.advance(5 * MINUTE);
        assert_eq!(pay().await, StatusCode::OK, "that instant included");
        backend.clock.advance(Duration::from_millis(1));
        assert_eq!(pay().await, StatusCode::FORBIDDEN, "{}", backend.name);
        // Being there is not proving who one is.
        client.get("/rotate").await;
        assert_eq!(pay().await, StatusCode::FORBIDDEN);
        let answer = client.get("/pay").await.text();
        assert_eq!(answer, "Please prove again who you are.\n");
        let before = backend.record(&client).head.generation;
        client.get("/again").await;
        assert_eq!(backend.record(&client).head.generation, before + 1);
        assert_eq!(pay().await, StatusCode::OK);
        client.get("/invalidate").await;
        assert_eq!(pay().await, StatusCode::FORBIDDEN, "logged out");
        let fresh = client.get("/login-and-pay").await;
        assert_eq!(fresh.status(), StatusCode::OK, "in the request itself");
    }
}
