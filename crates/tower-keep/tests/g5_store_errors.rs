//! G5: a store error is not "no session". An outage is answered without a cookie and nothing is
//! overwritten; a damaged record is left as it is.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use common::{Backend, COOKIE, Client, Gates, app, id_of, settle, start};
use http::StatusCode;
use tower_keep::{MemoryStore, Session, SessionLayer, StoreErrorKind};
use tower_keep_testkit::{Fault, Gate, Script, TestClient, TestResponse, Verb};

/// What the documentation of `Error::status` says.
const KINDS: [(StoreErrorKind, StatusCode); 5] = [
    (StoreErrorKind::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
    (StoreErrorKind::Unsupported, StatusCode::SERVICE_UNAVAILABLE),
    (StoreErrorKind::Full, StatusCode::SERVICE_UNAVAILABLE),
    (StoreErrorKind::Closed, StatusCode::SERVICE_UNAVAILABLE),
    (StoreErrorKind::TooLarge, StatusCode::INTERNAL_SERVER_ERROR),
];

/// A visitor who counts 1 and is logged in, on a store that can fail.
async fn visitor() -> (Backend, Client) {
    let backend = Backend::remote();
    let client = backend.client(app(Gates::default()));
    client.get("/add").await;
    client.get("/login/ann").await;
    (backend, client)
}

fn assert_refused(answer: &TestResponse, status: StatusCode, what: &str) {
    assert_eq!(answer.status(), status, "{what}");
    assert!(answer.set_cookies().is_empty(), "{what}");
    let cache = answer.header("cache-control");
    assert_eq!(cache, Some("no-store"), "{what}");
}

/// The stored session is as it was, and works as soon as the store does.
async fn assert_unharmed(backend: &Backend, client: &Client, what: &str) {
    backend.faults.set_script(Script::new());
    assert_eq!(client.get("/who").await.text(), "ann 1", "{what}");
    let begin = tokio::time::Instant::now();
    assert_eq!(client.get("/add").await.text(), "2", "{what}");
    assert!(
        begin.elapsed() < Duration::from_millis(100),
        "{what}: the lock was stuck"
    );
    assert_eq!(backend.memory.len(), 1, "{what}");
}

#[tokio::test(start_paused = true)]
async fn g5_a_store_that_cannot_open_is_an_error_and_not_a_new_visitor() {
    for (kind, status) in KINDS {
        for path in ["/add", "/n", "/who", "/logout", "/login/eve", "/rotate"] {
            let what = format!("{kind:?} {path}");
            let (backend, client) = visitor().await;
            let fault = Fault::Fail(kind);
            backend
                .faults
                .set_script(Script::new().every_of(Verb::Open, fault));
            assert_refused(&client.get(path).await, status, &what);
            assert_unharmed(&backend, &client, &what).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g5_option_does_not_take_an_outage_for_no_session() {
    let optional = async |session: Option<Session>| session.is_some().to_string();
    let backend = Backend::remote();
    let client = backend.client(app(Gates::default()).route("/optional", get(optional)));
    client.get("/add").await;
    for (kind, status) in KINDS {
        let script = Script::new().every_of(Verb::Open, Fault::Fail(kind));
        backend.faults.set_script(script);
        assert_refused(&client.get("/optional").await, status, &format!("{kind:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn g5_a_store_that_cannot_finish() {
    for (kind, status) in KINDS {
        for path in ["/add", "/logout", "/login/eve", "/rotate"] {
            let what = format!("{kind:?} {path}");
            let (backend, client) = visitor().await;
            let fault = Fault::Fail(kind);
            backend
                .faults
                .set_script(Script::new().every_of(Verb::Finish, fault));
            assert_refused(&client.get(path).await, status, &what);
            backend.faults.set_script(Script::new());
            assert_eq!(client.get("/who").await.text(), "ann 1", "{what}");
            // Nobody could give back the lease; at the latest it ends by itself.
            backend.clock.advance(Duration::from_secs(10));
            assert_unharmed(&backend, &client, &what).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g5_a_store_that_cannot_create() {
    for (kind, status) in KINDS {
        let what = format!("{kind:?}");
        let backend = Backend::remote();
        let client = backend.client(app(Gates::default()));
        let fault = Fault::Fail(kind);
        backend
            .faults
            .set_script(Script::new().every_of(Verb::Create, fault));
        for path in ["/add", "/login/ann"] {
            assert_refused(&client.get(path).await, status, &what);
        }
        assert!(backend.memory.is_empty(), "{what}");
        backend.faults.set_script(Script::new());
        assert_eq!(client.get("/add").await.text(), "1", "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn g5_a_full_memory_store_is_503_and_sessions_that_exist_go_on() {
    let layer = SessionLayer::new(MemoryStore::with_capacity(1));
    let client: Client = TestClient::with_body(app(Gates::default()).layer(layer));
    assert_eq!(client.get("/add").await.text(), "1");
    let other = client.fork();
    other.clear_cookies();
    assert_refused(
        &other.get("/add").await,
        StatusCode::SERVICE_UNAVAILABLE,
        "full",
    );
    assert_eq!(other.get("/who").await.text(), "nobody 0 NoneSent");
    assert_eq!(client.get("/add").await.text(), "2");
}

#[tokio::test(start_paused = true)]
async fn g5_a_store_that_cannot_renew_disturbs_nobody() {
    for (kind, _) in KINDS {
        let backend = Backend::remote();
        let gates = Gates::default();
        let client = backend.client(app(gates.clone()));
        client.get("/add").await;
        let script = Script::new().every_of(Verb::Renew, Fault::Fail(kind));
        backend.faults.set_script(script);
        let holder = start(&client, "/hold/gate/add");
        gates.at("gate").arrived(1).await;
        tokio::time::sleep(Duration::from_secs(25)).await;
        assert!(backend.faults.calls().of(Verb::Renew) >= 5);
        gates.at("gate").open();
        assert_eq!(holder.await.unwrap().text(), "2");
    }
}

#[tokio::test(start_paused = true)]
async fn g5_a_lost_reply_of_a_commit_is_asked_again_and_applied_once() {
    let (backend, client) = visitor().await;
    let script = |verb| Script::new().nth_of(verb, 1, Fault::LoseReply);
    backend.faults.set_script(script(Verb::Finish));
    assert_eq!(client.get("/add").await.text(), "2");
    assert_eq!(client.get("/who").await.text(), "ann 2");

    let other = client.fork();
    other.clear_cookies();
    backend.faults.set_script(script(Verb::Create));
    let created = other.get("/add").await;
    assert_eq!(created.set_cookies().len(), 1);
    assert_eq!(backend.memory.len(), 2);
    assert_eq!(other.get("/n").await.text(), "1");

    // An open is not asked again for a client who could as well; its lease is given back.
    backend.faults.set_script(script(Verb::Open));
    assert_refused(
        &client.get("/add").await,
        StatusCode::SERVICE_UNAVAILABLE,
        "open",
    );
    settle().await;
    assert!(backend.record(&client).lease.is_none());
    assert_eq!(client.get("/add").await.text(), "3");
}

#[tokio::test(start_paused = true)]
async fn g5_a_store_that_panics_or_never_answers_is_503() {
    for verb in [Verb::Open, Verb::Finish, Verb::Create] {
        for fault in [Fault::Panic, Fault::DelayBefore(Gate::new())] {
            let what = format!("{verb:?} {fault:?}");
            let (backend, client) = visitor().await;
            if verb == Verb::Create {
                client.get("/logout").await;
            }
            backend
                .faults
                .set_script(Script::new().every_of(verb, fault));
            let answer = client.get("/add").await;
            assert_refused(&answer, StatusCode::SERVICE_UNAVAILABLE, &what);
            if verb != Verb::Create {
                backend.clock.advance(Duration::from_secs(10));
                assert_unharmed(&backend, &client, &what).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g5_a_corrupt_record_stays_and_the_visitor_goes_on() {
    let (backend, client) = visitor().await;
    let (id, before) = (id_of(&client), backend.record(&client));
    let fault = Fault::Fail(StoreErrorKind::Corrupt);
    backend
        .faults
        .set_script(Script::new().every_of(Verb::Open, fault));
    // It can be asked why there is no session; reading makes none and removes no cookie.
    let who = client.get("/who").await;
    assert_eq!(who.text(), "nobody 0 Corrupt");
    assert!(who.set_cookies().is_empty());
    let logout = client.get("/logout").await;
    assert_eq!(
        (logout.text(), logout.set_cookies()),
        ("false".into(), vec![])
    );
    // Writing starts another one.
    let add = client.get("/add").await;
    assert_eq!((add.status(), add.text()), (StatusCode::OK, "1".into()));
    assert_ne!(id_of(&client), id);
    let after = backend.memory.record(id).unwrap();
    assert_eq!(after.data.to_json(), before.data.to_json());
    assert_eq!(after.head.version, before.head.version);
    assert!(after.secret.matches(&before.secret) && after.gone_at.is_none());
}

/// A login that destroys the old session and starts a new one either does both or neither.
#[tokio::test(start_paused = true)]
async fn g5_a_failed_commit_of_destroy_and_write_leaves_the_old_session() {
    let again = async |session: Session| -> Result<(), tower_keep::Error> {
        session.destroy()?;
        session.insert("fresh", &true)
    };
    let backend = Backend::remote();
    let client = backend.client(app(Gates::default()).route("/again", get(again)));
    client.get("/add").await;
    let fault = Fault::Fail(StoreErrorKind::Full);
    backend
        .faults
        .set_script(Script::new().every_of(Verb::Create, fault));
    let answer = client.get("/again").await;
    assert_refused(&answer, StatusCode::SERVICE_UNAVAILABLE, "create");
    backend.faults.set_script(Script::new());
    assert_eq!(
        client.get("/n").await.text(),
        "1",
        "the commit failed, but not all of it"
    );
}

#[tokio::test(start_paused = true)]
async fn g5_a_failed_commit_keeps_the_headers_that_are_not_about_its_content() {
    let handler = async |session: Session| {
        session.rotate().unwrap();
        let headers = [
            ("access-control-allow-origin", "https://a.example"),
            ("content-language", "en"),
            ("etag", "\"1\""),
            ("cache-control", "max-age=60"),
            ("set-cookie", "theme=dark"),
        ];
        (headers, "secret page")
    };
    let (backend, client) = {
        let backend = Backend::remote();
        let routes: Router = app(Gates::default()).route("/page", get(handler));
        let client: Client =
            TestClient::<_, Body>::with_body(routes.layer(backend.layer().build().unwrap()));
        (backend, client)
    };
    client.get("/add").await;
    let fault = Fault::Fail(StoreErrorKind::Unavailable);
    backend
        .faults
        .set_script(Script::new().every_of(Verb::Finish, fault));
    let answer = client.get("/page").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!answer.text().contains("secret page"));
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("https://a.example")
    );
    assert_eq!(answer.set_cookies(), ["theme=dark"]);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(
        (answer.header("etag"), answer.header("content-language")),
        (None, None)
    );
    assert!(client.cookie(COOKIE).is_some());
}
