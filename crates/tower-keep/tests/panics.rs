//! G3: a panic at any point of a request saves nothing and leaves its session free, wherever the
//! panic is caught and whatever is answered in the place of the handler.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common_sweep;

use std::any::Any;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use common_sweep::app::{App, Mark, request, routes};
use common_sweep::stored::{Stored, in_both};
use common_sweep::world::{new_cookie, paused};
use common_sweep::{PLANNED, hide_planned_panics};
use http::StatusCode;
use serde::{Serialize, Serializer};
use tower::ServiceExt;
use tower::util::BoxCloneService;
use tower_http::catch_panic::CatchPanicLayer;
use tower_keep::{Error, ReadSession, Session};
use tower_keep_testkit::{Fault, Script, Verb};

/// Who catches the panic.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Catch {
    /// A layer inside of the session layer, which answers 500.
    Inside,
    /// The same, but it answers 200.
    Smiling,
    /// A layer outside of the session layer.
    Outside,
    /// The server: the connection's task ends.
    Nobody,
}

const CATCHES: [Catch; 4] = [Catch::Inside, Catch::Smiling, Catch::Outside, Catch::Nobody];

fn smile(_: Box<dyn Any + Send>) -> Response {
    "all is well".into_response()
}

/// Holds the session while the handler runs, and has steps of its own around it.
async fn guard(session: Session, request: Request, next: Next) -> Response {
    let mark = Mark::of(request.extensions());
    mark.step().await;
    let answer = next.run(request).await;
    mark.step().await;
    drop(session);
    answer
}

fn app(stored: &Stored, catch: Catch, routes: Router) -> App {
    let app = match catch {
        Catch::Inside => routes.layer(CatchPanicLayer::new()),
        Catch::Smiling => routes.layer(CatchPanicLayer::custom(smile)),
        Catch::Outside | Catch::Nobody => routes,
    };
    let app = app.layer(stored.layer());
    BoxCloneService::new(match catch {
        Catch::Outside => app.layer(CatchPanicLayer::new()),
        _ => app,
    })
}

/// Sends the request; `None` if nobody answers it.
async fn send(app: &App, path: &str, cookie: Option<&str>, mark: &Mark) -> Option<Response> {
    let answer = tokio::spawn(app.clone().oneshot(request(path, cookie, mark)));
    answer.await.ok().map(Result::unwrap)
}

/// Panics at each step of the handler in turn.
async fn at_every_step(catch: Catch, guarded: bool, path: &str, cookie: bool, local: bool) {
    let case = format!("{catch:?} guarded={guarded} {path} cookie={cookie} local={local}");
    for step in 0.. {
        let case = format!("{case} step={step}");
        let stored = Stored::new(local).await;
        let before = stored.settled().await;
        let routes = if guarded {
            routes().layer(from_fn(guard))
        } else {
            routes()
        };
        let app = app(&stored, catch, routes);
        let mark = Mark::panicking_at(step);
        let cookie = cookie.then_some(stored.cookie.as_str());
        let answer = send(&app, path, cookie, &mark).await;
        let panicked = mark.has_panicked();
        match &answer {
            None => assert!(panicked && catch == Catch::Nobody, "{case}"),
            Some(answer) if panicked && catch != Catch::Smiling => {
                assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR, "{case}");
            }
            Some(answer) => assert_eq!(answer.status(), StatusCode::OK, "{case}"),
        }
        if !panicked {
            assert!(step >= 2, "{case}: the handler must have steps");
            return;
        }
        // What was committed early, and with success, stays committed.
        let early = path.starts_with("/early") && mark.is_done();
        let after = stored.settled().await;
        let cookie = answer.as_ref().and_then(new_cookie);
        if early {
            assert_eq!(after.version, before.version + 1, "{case}");
            let inside = matches!(catch, Catch::Inside | Catch::Smiling);
            assert_eq!(cookie.is_some(), inside && path == "/early-login", "{case}");
        } else {
            assert_eq!(after, before, "{case}");
            assert_eq!(cookie, None, "{case}");
        }
        assert_eq!(stored.memory.len(), 1, "{case}: nothing was created");
        if after.secret == before.secret {
            let next = send(&app, "/increment", Some(&stored.cookie), &Mark::default()).await;
            assert_eq!(next.unwrap().status(), StatusCode::OK, "{case}");
            assert_eq!(stored.settled().await.version, after.version + 1, "{case}");
        }
    }
}

