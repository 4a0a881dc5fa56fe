//! G3: after a session is opened exactly one of *commit* and *discard* happens; which one follows
//! from how the request ends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common_sweep;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use common_sweep::app::{Mark, request};
use common_sweep::stored::{Stored, in_both};
use common_sweep::world::{new_cookie, paused, text};
use http::{Request, StatusCode, header};
use tower::{Layer, ServiceExt};
use tower_keep::{Error, ReadSession, Session, StoreErrorKind};
use tower_keep_testkit::{Fault, Script, Verb};

async fn status(session: Session, Path(code): Path<u16>) -> Result<StatusCode, Error> {
    session.increment("n", 1)?;
    Ok(StatusCode::from_u16(code).unwrap())
}

fn statuses() -> Router {
    Router::new().route("/{code}", get(status))
}

#[test]
fn the_status_decides() {
    in_both(async |stored| {
        let app = statuses().layer(stored.layer());
        let commits = [
            101, 200, 201, 204, 302, 303, 304, 400, 401, 403, 404, 409, 422, 429,
        ];
        let discards = [408, 500, 501, 502, 503, 504, 599, 999];
        let mut expected = stored.settled().await;
        for code in commits.into_iter().chain(discards) {
            let answer = stored.get(&app, &format!("/{code}")).await;
            assert_eq!(answer.status(), code);
            assert_eq!(answer.headers()[header::VARY], "Cookie");
            assert_eq!(new_cookie(&answer), None);
            if commits.contains(&code) {
                expected.n = expected.n.map(|n| n + 1);
                expected.version += 1;
            }
            assert_eq!(stored.settled().await, expected, "{code}");
        }
    });
}

#[test]
fn the_app_may_decide_otherwise() {
    in_both(async |stored| {
        let layer = stored.builder().commit_when(|status| status == 500);
        let app = statuses().layer(layer.build().unwrap());
        for (code, n) in [(200, 1), (408, 1), (500, 2), (503, 2)] {
            stored.get(&app, &format!("/{code}")).await;
            assert_eq!(stored.settled().await.n, Some(n), "{code}");
        }
    });
}

#[derive(Debug)]
struct AppError(StatusCode);

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

#[test]
fn a_result_of_an_axum_handler_is_a_response() {
    async fn fail(session: Session, Path(code): Path<u16>) -> Result<(), AppError> {
        session.increment("n", 1).unwrap();
        Err(AppError(StatusCode::from_u16(code).unwrap()))
    }
    in_both(async |stored| {
        let app = Router::new()
            .route("/{code}", get(fail))
            .layer(stored.layer());
        for (code, n) in [(422, 2), (500, 2)] {
            assert_eq!(stored.get(&app, &format!("/{code}")).await.status(), code);
            assert_eq!(stored.settled().await.n, Some(n), "{code}");
        }
    });
}

#[test]
fn an_error_of_the_inner_service_discards() {
    in_both(async |stored| {
        let service = stored
            .layer()
            .layer(tower::service_fn(async |request: Request<Body>| {
                let session = Session::from_request(&request.into_parts().0)
                    .await
                    .unwrap();
                session.set_user("ada").unwrap();
                Err::<Response, _>("broken")
            }));
        let request = request("/", Some(&stored.cookie), &Mark::default());
        let before = stored.settled().await;
        assert_eq!(service.oneshot(request).await.unwrap_err(), "broken");
        assert_eq!(stored.settled().await, before);
    });
}

type Change = fn(&Session) -> Result<(), Error>;

const CHANGES: [(&str, Change); 7] = [
    ("rotate", Session::rotate),
    ("set_user", |session| session.set_user("ada")),
    ("destroy", |session| session.destroy().map(drop)),
    ("invalidate", Session::invalidate),
    ("reauthenticate", Session::reauthenticate),
    ("extend", |session| {
        session.extend(Duration::from_secs(9_000))
    }),
    ("clear", Session::clear),
];

#[test]
fn a_failure_after_a_deferred_change_changes_nothing() {
    in_both(async |stored| {
        let before = stored.settled().await;
        for (name, change) in CHANGES {
            let handler = async move |session: Session| {
                change(&session).unwrap();
                session.insert("n", &7).unwrap();
                StatusCode::INTERNAL_SERVER_ERROR
            };
            let app = Router::new().route("/", get(handler)).layer(stored.layer());
            let answer = stored.get(&app, "/").await;
            assert_eq!(new_cookie(&answer), None, "{name}");
            assert_eq!(stored.settled().await, before, "{name}");
            assert_eq!(stored.memory.len(), 1, "{name}");
        }
    });
}

