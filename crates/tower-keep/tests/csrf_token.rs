//! The tokens that a session's forms carry.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::collections::HashSet;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use common::{Backend, COOKIE, Client, Gates, app};
use http::StatusCode;
use tower_keep::{Error, ReadSession, Session};

/// Changes authority in the way that the path names, and shows a form afterwards.
async fn change(session: Session, Path(how): Path<String>) -> Result<String, Error> {
    match how.as_str() {
        "rotate" => session.rotate()?,
        "invalidate" => session.invalidate()?,
        "login" => session.set_user("ann")?,
        "remembered" => session.set_user_remembered("ann")?,
        "clear" => session.clear_user()?,
        "again" => session.reauthenticate()?,
        "renew" => return session.renew_csrf_token(),
        "several" => {
            session.rotate()?;
            let form = session.csrf_token()?;
            session.set_user("ann")?;
            return Ok(form);
        }
        _ => {}
    }
    session.csrf_token()
}

async fn failing(session: Session) -> Result<StatusCode, Error> {
    session.rotate()?;
    session.renew_csrf_token()?;
    Ok(StatusCode::INTERNAL_SERVER_ERROR)
}

fn routes() -> Router {
    app(Gates::default())
        .route("/form", get(async |s: Session| s.csrf_token()))
        .route(
            "/peek",
            get(async |s: ReadSession| Ok::<_, Error>(s.csrf_token()?.unwrap_or_default())),
        )
        .route(
            "/verify/{token}",
            get(async |s: ReadSession, Path(token): Path<String>| {
                s.verify_csrf_token(&token).map(|right| right.to_string())
            }),
        )
        .route(
            "/verify/",
            get(async |s: ReadSession| s.verify_csrf_token("").map(|right| right.to_string())),
        )
        .route("/change/{how}", get(change))
        .route("/failing", get(failing))
        .route("/clear", get(async |s: Session| s.clear()))
        .route(
            "/data",
            get(async |s: ReadSession| -> Result<String, Error> {
                Ok(format!("{:?} {} {:?}", s.all()?, s.len()?, s.is_empty()?))
            }),
        )
        .route(
            "/once/{name}",
            get(async |s: Session, Path(name): Path<String>| s.csrf_token_for(&name)),
        )
        .route(
            "/consume/{name}/{token}",
            get(
                async |s: Session, Path((name, token)): Path<(String, String)>| {
                    let consumed = s.consume_csrf_token(&name, &token);
                    consumed.map(|right| right.to_string())
                },
            ),
        )
        .route(
            "/consume/{name}",
            get(async |s: Session, Path(name): Path<String>| {
                let consumed = s.consume_csrf_token(&name, "");
                consumed.map(|right| right.to_string())
            }),
        )
}

async fn text(client: &Client, path: &str) -> String {
    let response = client.get(path).await;
    assert_eq!(response.status(), 200, "{path}: {response:?}");
    response.text()
}

async fn is_good(client: &Client, token: &str) -> bool {
    text(client, &format!("/verify/{token}")).await == "true"
}

async fn consumes(client: &Client, name: &str, token: &str) -> bool {
    text(client, &format!("/consume/{name}/{token}")).await == "true"
}

#[tokio::test(start_paused = true)]
async fn d2_the_first_token_starts_a_session_and_readers_make_none() {
    for backend in Backend::both() {
        let client = backend.client(routes());
        assert_eq!(text(&client, "/peek").await, "");
        assert!(client.cookie(COOKIE).is_none() && backend.memory.is_empty());

        let form = text(&client, "/form").await;
        assert!(client.cookie(COOKIE).is_some(), "{}", backend.name);
        let peeked = text(&client, "/peek").await;
        assert!(is_good(&client, &form).await && is_good(&client, &peeked).await);
        // The library's own entry is not among the app's data, and outlives them.
        assert_eq!(text(&client, "/data").await, "{} 0 true");
        client.get("/clear").await;
        assert!(is_good(&client, &form).await);
        // Showing it again is no write.
        let version = backend.record(&client).head.version;
        text(&client, "/form").await;
        assert_eq!(backend.record(&client).head.version, version);
    }
}