#[test]
fn a_panic_at_any_step_saves_nothing() {
    hide_planned_panics();
    let paths = [
        "/increment",
        "/login",
        "/logout",
        "/replace",
        "/early",
        "/early-login",
        "/upgrade",
    ];
    for catch in CATCHES {
        for guarded in [false, true] {
            for local in [true, false] {
                for path in paths {
                    paused(at_every_step(catch, guarded, path, true, local));
                }
                paused(at_every_step(catch, guarded, "/increment", false, local));
            }
        }
    }
}

struct Bomb;

impl Serialize for Bomb {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("{PLANNED}");
    }
}

#[test]
fn a_panic_while_a_value_is_serialised_saves_nothing() {
    async fn explode(session: Session) -> Result<(), Error> {
        session.increment("n", 1)?;
        session.insert_all([("a", 1), ("b", 2)])?;
        session.insert("bomb", &Bomb)
    }

    hide_planned_panics();
    for catch in CATCHES {
        in_both(async |stored| {
            let explosive = Router::new().route("/", get(explode));
            let app = app(&stored, catch, explosive.merge(routes()));
            let before = stored.settled().await;
            send(&app, "/", Some(&stored.cookie), &Mark::default()).await;
            assert_eq!(stored.settled().await, before, "{catch:?}");
            let next = send(&app, "/increment", Some(&stored.cookie), &Mark::default()).await;
            assert_eq!(next.unwrap().status(), StatusCode::OK, "{catch:?}");
        });
    }
}

#[test]
fn a_handler_that_catches_such_a_panic_itself_may_go_on() {
    async fn careful(session: Session) -> Result<(), Error> {
        session.increment("n", 1)?;
        let insert = std::panic::AssertUnwindSafe(|| session.insert("bomb", &Bomb));
        assert!(std::panic::catch_unwind(insert).is_err());
        session.increment("n", 1).map(drop)
    }

    hide_planned_panics();
    in_both(async |stored| {
        let app = Router::new().route("/", get(careful)).layer(stored.layer());
        assert_eq!(stored.get(&app, "/").await.status(), StatusCode::OK);
        let after = stored.settled().await;
        assert_eq!((after.n, after.version), (Some(3), 2));
    });
}

#[test]
fn a_panic_in_the_layers_own_callbacks_discards() {
    hide_planned_panics();
    in_both(async |stored| {
        let layer = stored.builder().commit_when(|_| panic!("{PLANNED}"));
        let layer = layer.build().unwrap();
        let app = BoxCloneService::new(routes().layer(layer));
        let before = stored.settled().await;
        let answer = send(&app, "/login", Some(&stored.cookie), &Mark::default()).await;
        assert!(answer.is_none());
        assert_eq!(stored.settled().await, before);
    });
}

/// A panic of the store is an outage: 503, and nothing is saved.
#[test]
fn a_store_that_panics_is_a_store_that_fails() {
    async fn read(_session: ReadSession) {}
    for (verb, path, cookie) in [
        (Verb::Open, "/peek", true),
        (Verb::Open, "/increment", true),
        (Verb::Finish, "/increment", true),
        (Verb::Finish, "/login", true),
        (Verb::Finish, "/early-login", true),
        (Verb::Finish, "/replace", true),
        (Verb::Create, "/increment", false),
    ] {
        paused(async {
            let stored = Stored::new(false).await;
            let before = stored.settled().await;
            let app = app(&stored, Catch::Nobody, routes().route("/peek", get(read)));
            let script = Script::new().every_of(verb, Fault::Panic);
            stored.faults.set_script(script);
            let cookie = cookie.then_some(stored.cookie.as_str());
            let answer = send(&app, path, cookie, &Mark::default()).await.unwrap();
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
            assert_eq!(new_cookie(&answer), None, "{path}");
            stored.faults.set_script(Script::new());
            // At the latest the lease ends it.
            tokio::time::sleep(std::time::Duration::from_secs(11)).await;
            let next = send(&app, "/increment", Some(&stored.cookie), &Mark::default()).await;
            assert_eq!(next.unwrap().status(), StatusCode::OK, "{path}");
            let after = stored.settled().await;
            assert_eq!(after.version, before.version + 1, "{path}");
            assert_eq!(after.secret, before.secret, "{path}");
            let live = |id: &_| {
                let record = stored.memory.record(*id);
                record.is_some_and(|record| record.gone_at.is_none())
            };
            // What was created in the place of a session that could not be ended is ended itself.
            assert_eq!(
                stored.memory.ids().iter().filter(|id| live(id)).count(),
                1,
                "{path}"
            );
        });
    }

    hide_planned_panics();
}
