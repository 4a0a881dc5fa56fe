//! G3: a commit that fails leaves the store as it was, and of the handler's response nothing goes
//! out that is about its content or its session. One that there is no need for costs no time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common_sweep;

use std::time::Duration;

use axum::Router;
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use common_sweep::app::{Mark, request};
use common_sweep::stored::{Stored, in_both};
use common_sweep::world::{new_cookie, paused, text};
use http::header::{self, HeaderName};
use http::{HeaderValue, StatusCode};
use tower::ServiceExt;
use tower_keep::{DataLimits, Error, Session, SessionStore, StoreErrorKind};
use tower_keep_testkit::{Fault, Gate, Script, Verb};

const KEPT: [(HeaderName, &str); 4] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "https://app.test"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'self'"),
    (header::SET_COOKIE, "theme=dark"),
    (header::SERVER, "test"),
];

const GONE: [(HeaderName, &str); 5] = [
    (header::CONTENT_LANGUAGE, "en"),
    (header::CONTENT_DISPOSITION, "inline"),
    (header::CONTENT_ENCODING, "br"),
    (header::ETAG, "\"1\""),
    (header::SET_COOKIE, "__Host-id=forged"),
];

fn page() -> Response {
    let more = [
        (header::CONTENT_TYPE, "text/html"),
        (header::CACHE_CONTROL, "max-age=60"),
    ];
    let headers = KEPT.into_iter().chain(GONE).chain(more);
    let body = "the handler's secret".to_owned();
    (StatusCode::CREATED, AppendHeaders(headers), body).into_response()
}

/// Logs in, so that a commit would set a cookie.
async fn login(session: Session) -> Response {
    session.set_user("ada").unwrap();
    session.increment("n", 1).unwrap();
    page()
}

fn app(stored: &Stored) -> Router {
    Router::new().route("/", get(login)).layer(stored.layer())
}

/// `answer` takes the place of the page.
async fn replaced(answer: Response, status: StatusCode) {
    assert_eq!(answer.status(), status);
    let headers = answer.headers();
    for (name, value) in KEPT {
        assert!(headers.get_all(&name).iter().any(|v| v == value), "{name}");
    }
    for (name, value) in GONE {
        assert!(!headers.get_all(&name).iter().any(|v| v == value), "{name}");
    }
    assert_eq!(headers.get_all(header::SET_COOKIE).iter().count(), 1);
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(headers[header::VARY], "Cookie");
    let body = text(answer).await;
    assert!(body.contains("try again"), "{body}");
}

#[test]
fn a_store_that_fails_is_503() {
    paused(async {
        let stored = Stored::new(false).await;
        let before = stored.settled().await;
        let down = Fault::Fail(StoreErrorKind::Unavailable);
        stored
            .faults
            .set_script(Script::new().every_of(Verb::Finish, down));
        let answer = stored.get(&app(&stored), "/").await;
        replaced(answer, StatusCode::SERVICE_UNAVAILABLE).await;
        // The store never heard of the end, so the lease ends by itself.
        stored.faults.set_script(Script::new());
        tokio::time::sleep(Duration::from_secs(11)).await;
        let answer = stored.get(&app(&stored), "/").await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        let after = stored.settled().await;
        assert_eq!(
            after.version,
            before.version + 1,
            "the first one changed nothing"
        );
    });
}

#[test]
fn an_outcome_that_nobody_knows_is_503() {
    paused(async {
        let stored = Stored::new(false).await;
        let mute = Script::new().every_of(Verb::Finish, Fault::LoseReply);
        stored.faults.set_script(mute);
        let answer = stored.get(&app(&stored), "/").await;
        replaced(answer, StatusCode::SERVICE_UNAVAILABLE).await;
        let after = stored.settled().await;
        assert_eq!(
            (after.version, after.n),
            (2, Some(2)),
            "it was applied once"
        );
    });
}

#[test]
fn a_reply_that_gets_lost_once_is_no_failure() {
    paused(async {
        let stored = Stored::new(false).await;
        for fault in [
            Fault::LoseReply,
            Fault::Fail(StoreErrorKind::Unavailable),
            Fault::Panic,
        ] {
            common_sweep::hide_planned_panics();
            let (id, cookie) = common_sweep::world::session(&stored.memory).await;
            let script = Script::new().nth_of(Verb::Finish, 1, fault);
            stored.faults.set_script(script);
            let request = request("/", Some(&cookie), &Mark::default());
            let answer = app(&stored).oneshot(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::CREATED);
            let after = common_sweep::world::seen(&stored.memory, id);
            assert_eq!((after.version, after.n, after.leased), (2, Some(2), false));
        }
    });
}

