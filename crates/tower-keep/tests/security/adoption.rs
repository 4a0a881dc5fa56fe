//! Session adoption: a session that the server did not start, by an id that a client made up.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, StatusCode};
use tower_keep::core::Token;
use tower_keep::{
    EagerLayer, Error, MergeSession, PreviousUrlLayer, ReadSession, Session, SessionHandle,
    SessionId, Timestamp, Transport,
};
use tower_keep_testkit::TestResponse;

use crate::common::{Backend, COOKIE, Client, Gates, MINUTE, app, id_of};
use crate::forged;

/// Every way to start a session, or to change one.
fn routes() -> Router {
    let merge = async |s: MergeSession| s.insert("n", &1);
    let upgrade = async |s: MergeSession| s.upgrade().await?.set_user("eve");
    let handle = async |handle: SessionHandle| -> Result<(), Error> {
        handle.write(async |s| s.insert("n", &1)).await
    };
    let early = async |s: Session| -> Result<(), Error> {
        s.insert("n", &1)?;
        s.commit().await
    };
    let optional = async |read: Option<ReadSession>, write: Option<Session>| {
        assert!(read.is_none() && write.is_none(), "something was opened");
    };
    app(Gates::default())
        .route("/flash", get(async |s: Session| s.flash("note", "hello")))
        .route("/form", get(async |s: Session| s.csrf_token()))
        .route("/again", get(async |s: Session| s.reauthenticate()))
        .route("/invalidate", get(async |s: Session| s.invalidate()))
        .route(
            "/remember",
            get(async |s: Session| s.set_user_remembered("eve")),
        )
        .route("/merge", get(merge))
        .route("/upgrade", get(upgrade))
        .route("/handle", get(handle))
        .route("/early", get(early))
        .route("/optional", get(optional))
        .layer(PreviousUrlLayer::new())
        .layer(EagerLayer::new())
}

const PATHS: [&str; 16] = [
    "/add",
    "/n",
    "/who",
    "/login/eve",
    "/rotate",
    "/logout",
    "/fail",
    "/flash",
    "/form",
    "/again",
    "/invalidate",
    "/merge",
    "/upgrade",
    "/handle",
    "/early",
    "/remember",
];

/// How a client sends its token, and where it gets a new one.
type Way = (&'static str, &'static str, &'static str);
const WAYS: [Way; 2] = [
    ("cookie", "__Host-id=", "set-cookie"),
    ("authorization", "Bearer ", "x-session-token"),
];

async fn send(client: &Client, way: Way, token: &str, path: &str) -> TestResponse {
    let client = client.fork();
    client.clear_cookies();
    let page = Request::get(path).header("sec-fetch-mode", "navigate");
    let request = page
        .header("sec-fetch-dest", "document")
        .header("accept", "text/html");
    let request = request.header(way.0, format!("{}{token}", way.1));
    client.request(request.body(Body::empty()).unwrap()).await
}

/// The token that an answer gives out, if it does.
fn given(answer: &TestResponse, way: Way) -> Option<Token> {
    let value = answer.header(way.2)?;
    let value = value.strip_prefix("__Host-id=").unwrap_or(value);
    let value = value.split(';').next().unwrap();
    (!value.is_empty()).then(|| Token::parse(value.as_bytes(), "").unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_made_up_id_is_adopted_by_nothing_that_opens_or_starts_a_session() {
    for new in [Backend::local, Backend::remote] {
        for way in WAYS {
            let backend = new();
            let victim = backend.client(app(Gates::default()));
            victim.get("/login/ann").await;
            victim.get("/add").await;
            backend.clock.advance(MINUTE);
            let before = backend.record(&victim);
            let layer = match way.0 {
                "cookie" => backend.layer(),
                _ => backend.layer().transport(Transport::bearer()),
            };
            let client = backend.client_of(routes(), layer);
            let unknown = SessionId::new(Timestamp::from_millis(1_700_000_000_000));
            for id in [unknown, id_of(&victim)] {
                for path in PATHS.into_iter().chain(["/optional"]) {
                    let what = format!("{} {} {id} {path}", backend.name, way.0);
                    let token = forged(id);
                    let live = backend.live().len();
                    let answer = send(&client, way, &token, path).await;
                    assert!(!answer.text().contains("ann"), "{what}");
                    let started = given(&answer, way);
                    if let Some(started) = &started {
                        assert_ne!(started.id(), id, "{what}");
                        assert_ne!(started.encode("")[22..], token[22..], "{what}");
                    }
                    let more = usize::from(started.is_some());
                    assert_eq!(backend.live().len(), live + more, "{what}: {answer:?}");
                    assert!(backend.memory.record(unknown).is_none(), "{what}");
                    // What was made up is worth as little afterwards.
                    let seen = send(&client, way, &token, "/who").await;
                    assert_eq!(seen.text(), "nobody 0 Absent", "{what}");
                }
            }
            let after = backend.record(&victim);
            assert_eq!(after.to_bytes(), before.to_bytes(), "{}", backend.name);
        }
    }
}

/// The sessions of an app without a handler's help: by token, by id, as an administrator.
#[tokio::test(start_paused = true)]
async fn a_made_up_id_is_adopted_by_nothing_outside_of_requests() {
    for backend in Backend::both() {
        let layer = backend.layer().build().unwrap();
        let sessions = layer.sessions();
        let id = SessionId::new(Timestamp::from_millis(1_700_000_000_000));
        let handle = sessions.open(&forged(id));
        assert!(handle.read().await.unwrap().is_new());
        let write: Result<(), Error> = handle.write(async |s| s.insert("n", &1)).await;
        assert!(matches!(write, Err(Error::NeedsResponse)), "{write:?}");
        let merge: Result<(), Error> = handle.merge(async |s| s.insert("n", &1)).await;
        assert!(merge.is_err());
        let update = sessions.update(id, [("n", 1)]).await;
        assert!(matches!(update, Err(Error::NotFound)), "{update:?}");
        let extended = sessions.extend(id, MINUTE).await;
        assert!(matches!(extended, Err(Error::NotFound)), "{extended:?}");
        assert!(!sessions.destroy(id).await.unwrap());
        assert!(backend.memory.is_empty(), "{}", backend.name);
    }
}

/// What is not even well-formed: never an error, and never a call to the store.
#[tokio::test(start_paused = true)]
async fn what_is_no_token_reaches_no_store_and_breaks_no_page() {
    let backend = Backend::remote();
    let client = backend.client(app(Gates::default()));
    client.get("/login/ann").await;
    let own = client.cookie(COOKIE).unwrap();
    backend.faults.calls().clear();
    let id = id_of(&client).to_string();
    for value in [
        "",
        "null",
        "undefined",
        "0",
        "../../etc/passwd",
        "' OR 1=1 --",
        "{\"$gt\":\"\"}",
        &id,
        &own[..63],
        &own[1..],
        &format!("{own}A"),
        &format!("{own}="),
        &own.replace(['-', '_'], "+"),
        &"A".repeat(64),
        &"A".repeat(8_000),
    ] {
        if value == own {
            continue;
        }
        for path in ["/n", "/who", "/logout"] {
            let answer = send(&client, WAYS[0], value, path).await;
            assert_eq!(answer.status(), StatusCode::OK, "{value} {path}");
            assert!(!answer.text().contains("ann"), "{value} {path}");
        }
    }
    assert_eq!(backend.faults.calls().total(), 0);
}
