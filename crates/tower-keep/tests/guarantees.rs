//! G6 no adoption, G7 the cookie after the commit, G9 read committed, G10 untouched is free.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use axum::Router;
use axum::routing::get;
use common::http::{Connection, serve};
use common::{Backend, COOKIE, Gates, app, id_of, settle, start};
use http::StatusCode;
use tower_keep::cookie::{CookieConfig, CookiePolicy, SameSite};
use tower_keep::core::{Secret, Token};
use tower_keep::{ReadSession, Session, SessionId, Timestamp};
use tower_keep_testkit::{Fault, Gate, Rng, Script, Verb, seed_or};

#[tokio::test(start_paused = true)]
async fn g6_nothing_but_a_stored_matching_id_and_secret_opens() {
    for backend in Backend::both() {
        let victim = backend.client(app(Gates::default()));
        victim.get("/add").await;
        victim.get("/login/ann").await;
        // Out of the time in which the old secret is known to be an old one.
        backend.clock.advance(common::MINUTE);
        let other = backend.client(app(Gates::default()));
        other.get("/add").await;
        let (value, others) = (
            victim.cookie(COOKIE).unwrap(),
            other.cookie(COOKIE).unwrap(),
        );
        let secret = || Secret::generate().unwrap();
        let (flipped, last) = value.split_at(63);
        let flipped = format!("{flipped}{}", if last == "A" { "B" } else { "A" });
        let attempts = [
            // The id alone is public; neither a made-up secret nor another's opens it.
            Token::new(id_of(&victim), secret()).encode(""),
            format!("{}{}", &value[..22], &others[22..]),
            format!("{}{}", &others[..22], &value[22..]),
            flipped,
            // Ids that the server never gave out.
            Token::new(SessionId::new(Timestamp::from_millis(1)), secret()).encode(""),
            "A".repeat(64),
            "_".repeat(64),
            // Other spellings.
            value[..63].to_owned(),
            format!("{value}A"),
            format!("{value}="),
            format!("x{value}"),
            format!("keep_{value}"),
            value.replace(['-', '_'], "+"),
            value.to_lowercase(),
            value.chars().rev().collect(),
            format!("%{value}"),
            format!("{value}.{value}"),
            id_of(&victim).to_string(),
            "null".into(),
            String::new(),
        ];
        for attempt in attempts.into_iter().filter(|attempt| *attempt != value) {
            let attacker = victim.fork();
            attacker.set_cookie(COOKIE, &attempt);
            let seen = attacker.get("/who").await;
            assert_eq!(seen.status(), StatusCode::OK, "{attempt:?}");
            assert_eq!(seen.text(), "nobody 0 Absent", "{attempt:?}");
            // Written to, it becomes a session of the server's own choice.
            let written = attacker.get("/add").await;
            assert_eq!(written.text(), "1", "{attempt:?}");
            assert_ne!(attacker.cookie(COOKIE).unwrap(), attempt);
            let new = id_of(&attacker);
            let sent = Token::parse(attempt.as_bytes(), "").map(|token| token.id());
            assert!(
                sent.is_err() || sent.is_ok_and(|id| id != new),
                "adopted {attempt:?}"
            );
        }
        assert_eq!(victim.get("/who").await.text(), "ann 1", "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn g6_a15_the_token_prefix_is_part_of_the_token() {
    for backend in Backend::both() {
        let client = backend.client_of(
            app(Gates::default()),
            backend.layer().token_prefix("keep_sess_"),
        );
        client.get("/add").await;
        let value = client.cookie(COOKIE).unwrap();
        let bare = value.strip_prefix("keep_sess_").unwrap();
        assert_eq!(bare.len(), 64);
        assert!(
            bare.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        );
        assert_eq!(client.get("/add").await.text(), "2");
        for wrong in [
            bare.to_owned(),
            format!("keep_sess_{value}"),
            format!("KEEP_SESS_{bare}"),
            format!("keep_sess{bare}"),
            format!("keep_sess_ {bare}"),
        ] {
            let thief = client.fork();
            thief.set_cookie(COOKIE, &wrong);
            assert_eq!(thief.get("/who").await.text(), "nobody 0 Absent", "{wrong}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g7_the_response_waits_for_the_commit_that_its_cookie_stands_for() {
    for verb in [Verb::Finish, Verb::Create] {
        for before in [true, false] {
            let backend = Backend::remote();
            let client = backend.client(app(Gates::default()));
            if verb == Verb::Finish {
                client.get("/add").await;
            }
            let gate = Gate::new();
            let fault = if before {
                Fault::DelayBefore
            } else {
                Fault::DelayAfter
            };
            let script = Script::new().nth_of(verb, 1, fault(gate.clone()));
            backend.faults.set_script(script);
            let login = start(&client, "/login/ann");
            gate.arrived(1).await;
            settle().await;
            assert!(!login.is_finished(), "{verb:?}");
            gate.open();
            let login = login.await.unwrap();
            assert_eq!(login.set_cookies().len(), 1, "{verb:?}");
            assert_eq!(login.header("cache-control"), Some("no-store"));
            assert!(client.get("/who").await.text().starts_with("ann "));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g7_no_commit_no_cookie() {
    for backend in Backend::both() {
        let client = backend.client(app(Gates::default()));
        for path in [
            "/fail", "/n", "/who", "/nothing", "/logout", "/missing", "/rotate",
        ] {
            let answer = client.get(path).await;
            assert!(answer.set_cookies().is_empty(), "{} {path}", backend.name);
            assert_eq!(
                answer.header("cache-control"),
                None,
                "{} {path}",
                backend.name
            );
        }
        assert!(backend.memory.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn g7_a24_the_policy_decides_when_the_cookie_is_sent() {
    for backend in Backend::both() {
        for (policy, always) in [(CookiePolicy::OnChange, 0), (CookiePolicy::Always, 1)] {
            let layer = backend.layer().cookie(CookieConfig::new().policy(policy));
            let gates = Gates::default();
            gates.at("gate").open();
            let client = backend.client_of(app(gates), layer);
            for (path, sent) in [
                ("/n", 0),        // nothing there yet
                ("/add", 1),      // new
                ("/add", always), // changed
                ("/hold/gate/add", always),
                ("/n", 0), // a reader commits nothing
                ("/who", 0),
                ("/nothing", 0),
                ("/fail", 0),      // not committed
                ("/login/ann", 1), // rotated
                ("/rotate", 1),
                ("/late/gate/who", always), // opened to write and unchanged
                ("/logout", 1),             // removed
                ("/logout", 0),             // there is none to remove
            ] {
                let answer = client.get(path).await;
                let what = format!("{} {policy:?} {path}", backend.name);
                assert_eq!(answer.set_cookies().len(), sent, "{what}");
                let no_store = answer.header("cache-control") == Some("no-store");
                assert_eq!(no_store, sent == 1, "{what}");
            }
        }
    }
}

/// A reader that locks for somebody later in the request is still a reader.
#[tokio::test(start_paused = true)]
async fn g7_a24_always_is_never_from_a_read_session_even_if_it_locks() {
    for backend in Backend::both() {
        let cookie = CookieConfig::new().policy(CookiePolicy::Always);
        let layer = backend.layer().cookie(cookie).lock_for(|_| true);
        let client = backend.client_of(app(Gates::default()), layer);
        client.get("/add").await;
        let read = client.get("/n").await;
        assert_eq!(read.text(), "1");
        assert!(read.set_cookies().is_empty(), "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn g7_removal_uses_the_attributes_of_setting() {
    let attributes = |cookie: &str| -> Vec<String> {
        let parts = cookie.split("; ").skip(1);
        let timed = |part: &&str| !part.starts_with("Max-Age") && !part.starts_with("Expires");
        parts.filter(timed).map(str::to_owned).collect()
    };
    for config in [
        CookieConfig::new(),
        CookieConfig::dev_http(),
        CookieConfig::new()
            .same_site(SameSite::None)
            .partitioned(true),
        CookieConfig::new()
            .name("__Secure-a")
            .domain("example.com")
            .path("/app"),
        CookieConfig::new()
            .name("a")
            .http_only(false)
            .same_site(SameSite::Strict),
        CookieConfig::new().expire_on_close(true),
    ] {
        let backend = Backend::local();
        let layer = backend.layer().cookie(config.clone());
        let client = backend.client_of(Router::new().nest("/app", app(Gates::default())), layer);
        let set = client.get("/app/login/ann").await.set_cookies().remove(0);
        let removed = client.get("/app/logout").await.set_cookies().remove(0);
        assert_eq!(attributes(&set), attributes(&removed), "{config:?}");
        assert!(removed.contains("; Max-Age=0; "), "{removed}");
        let name = |cookie: &str| cookie.split('=').next().map(str::to_owned);
        assert_eq!(name(&set), name(&removed));
        assert!(
            removed.split(';').next().unwrap().ends_with('='),
            "{removed}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn g9_every_response_is_visible_to_every_request_that_starts_after_it() {
    for backend in Backend::both() {
        let seed = seed_or(9);
        let mut rng = Rng::new(seed);
        // Two processes, and in each of them readers and writers.
        let here = backend.client(app(Gates::default()));
        let there = backend.client(app(Gates::default()));
        let mut expected = 0;
        for round in 0..200 {
            let (writer, reader) = if rng.percent(50) {
                (&here, &there)
            } else {
                (&there, &here)
            };
            let path = *rng.pick(&["/add", "/add", "/rotate", "/fail"]).unwrap();
            let before = expected;
            expected += u64::from(path == "/add");
            let written = writer.get(path).await;
            for cookie in written.set_cookies() {
                let value = cookie.split([';', '=']).nth(1).unwrap();
                reader.set_cookie(COOKIE, value);
            }
            if path == "/add" {
                assert_eq!(written.text(), (before + 1).to_string());
            }
            let what = format!("{} seed {seed} round {round} {path}", backend.name);
            assert_eq!(
                reader.get("/n").await.text(),
                expected.to_string(),
                "{what}"
            );
            assert_eq!(
                writer.get("/n").await.text(),
                expected.to_string(),
                "{what}"
            );
        }
    }
}

#[tokio::test]
async fn g10_untouched_is_free() {
    use axum::response::IntoResponse;
    let page = async || {
        let headers = [
            ("cache-control", "public, max-age=60"),
            ("set-cookie", "theme=dark"),
            ("vary", "Accept"),
            ("etag", "\"1\""),
        ];
        (headers, "page")
    };
    let error = async || (StatusCode::INTERNAL_SERVER_ERROR, "oops").into_response();
    let touched = async |session: ReadSession| session.is_new().to_string();
    let written = async |session: Session| session.insert("a", &1);
    let routes = || {
        Router::new()
            .route("/page", get(page))
            .route("/error", get(error))
            .route("/static/touched", get(async || "static"))
    };
    let backend = Backend::remote();
    let layer = backend
        .layer()
        .skip(|head| head.uri.path().starts_with("/static/"))
        .build()
        .unwrap();
    let layered = routes()
        .route("/touched", get(touched))
        .route("/written", get(written))
        .layer(layer);
    let (plain, layered) = (serve(routes()).await, serve(layered).await);
    let (mut plain, mut layered) = (Connection::to(plain).await, Connection::to(layered).await);

    let stored = layered.get("/written", "").await;
    let stored = stored
        .header("set-cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let unknown = format!("{COOKIE}={}", "A".repeat(64));
    backend.faults.calls().clear();
    for path in ["/page", "/error", "/missing", "/static/touched"] {
        for cookie in ["", &stored, &unknown, "theme=dark", "__Host-id=\"junk"] {
            let (with, without) = (
                layered.get(path, cookie).await,
                plain.get(path, cookie).await,
            );
            let [with, without] = [&with, &without].map(|raw| String::from_utf8(raw.bytes()));
            assert_eq!(with.unwrap(), without.unwrap(), "{path} {cookie}");
        }
    }
    assert_eq!(backend.faults.calls().total(), 0);
    // The same layer on a request that does use it.
    let touched = layered.get("/touched", &stored).await;
    assert_eq!(
        (touched.text(), touched.header("vary")),
        ("false", Some("Cookie"))
    );
    assert_eq!(backend.faults.calls().total(), 1);
}

#[tokio::test(start_paused = true)]
async fn g10_a22_a_skipped_request_has_no_session() {
    for backend in Backend::both() {
        let layer = backend.layer().skip(|head| head.uri.path() == "/add");
        let client = backend.client_of(app(Gates::default()), layer);
        client.get("/login/ann").await;
        backend.faults.calls().clear();
        let skipped = client.get("/add").await;
        // An extractor there is a mistake of the app's, and named.
        assert_eq!(skipped.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(backend.faults.calls().total(), 0);
        assert_eq!(client.get("/who").await.text(), "ann 0");
    }
}