#[tokio::test(start_paused = true)]
async fn d2_every_rendering_is_masked_anew_and_all_are_good_in_all_tabs() {
    let backend = Backend::local();
    let client = backend.client(routes());
    let mut forms = HashSet::new();
    for _ in 0..20 {
        forms.insert(text(&client, "/form").await);
        forms.insert(text(&client.clone(), "/peek").await);
    }
    assert_eq!(forms.len(), 40);
    for form in &forms {
        assert!(is_good(&client, form).await);
        // No two have a stretch in common that a compressor would find.
        let half = &form[..form.len() / 2];
        assert_eq!(forms.iter().filter(|other| other.contains(half)).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn d2_nothing_but_the_sessions_own_token_is_right() {
    for backend in Backend::both() {
        let client = backend.client(routes());
        let stranger = backend.client(routes());
        assert_eq!(
            text(&client, "/verify/").await,
            "false",
            "without a session"
        );
        let (own, foreign) = (text(&client, "/form").await, text(&stranger, "/form").await);
        assert!(!is_good(&client, &foreign).await, "{}", backend.name);
        assert_eq!(text(&client, "/verify/").await, "false");
        assert!(!is_good(&client, "AAAA").await);
        assert!(!is_good(&client, &"A".repeat(86)).await);
        assert!(is_good(&client, &own).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a10_a12_d2_every_change_of_authority_renews_the_token() {
    for backend in Backend::both() {
        for how in [
            "rotate",
            "invalidate",
            "login",
            "remembered",
            "clear",
            "again",
            "renew",
            "several",
        ] {
            let client = backend.client(routes());
            if how == "clear" {
                client.get("/login/ann").await;
            }
            let (before, once) = (
                text(&client, "/form").await,
                text(&client, "/once/transfer").await,
            );
            // What is rendered in that very request has the new one.
            let after = text(&client, &format!("/change/{how}")).await;
            assert!(!is_good(&client, &before).await, "{} {how}", backend.name);
            assert!(is_good(&client, &after).await, "{} {how}", backend.name);
            let still = consumes(&client, "transfer", &once).await;
            assert_eq!(still, how == "renew", "{how}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a10_d2_what_changes_nothing_renews_nothing() {
    for backend in Backend::both() {
        let client = backend.client(routes());
        let form = text(&client, "/form").await;
        // Nobody is cleared, a failed request, other data, a logout of another.
        for path in ["/change/clear", "/failing", "/add", "/clear", "/nothing"] {
            client.get(path).await;
            assert!(is_good(&client, &form).await, "{} {path}", backend.name);
        }
        // A reader finds the new token after a login without having asked for it then.
        client.get("/login/ann").await;
        let new = text(&client, "/peek").await;
        assert!(!new.is_empty() && !is_good(&client, &form).await);
        // Where nobody ever asked, there is none.
        let other = backend.client(routes());
        other.get("/login/bob").await;
        assert_eq!(text(&other, "/peek").await, "");
    }
}

#[tokio::test(start_paused = true)]
async fn d2_a_named_token_is_consumed_once_and_only_by_the_right_value() {
    for backend in Backend::both() {
        let client = backend.client(routes());
        let transfer = text(&client, "/once/transfer").await;
        let again = text(&client, "/once/transfer").await;
        let delete = text(&client, "/once/delete").await;
        let session = text(&client, "/form").await;
        assert_ne!(transfer, again, "masked anew");
        for wrong in [&delete, &session, &"A".repeat(86), &"x".to_owned()] {
            assert!(!consumes(&client, "transfer", wrong).await);
        }
        assert_eq!(text(&client, "/consume/transfer").await, "false", "empty");
        assert!(!consumes(&client, "unknown", &transfer).await);
        // Not the session's token either.
        assert!(!is_good(&client, &transfer).await);
        // What was wrong has used nothing up. Another tab's form is the same token.
        assert!(
            consumes(&client, "transfer", &again).await,
            "{}",
            backend.name
        );
        assert!(!consumes(&client, "transfer", &transfer).await);
        assert!(!consumes(&client, "transfer", &again).await);
        assert!(consumes(&client, "delete", &delete).await);
        // The next one is another.
        let next = text(&client, "/once/transfer").await;
        assert!(!consumes(&client, "transfer", &transfer).await);
        assert!(consumes(&client, "transfer", &next).await);
    }
}

#[tokio::test(start_paused = true)]
async fn d2_named_tokens_are_bounded_and_the_oldest_makes_room() {
    let backend = Backend::local();
    let client = backend.client(routes());
    let mut tokens = Vec::new();
    for n in 0..17 {
        tokens.push(text(&client, &format!("/once/name-{n}")).await);
    }
    assert!(!consumes(&client, "name-0", &tokens[0]).await);
    for (n, token) in tokens.iter().enumerate().skip(1) {
        assert!(consumes(&client, &format!("name-{n}"), token).await, "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn d2_of_two_requests_with_one_token_one_consumes_it() {
    for backend in Backend::both() {
        let client = backend.client(routes());
        let token = text(&client, "/once/transfer").await;
        let path = format!("/consume/transfer/{token}");
        let both = tokio::join!(client.get(&path), client.get(&path));
        let mut answers = [both.0.text(), both.1.text()];
        answers.sort();
        assert_eq!(answers, ["false", "true"], "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn d2_g8_tokens_are_not_shown() {
    let backend = Backend::local();
    let routes = routes().route(
        "/debug",
        get(async |session: Session| -> Result<String, Error> {
            session.csrf_token()?;
            session.csrf_token_for("transfer")?;
            Ok(format!("{session:?}"))
        }),
    );
    let client = backend.client(routes);
    let shown = text(&client, "/debug").await;
    let record = backend.record(&client);
    let data = String::from_utf8(record.data.to_json()).unwrap();
    assert!(data.contains("csrf"), "{data}");
    for debug in [shown, format!("{record:?}")] {
        assert!(
            !debug.contains("csrf") && !debug.contains("transfer"),
            "{debug}"
        );
    }
}
