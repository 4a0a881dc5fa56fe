//! A29: tokens in header fields.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue};
use axum::routing::get;
use common::{Backend, Client, Gates, app};
use http::header::{CACHE_CONTROL, SET_COOKIE, VARY};
use http::{Request, StatusCode};
use tower_keep::cookie::{CookieConfig, CookiePolicy};
use tower_keep::core::Token;
use tower_keep::{
    Error, HeaderTransport, Keyed, LayerConfigError, Session, SessionHandle, SessionLayerBuilder,
    StoreErrorKind, Transport, TransportError,
};
use tower_keep_testkit::{Fault, Script, TestResponse, Verb};

/// A program that keeps its token as `HeaderTransport` tells it to.
struct Api {
    client: Client,
    /// The request's field, what is in front of the token there, and the response's field.
    fields: (&'static str, &'static str, &'static str),
    token: Mutex<Option<String>>,
}

const BEARER: (&str, &str, &str) = ("authorization", "Bearer ", "x-session-token");
const HEADER: (&str, &str, &str) = ("x-auth-token", "", "x-auth-token");

impl Api {
    fn new(client: Client, fields: (&'static str, &'static str, &'static str)) -> Self {
        let token = Mutex::default();
        Self {
            client,
            fields,
            token,
        }
    }

    fn token(&self) -> Option<String> {
        self.token.lock().unwrap().clone()
    }

    async fn get(&self, path: &str) -> TestResponse {
        let value = self
            .token()
            .map(|token| format!("{}{token}", self.fields.1));
        let values: Vec<_> = value.iter().map(String::as_bytes).collect();
        let answer = self.send(path, &values).await;
        if let Some(new) = answer.headers().get(self.fields.2) {
            let new = new.to_str().unwrap().to_owned();
            *self.token.lock().unwrap() = Some(new).filter(|new| !new.is_empty());
        }
        answer
    }

    async fn send(&self, path: &str, values: &[&[u8]]) -> TestResponse {
        let mut request = Request::builder().uri(path);
        for value in values {
            request = request.header(self.fields.0, HeaderValue::from_bytes(value).unwrap());
        }
        self.client
            .request(request.body(Body::empty()).unwrap())
            .await
    }

    /// How many fields of the answer carry a token, or its removal.
    fn sent(&self, answer: &TestResponse) -> usize {
        assert_eq!(answer.header(SET_COOKIE), None);
        answer.headers().get_all(self.fields.2).iter().count()
    }
}

fn transports() -> [(HeaderTransport, (&'static str, &'static str, &'static str)); 2] {
    [
        (Transport::bearer(), BEARER),
        (Transport::header("X-Auth-Token"), HEADER),
    ]
}

/// Every transport over every sort of store.
fn apis(
    routes: impl Fn() -> Router,
    more: impl Fn(SessionLayerBuilder) -> SessionLayerBuilder,
) -> Vec<(Api, Backend)> {
    let mut apis = Vec::new();
    for new in [Backend::local, Backend::remote] {
        for (transport, fields) in transports() {
            let backend = new();
            let layer = more(backend.layer().transport(transport));
            let client = backend.client_of(routes(), layer);
            apis.push((Api::new(client, fields), backend));
        }
    }
    apis
}

#[tokio::test(start_paused = true)]
async fn a29_a_header_does_what_a_cookie_does() {
    for (api, backend) in apis(|| app(Gates::default()), |layer| layer) {
        let what = (backend.name, api.fields.0);
        for (path, text, sent) in [
            ("/nothing", "nothing", 0),
            ("/who", "nobody 0 NoneSent", 0),
            ("/add", "1", 1),
            ("/add", "2", 0),
            ("/n", "2", 0),
            ("/login/ann", "", 1),
            ("/who", "ann 2", 0),
            ("/rotate", "", 1),
            ("/fail", "", 0),
            ("/add", "3", 0),
            ("/logout", "true", 1),
            ("/who", "nobody 0 NoneSent", 0),
            ("/add", "1", 1),
        ] {
            let answer = api.get(path).await;
            assert_eq!(answer.text(), text, "{what:?} {path}");
            assert_eq!(api.sent(&answer), sent, "{what:?} {path}");
            let no_store = answer.header(CACHE_CONTROL) == Some("no-store");
            assert_eq!(no_store, sent == 1, "{what:?} {path}");
            // A29: what the answer depends on is the field, not the cookies.
            let varies = (path != "/nothing").then_some(api.fields.0);
            assert_eq!(answer.header(VARY), varies, "{what:?} {path}");
        }
        assert_eq!(backend.live().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a29_the_old_token_is_worth_nothing_after_a_login() {
    for (api, backend) in apis(|| app(Gates::default()), |layer| layer) {
        api.get("/add").await;
        let before = format!("{}{}", api.fields.1, api.token().unwrap());
        api.get("/login/ann").await;
        backend.clock.advance(common::MINUTE);
        let answer = api.send("/who", &[before.as_bytes()]).await;
        assert_eq!(answer.text(), "nobody 0 Absent");
        assert_eq!(api.get("/who").await.text(), "ann 1");
    }
}

#[tokio::test(start_paused = true)]
async fn a29_tokens_are_marked_sensitive_and_removal_is_an_empty_value() {
    for (api, _) in apis(|| app(Gates::default()), |layer| layer) {
        let field = HeaderName::from_static(api.fields.2);
        let new = api.get("/login/ann").await.headers()[&field].clone();
        assert!(new.is_sensitive());
        assert_eq!(new.len(), 64);
        let removed = api.get("/logout").await.headers()[&field].clone();
        assert_eq!(removed, "");
        assert_eq!(api.token(), None);
        // An empty one that is sent back all the same is none.
        let empty = api.fields.1.as_bytes();
        assert_eq!(api.send("/who", &[empty]).await.text(), "nobody 0 NoneSent");
    }
}

#[tokio::test(start_paused = true)]
async fn a29_the_policy_decides_when_the_token_is_sent() {
    let always =
        |layer: SessionLayerBuilder| layer.cookie(CookieConfig::new().policy(CookiePolicy::Always));
    for (api, _) in apis(|| app(Gates::default()), always) {
        for (path, sent) in [
            ("/add", 1),
            ("/add", 1),
            ("/n", 0),
            ("/fail", 0),
            ("/rotate", 1),
        ] {
            let before = api.token();
            let answer = api.get(path).await;
            assert_eq!(api.sent(&answer), sent, "{path}");
            if path == "/add" && before.is_some() {
                assert_eq!(api.token(), before, "the same again");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a29_what_was_not_committed_is_not_sent() {
    // A handler that sets the field itself, as only the layer may.
    let forge = async |session: Session| {
        session.increment("n", 1)?;
        let fields = [BEARER.2, HEADER.2].map(|name| (name, "forged"));
        Ok::<_, Error>((axum::response::AppendHeaders(fields), "done"))
    };
    let backend = Backend::remote();
    for (transport, fields) in transports() {
        let routes = app(Gates::default()).route("/forge", get(forge));
        let client = backend.client_of(routes, backend.layer().transport(transport));
        let api = Api::new(client, fields);
        api.get("/add").await;
        let fault = Fault::Fail(StoreErrorKind::Full);
        let script = Script::new().every_of(Verb::Finish, fault);
        backend.faults.set_script(script);
        let answer = api.get("/forge").await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(api.sent(&answer), 0);
        backend.faults.set_script(Script::new());
        assert_eq!(api.token().unwrap().len(), 64);
    }
}

#[tokio::test(start_paused = true)]
async fn a29_the_token_of_an_early_commit_goes_out_whatever_the_status() {
    let early = async |session: Session| {
        session.increment("n", 1)?;
        session.commit().await?;
        Ok::<_, Error>(StatusCode::INTERNAL_SERVER_ERROR)
    };
    let routes = || app(Gates::default()).route("/early", get(early));
    for (api, _) in apis(routes, |layer| layer) {
        let answer = api.get("/early").await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(api.sent(&answer), 1);
        assert_eq!(api.get("/n").await.text(), "1");
    }
}

#[tokio::test(start_paused = true)]
async fn a29_several_values_are_as_several_cookies() {
    for (api, backend) in apis(|| app(Gates::default()), |layer| layer) {
        api.get("/add").await;
        let one = format!("{}{}", api.fields.1, api.token().unwrap());
        *api.token.lock().unwrap() = None;
        api.get("/add").await;
        let two = format!("{}{}", api.fields.1, api.token().unwrap());
        let junk = |n: usize| format!("{}junk-{n}", api.fields.1);
        let what = (backend.name, api.fields.0);
        for (fields, text) in [
            (vec![one.clone()], "1"),
            (vec![one.clone(), one.clone()], "1"),
            (vec![format!("{one}, {one}")], "1"),
            (vec![junk(1), junk(2), junk(3), one.clone()], "1"),
            (vec![junk(1), junk(2), junk(3), junk(4), one.clone()], "0"),
            // Two that are live are none.
            (vec![one.clone(), two.clone()], "0"),
            (vec![format!("{one},{two}")], "0"),
        ] {
            let values: Vec<_> = fields.iter().map(String::as_bytes).collect();
            let answer = api.send("/n", &values).await;
            assert_eq!(answer.text(), text, "{what:?} {}", values.len());
        }
        let both = [one.as_bytes(), two.as_bytes()];
        let refused = api.send("/add", &both).await;
        assert_eq!(refused.status(), StatusCode::CONFLICT);
        assert_eq!(api.sent(&refused), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a29_malformed_values_are_no_session_and_never_a_500() {
    for (api, backend) in apis(|| app(Gates::default()), |layer| layer) {
        api.get("/add").await;
        let token = api.token().unwrap();
        backend.faults.calls().clear();
        let bad: Vec<Vec<u8>> = [
            String::new(),
            "x".into(),
            token[..63].into(),
            format!("{token}A"),
            format!("{token}="),
            format!("\"{token}\""),
            format!("{} {}", &token[..32], &token[32..]),
            "A".repeat(64),
            "=".repeat(10_000),
        ]
        .map(|text: String| format!("{}{text}", api.fields.1).into_bytes())
        .into_iter()
        .chain([
            b"\xff\xfe".to_vec(),
            b"Basic dTpw".to_vec(),
            b"Bearer".to_vec(),
        ])
        .collect();
        for value in bad {
            for path in ["/n", "/who", "/logout"] {
                let answer = api.send(path, &[&value]).await;
                assert_eq!(answer.status(), StatusCode::OK, "{value:?}");
            }
        }
        assert_eq!(backend.faults.calls().total(), 0, "none is worth a call");
        // The scheme is part of it.
        if api.fields == BEARER {
            let answer = api.send("/who", &[token.as_bytes()]).await;
            assert_eq!(answer.text(), "nobody 0 NoneSent");
        }
        // Nor is a cookie a token here.
        let cookie = Request::builder()
            .uri("/who")
            .header("cookie", format!("__Host-id={token}"));
        let answer = api
            .client
            .request(cookie.body(Body::empty()).unwrap())
            .await;
        assert_eq!(answer.text(), "nobody 0 NoneSent");
    }
}

#[tokio::test(start_paused = true)]
async fn a29_handles_and_sessions_without_a_request_take_the_token() {
    let beside = async |handle: SessionHandle| {
        handle
            .write(async |session| session.increment("n", 10))
            .await
            .map(|n| n.to_string())
    };
    let backend = Backend::remote();
    let layer = backend
        .layer()
        .transport(Transport::bearer())
        .build()
        .unwrap();
    let sessions = layer.sessions();
    let routes = app(Gates::default())
        .route("/later", get(beside))
        .layer(layer);
    let api = Api::new(Client::with_body(routes), BEARER);
    let started = sessions.create(Some("ann"), [("n", 1)]).await.unwrap();
    *api.token.lock().unwrap() = Some(started.token.clone());
    assert_eq!(api.get("/who").await.text(), "ann 1");
    assert_eq!(api.get("/later").await.text(), "11");
    let read = sessions.open(&started.token).read().await.unwrap();
    assert_eq!(read.get::<i64>("n").unwrap(), Some(11));
    assert_eq!(
        Token::parse(started.token.as_bytes(), "").unwrap().id(),
        started.id
    );
}

#[tokio::test(start_paused = true)]
async fn a29_browsers_and_programs_on_the_same_routes() {
    struct Browser;
    let who = async |api: Keyed<(), Session>, browser: Keyed<Browser, Session>| {
        let (one, two) = (api.increment("n", 1)?, browser.increment("n", 10)?);
        Ok::<_, Error>(format!("{one} {two}"))
    };
    let backend = Backend::local();
    let inner = backend.layer().transport(Transport::bearer()).key::<()>();
    let outer = backend.layer().key::<Browser>();
    let routes = Router::new()
        .route("/", get(who))
        .layer(inner.build().unwrap());
    let api = Api::new(backend.client_of(routes, outer), BEARER);
    let first = api.get("/").await;
    assert_eq!(
        (first.text().as_str(), first.set_cookies().len()),
        ("1 10", 1)
    );
    let vary: Vec<_> = first.headers().get_all(VARY).iter().collect();
    assert_eq!(vary, ["authorization", "Cookie"]);
    *api.token.lock().unwrap() = None;
    // The browser's cookie is still in the jar.
    assert_eq!(api.get("/").await.text(), "1 20");
}

#[test]
fn a29_what_cannot_work_is_a_build_error() {
    let build = |transport: HeaderTransport, cookie: CookieConfig| {
        let layer = Backend::local().layer().transport(transport).cookie(cookie);
        match layer.build().unwrap_err() {
            LayerConfigError::Transport(error) => error,
            other => panic!("{other}"),
        }
    };
    let new = CookieConfig::new;
    let name = || "x token".to_owned();
    let refused = build(Transport::header(name()), new());
    assert_eq!(refused, TransportError::InvalidHeader { name: name() });
    let refused = build(Transport::bearer().response_header("Set-Cookie"), new());
    assert!(refused.to_string().contains("Set-Cookie"));
    let refused = build(Transport::header("Authorization"), new());
    assert!(refused.to_string().contains("Transport::bearer()"));
    for cookie in [
        new().name("__Host-shop"),
        CookieConfig::dev_http(),
        new().expire_on_close(true),
    ] {
        let refused = build(Transport::bearer(), cookie);
        assert_eq!(refused, TransportError::CookieOptions);
    }
}