/// Runs `login` up to its end, does `meanwhile`, and lets it commit then.
async fn held(stored: &Stored, meanwhile: impl AsyncFnOnce(Router)) -> Response {
    let gate = Gate::new();
    let wait = gate.clone();
    let held = async move |session: Session| {
        wait.pass().await;
        login(session).await
    };
    let layer = stored.layer();
    let app = Router::new()
        .route("/held", get(held))
        .route("/", get(login))
        .layer(layer);
    let request = request("/held", Some(&stored.cookie), &Mark::default());
    let answer = tokio::spawn(app.clone().oneshot(request));
    gate.arrived(1).await;
    meanwhile(app).await;
    gate.open();
    answer.await.unwrap().unwrap()
}

#[test]
fn a_lease_that_was_lost_is_409() {
    in_both(async |stored| {
        let answer = held(&stored, async |_| {
            // The lease ends by the store's clock, and another process takes the session.
            stored.clock.advance(Duration::from_secs(61));
            let taken = stored.get(&app(&stored), "/").await;
            assert_eq!(taken.status(), StatusCode::CREATED);
        });
        replaced(answer.await, StatusCode::CONFLICT).await;
        let after = stored.settled().await;
        assert_eq!(
            (after.version, after.n),
            (2, Some(2)),
            "only the second one"
        );
    });
}

#[test]
fn a_session_that_was_destroyed_meanwhile_is_409() {
    in_both(async |stored| {
        let answer = held(&stored, async |_| {
            assert!(stored.memory.destroy(stored.id).await.unwrap());
        });
        replaced(answer.await, StatusCode::CONFLICT).await;
        assert!(stored.settled().await.gone);
        assert_eq!(stored.memory.len(), 1);
    });
}

#[test]
fn a_session_that_cannot_be_created_is_503() {
    paused(async {
        let stored = Stored::new(false).await;
        for kind in [StoreErrorKind::Full, StoreErrorKind::Unavailable] {
            let script = Script::new().every_of(Verb::Create, Fault::Fail(kind));
            stored.faults.set_script(script);
            let request = request("/", None, &Mark::default());
            let answer = app(&stored).oneshot(request).await.unwrap();
            replaced(answer, StatusCode::SERVICE_UNAVAILABLE).await;
            assert_eq!(stored.memory.len(), 1);
        }
    });
}

#[test]
fn data_that_are_too_large_are_500_and_change_nothing() {
    in_both(async |stored| {
        let limits = DataLimits {
            max_size: 1_000,
            ..DataLimits::default()
        };
        let layer = stored.builder().data_limits(limits).build().unwrap();
        let grow = async |session: Session| session.insert("n", &"x".repeat(2_000));
        let app = Router::new().route("/", get(grow)).layer(layer);
        let before = stored.settled().await;
        let answer = stored.get(&app, "/").await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(new_cookie(&answer), None);
        assert_eq!(stored.settled().await, before);
    });
}

#[test]
fn the_app_shapes_the_answer() {
    paused(async {
        let stored = Stored::new(false).await;
        let layer = stored.builder().on_error(|error, info| {
            let mut response = http::Response::new(Bytes::from(info.uri.path().to_owned()));
            *response.status_mut() = error.status();
            let html = HeaderValue::from_static("text/html");
            response.headers_mut().insert(header::CONTENT_TYPE, html);
            response
        });
        let early = async |session: Session| {
            session.rotate().unwrap();
            tokio::select! {
                biased;
                _ = session.commit() => {}
                () = std::future::ready(()) => {}
            }
        };
        let app = Router::new()
            .route("/late", get(login))
            .route("/early", get(early))
            .layer(layer.build().unwrap());
        for path in ["/late", "/early"] {
            let down = Fault::Fail(StoreErrorKind::Unavailable);
            let script = Script::new().every_of(Verb::Finish, down);
            stored.faults.set_script(script);
            let answer = stored.get(&app, path).await;
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/html");
            assert_eq!(text(answer).await, path);
            tokio::time::sleep(Duration::from_secs(11)).await;
        }
    });
}

#[test]
fn a_release_without_changes_is_not_waited_for() {
    paused(async {
        let stored = Stored::new(false).await;
        let same = async |session: Session| {
            // An equal value is no change.
            session.insert("n", &1)?;
            Ok::<_, Error>("same")
        };
        let app = Router::new().route("/", get(same)).layer(stored.layer());
        let gate = Gate::new();
        let slow = Fault::DelayBefore(gate.clone());
        stored
            .faults
            .set_script(Script::new().every_of(Verb::Finish, slow));
        let answer = stored.get(&app, "/").await;
        assert_eq!(answer.status(), StatusCode::OK);
        gate.arrived(1).await;
        gate.open();
        assert_eq!(stored.settled().await.version, 1);
        assert_eq!(stored.faults.calls().of(Verb::Finish), 1);
    });
}
