//! The cookie on the wire (A19, A23, A25, A27).

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
use common::{Backend, COOKIE, Client, Gates, MINUTE, app};
use http::header::{CACHE_CONTROL, SET_COOKIE, VARY};
use http::{HeaderValue, Request, StatusCode};
use tower_keep::cookie::{CookieConfig, SameSite};
use tower_keep::{LayerConfigError, MemoryStore, Session, SessionLayer, StoreErrorKind};
use tower_keep_testkit::{Fault, Script, TestResponse, Verb};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn max_age(answer: &TestResponse) -> Option<u64> {
    let cookie = answer.set_cookies().pop().unwrap();
    let attribute = cookie
        .split("; ")
        .find_map(|part| part.strip_prefix("Max-Age="));
    attribute.map(|seconds| seconds.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a19_max_age_is_the_time_to_the_absolute_deadline() {
    for backend in Backend::both() {
        let client = backend.client(app(Gates::default()));
        assert_eq!(max_age(&client.get("/add").await), Some(86_400));
        // A rotation does not move the deadline; the cookie has what is left.
        backend.clock.advance(60 * MINUTE);
        assert_eq!(
            max_age(&client.get("/rotate").await),
            Some(23 * 3_600),
            "{}",
            backend.name
        );
        // A login does.
        assert_eq!(
            max_age(&client.get("/login/ann").await),
            Some(86_400),
            "{}",
            backend.name
        );

        let long = backend
            .layer()
            .absolute_timeout(500 * DAY)
            .idle_timeout(500 * DAY);
        let client = backend.client_of(app(Gates::default()), long);
        assert_eq!(max_age(&client.get("/add").await), Some(400 * 86_400));
    }
}

#[tokio::test(start_paused = true)]
async fn a19_expire_on_close_sends_no_max_age() {
    for backend in Backend::both() {
        let cookie = CookieConfig::new().expire_on_close(true);
        let client = backend.client_of(app(Gates::default()), backend.layer().cookie(cookie));
        for path in ["/add", "/rotate", "/login/ann"] {
            let answer = client.get(path).await;
            assert_eq!(max_age(&answer), None, "{path}");
            assert!(!answer.set_cookies()[0].contains("Expires"), "{path}");
        }
        // The server's own deadlines hold all the same.
        backend.clock.advance(DAY);
        assert_eq!(client.get("/who").await.text(), "nobody 0 Expired");
    }
}

#[tokio::test(start_paused = true)]
async fn a23_every_cookie_option_reaches_the_wire() {
    for (config, expected) in [
        (
            CookieConfig::new(),
            "__Host-id=…; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=86400",
        ),
        (
            CookieConfig::dev_http(),
            "id=…; Path=/; HttpOnly; SameSite=Lax; Max-Age=86400",
        ),
        (
            CookieConfig::new()
                .name("a")
                .path("/app")
                .domain("example.com")
                .http_only(false),
            "a=…; Path=/app; Domain=example.com; Secure; SameSite=Lax; Max-Age=86400",
        ),
        (
            CookieConfig::new()
                .name("__Secure-a")
                .same_site(SameSite::None)
                .partitioned(true),
            "__Secure-a=…; Path=/; Secure; HttpOnly; SameSite=None; Partitioned; Max-Age=86400",
        ),
        (
            CookieConfig::new()
                .same_site(SameSite::Strict)
                .expire_on_close(true),
            "__Host-id=…; Path=/; Secure; HttpOnly; SameSite=Strict",
        ),
    ] {
        let backend = Backend::local();
        let layer = backend.layer().cookie(config);
        let answer = backend
            .client_of(app(Gates::default()), layer)
            .get("/add")
            .await;
        let cookie = answer.set_cookies().pop().unwrap();
        let (name, rest) = cookie.split_once('=').unwrap();
        let (value, attributes) = rest.split_once(';').unwrap();
        assert_eq!(value.len(), 64);
        assert_eq!(format!("{name}=…;{attributes}"), expected);
    }
}

#[test]
fn a23_wrong_combinations_are_a_build_error_with_the_reason() {
    let wrong = [
        (CookieConfig::new().secure(false), "secure"),
        (CookieConfig::new().path("/app"), "path"),
        (CookieConfig::new().domain("example.com"), "domain"),
        (
            CookieConfig::dev_http().same_site(SameSite::None),
            "SameSite=None",
        ),
        (CookieConfig::dev_http().partitioned(true), "partitioned"),
        (CookieConfig::new().name("a b"), "a b"),
    ];
    for (config, reason) in wrong {
        let built = SessionLayer::builder(MemoryStore::new())
            .cookie(config)
            .build();
        let error = built.unwrap_err();
        assert!(matches!(error, LayerConfigError::Cookie(_)));
        assert!(error.to_string().contains(reason), "{error}");
    }
    let prefix = SessionLayer::builder(MemoryStore::new())
        .token_prefix("a;b")
        .build();
    assert!(matches!(prefix, Err(LayerConfigError::TokenPrefix)));
}

fn values(answer: &TestResponse, name: http::HeaderName) -> Vec<&str> {
    let values = answer.headers().get_all(name).into_iter();
    values
        .map(|value: &HeaderValue| value.to_str().unwrap())
        .collect()
}

/// The app's own header fields of a response that also gets the session's cookie.
#[tokio::test(start_paused = true)]
async fn a25_headers_of_the_app_are_kept_and_no_store_is_made_sure_of() {
    for (own, expected) in [
        ("public, max-age=600", "no-store"),
        ("private", "no-store"),
        ("private, no-store", "private, no-store"),
        ("No-Store", "No-Store"),
        ("no-storage", "no-store"),
        ("ext=\"no-store\"", "no-store"),
    ] {
        let page = async move |session: Session| {
            session.increment("n", 1).unwrap();
            let fields = [
                (CACHE_CONTROL, own),
                (SET_COOKIE, "theme=dark; Path=/"),
                (VARY, "Accept-Encoding"),
            ];
            (fields, "page")
        };
        for backend in Backend::both() {
            let client = backend.client(Router::new().route("/", get(page)));
            let first = client.get("/").await;
            assert_eq!(values(&first, CACHE_CONTROL), [expected], "{own}");
            assert_eq!(values(&first, VARY), ["Accept-Encoding", "Cookie"]);
            assert_eq!(first.set_cookies()[0], "theme=dark; Path=/");
            assert_eq!(first.set_cookies().len(), 2);
            assert_eq!(first.text(), "page");
            // No cookie this time, so caching is the app's affair; but it depends on the cookie.
            let second = client.get("/").await;
            assert_eq!(values(&second, CACHE_CONTROL), [own]);
            assert_eq!(values(&second, VARY), ["Accept-Encoding", "Cookie"]);
            assert_eq!(
                second.set_cookies(),
                ["theme=dark; Path=/"],
                "{}",
                backend.name
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a25_vary_on_every_response_whose_request_tried_to_open() {
    for backend in Backend::both() {
        let gates = Gates::default();
        gates.at("open").open();
        let client = backend.client(app(gates));
        for (path, varies) in [
            ("/n", true),
            ("/add", true),
            ("/add", true),
            ("/fail", true),
            ("/late/open/who", true),
            ("/nothing", false),
            ("/missing", false),
            ("/logout", true),
        ] {
            let answer = client.get(path).await;
            let vary = values(&answer, VARY) == ["Cookie"];
            assert_eq!(vary, varies, "{} {path}", backend.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a25_vary_on_a_response_whose_request_could_not_open() {
    let backend = Backend::remote();
    let client = backend.client(app(Gates::default()));
    client.get("/add").await;
    let fault = Fault::Fail(StoreErrorKind::Unavailable);
    backend
        .faults
        .set_script(Script::new().every_of(Verb::Open, fault));
    for path in ["/n", "/add"] {
        let answer = client.get(path).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(values(&answer, VARY), ["Cookie"], "{path}");
    }
}

async fn get_with(client: &Client, path: &str, cookies: &[Vec<u8>]) -> TestResponse {
    let mut request = Request::get(path).body(Body::empty()).unwrap();
    for cookie in cookies {
        let value = HeaderValue::from_bytes(cookie).unwrap();
        request.headers_mut().append("cookie", value);
    }
    client.request(request).await
}

#[tokio::test(start_paused = true)]
async fn a27_the_cookie_is_found_among_others_and_in_several_fields() {
    for backend in Backend::both() {
        let client = backend.client(app(Gates::default()));
        client.get("/add").await;
        let own = format!("{COOKIE}={}", client.cookie(COOKIE).unwrap());
        let quoted = format!("{COOKIE}=\"{}\"", client.cookie(COOKIE).unwrap());
        let junk = [b"bad=\xff\xfe\xc3; ".as_slice(), own.as_bytes()].concat();
        for cookies in [
            vec![own.clone().into_bytes()],
            vec![quoted.into_bytes()],
            vec![format!("theme=dark; {own}; other=1").into_bytes()],
            vec![b"theme=dark".to_vec(), own.clone().into_bytes()],
            vec![own.clone().into_bytes(), own.clone().into_bytes()],
            vec![format!("{COOKIE}=; {own}").into_bytes()],
            vec![format!("{own}; {COOKIE}={}", "A".repeat(64)).into_bytes()],
            vec![junk],
        ] {
            let seen = get_with(&client, "/n", &cookies).await;
            assert_eq!(seen.text(), "1", "{} {cookies:?}", backend.name);
        }
        // Names are compared exactly.
        for name in ["__host-id", "__Host-id2", "id", "__Host_id"] {
            let other = own.replace(COOKIE, name).into_bytes();
            let seen = get_with(&client, "/who", &[other]).await;
            assert_eq!(seen.text(), "nobody 0 NoneSent", "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a27_two_live_sessions_are_none_and_no_cookie_is_sent() {
    for backend in Backend::both() {
        let client = backend.client(app(Gates::default()));
        let sessions = [0; 2].map(|_| client.fork());
        for session in &sessions {
            session.get("/add").await;
            session.get("/login/ann").await;
        }
        let [a, b] = sessions
            .each_ref()
            .map(|s| format!("{COOKIE}={}", s.cookie(COOKIE).unwrap()));
        for cookies in [vec![format!("{a}; {b}")], vec![b.clone(), a.clone()]] {
            let cookies: Vec<_> = cookies.into_iter().map(String::into_bytes).collect();
            let what = backend.name;
            let seen = get_with(&client, "/who", &cookies).await;
            assert_eq!(seen.text(), "nobody 0 Ambiguous", "{what}");
            // Which one it should write to is anybody's guess, so it writes to none and starts none.
            for path in ["/add", "/login/eve"] {
                let answer = get_with(&client, path, &cookies).await;
                assert_eq!(answer.status(), StatusCode::CONFLICT, "{what} {path}");
                assert!(answer.set_cookies().is_empty(), "{what} {path}");
            }
            let answer = get_with(&client, "/logout", &cookies).await;
            assert_eq!(answer.text(), "false", "{what}");
            assert!(answer.set_cookies().is_empty(), "{what}");
        }
        assert_eq!(backend.live().len(), 2);
        // With one of them gone the other is found, in any order.
        sessions[0].get("/logout").await;
        backend.clock.advance(MINUTE);
        for cookies in [format!("{a}; {b}"), format!("{b}; {a}")] {
            let seen = get_with(&client, "/who", &[cookies.into_bytes()]).await;
            assert_eq!(seen.text(), "ann 1", "{}", backend.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a27_at_most_four_candidates_are_looked_at_and_none_is_locked() {
    let backend = Backend::remote();
    let client = backend.client(app(Gates::default()));
    client.get("/add").await;
    let own = format!("{COOKIE}={}", client.cookie(COOKIE).unwrap());
    let others: Vec<_> = (0..6)
        .map(|_| {
            let id = tower_keep::SessionId::new(tower_keep::Timestamp::from_millis(1));
            let secret = tower_keep::core::Secret::generate().unwrap();
            let token = tower_keep::core::Token::new(id, secret);
            format!("{COOKIE}={}", token.encode(""))
        })
        .collect();
    backend.faults.calls().clear();
    let many = format!("{}; {own}", others.join("; "));
    let seen = get_with(&client, "/who", &[many.into_bytes()]).await;
    assert_eq!(seen.text(), "nobody 0 Absent");
    assert_eq!(backend.faults.calls().total(), 4);
    // Looking does not lock: the one that is live is locked once it is known.
    backend.faults.calls().clear();
    let three = format!("{}; {own}", others[..2].join("; "));
    assert_eq!(
        get_with(&client, "/add", &[three.into_bytes()])
            .await
            .text(),
        "2"
    );
    let log = backend.faults.calls().log();
    let verbs: Vec<_> = log.iter().map(|call| call.verb).collect();
    assert_eq!(
        verbs,
        [Verb::Open, Verb::Open, Verb::Open, Verb::Open, Verb::Finish]
    );
}

/// Both cookies come with every request, so an error would lock the visitor out.
#[tokio::test(start_paused = true)]
async fn a27_g5_a_damaged_session_among_several_is_passed_over() {
    let backend = Backend::remote();
    let client = backend.client(app(Gates::default()));
    let sessions = [0; 2].map(|_| client.fork());
    for session in &sessions {
        session.get("/add").await;
    }
    let [a, b] = sessions
        .each_ref()
        .map(|s| format!("{COOKIE}={}", s.cookie(COOKIE).unwrap()));
    let cookies = [format!("{a}; {b}").into_bytes()];
    let corrupt = |call| {
        let fault = Fault::Fail(StoreErrorKind::Corrupt);
        backend
            .faults
            .set_script(Script::new().nth_of(Verb::Open, call, fault));
    };
    for call in [1, 2] {
        corrupt(call);
        let seen = get_with(&client, "/who", &cookies).await;
        assert_eq!(
            (seen.status(), seen.text()),
            (StatusCode::OK, "nobody 1".into())
        );
    }
    // An outage is something else.
    let fault = Fault::Fail(StoreErrorKind::Unavailable);
    backend
        .faults
        .set_script(Script::new().nth_of(Verb::Open, 2, fault));
    let seen = get_with(&client, "/who", &cookies).await;
    assert_eq!(seen.status(), StatusCode::SERVICE_UNAVAILABLE);
}