#[test]
fn the_cookie_of_an_early_commit_goes_out_whatever_the_status() {
    async fn early(session: Session, Path((code, what)): Path<(u16, String)>) -> StatusCode {
        session.increment("n", 1).unwrap();
        if what == "rotate" {
            session.rotate().unwrap();
        }
        session.commit().await.unwrap();
        assert_eq!(
            session.get::<i64>("n").unwrap(),
            Some(if what == "create" { 1 } else { 2 })
        );
        assert!(matches!(session.increment("n", 1), Err(Error::Closed)));
        StatusCode::from_u16(code).unwrap()
    }
    for (what, code) in [
        ("rotate", 200),
        ("rotate", 500),
        ("create", 408),
        ("create", 503),
    ] {
        in_both(async |stored| {
            let app = Router::new()
                .route("/{code}/{what}", get(early))
                .layer(stored.layer());
            let cookie = (what == "rotate").then_some(stored.cookie.as_str());
            let request = request(&format!("/{code}/{what}"), cookie, &Mark::default());
            let answer = app.oneshot(request).await.unwrap();
            assert_eq!(answer.status(), code);
            assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
            let cookie = new_cookie(&answer).expect("the client must learn the new cookie");

            let read =
                async |session: ReadSession| session.get::<i64>("n").unwrap().unwrap().to_string();
            let app = Router::new().route("/", get(read)).layer(stored.layer());
            let answer = app.oneshot(common_sweep::app::request(
                "/",
                Some(&cookie),
                &Mark::default(),
            ));
            let n = if what == "rotate" { "2" } else { "1" };
            assert_eq!(text(answer.await.unwrap()).await, n);
        });
    }
}

#[test]
fn the_cookie_of_an_early_commit_that_nobody_waited_for_goes_out_as_well() {
    async fn hasty(session: Session) {
        session.rotate().unwrap();
        // The commit is under way when its future is dropped, as by a timeout around it.
        let commit = session.commit();
        tokio::select! {
            biased;
            done = commit => done.unwrap(),
            () = std::future::ready(()) => {}
        }
    }
    in_both(async |stored| {
        let app = Router::new().route("/", get(hasty)).layer(stored.layer());
        let before = stored.settled().await;
        let answer = stored.get(&app, "/").await;
        assert_eq!(stored.settled().await.generation, before.generation + 1);
        assert!(new_cookie(&answer).is_some(), "the client is locked out");
    });
}

#[test]
fn an_early_commit_that_nobody_waited_for_and_that_fails_is_answered() {
    paused(async {
        let stored = Stored::new(false).await;
        let hasty = async |session: Session| {
            session.rotate().unwrap();
            tokio::select! {
                biased;
                done = session.commit() => done.unwrap(),
                () = std::future::ready(()) => {}
            }
        };
        let app = Router::new().route("/", get(hasty)).layer(stored.layer());
        let broken = Fault::Fail(StoreErrorKind::Unavailable);
        stored
            .faults
            .set_script(Script::new().every_of(Verb::Finish, broken));
        let answer = stored.get(&app, "/").await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(new_cookie(&answer), None);
    });
}

#[test]
fn what_was_given_up_is_not_saved() {
    async fn give_up(session: Session) -> Result<(), Error> {
        session.set_user("ada")?;
        session.discard()
    }
    in_both(async |stored| {
        let app = Router::new().route("/", get(give_up)).layer(stored.layer());
        let before = stored.settled().await;
        let answer = stored.get(&app, "/").await;
        assert_eq!(
            (answer.status(), new_cookie(&answer)),
            (StatusCode::OK, None)
        );
        assert_eq!(stored.settled().await, before);
    });
}

#[test]
fn a_session_that_a_guard_did_not_find_is_started_with_its_client() {
    async fn start(_guard: ReadSession, session: Session) -> Result<(), Error> {
        session.insert("n", &1)
    }
    in_both(async |stored| {
        let app = Router::new().route("/", get(start)).layer(stored.layer());
        let mut request = request("/", None, &Mark::default());
        let agent = "Browser/1".parse().unwrap();
        request.headers_mut().insert(header::USER_AGENT, agent);
        app.oneshot(request).await.unwrap();
        let mut ids = stored.memory.ids().into_iter();
        let id = ids.find(|id| *id != stored.id).expect("a new session");
        let client = stored.memory.record(id).unwrap().head.client.unwrap();
        assert_eq!(client.user_agent.as_deref(), Some("Browser/1"));
    });
}
