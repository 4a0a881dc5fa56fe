//! Identity: login, logout and rotation, and what somebody else's cookie is worth afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use axum::Router;
use axum::routing::get;
use common::{Backend, COOKIE, Client, Gates, MINUTE, app, id_of};
use http::StatusCode;
use tower_keep::{Clock, Error, ReadSession, Session};

fn routes() -> Router {
    let failing = async |session: Session| -> Result<StatusCode, Error> {
        session.set_user("eve")?;
        session.insert("n", &100)?;
        Ok(StatusCode::INTERNAL_SERVER_ERROR)
    };
    app(Gates::default())
        .route("/invalidate", get(async |s: Session| s.invalidate()))
        .route("/clear-user", get(async |s: Session| s.clear_user()))
        .route("/again", get(async |s: Session| s.reauthenticate()))
        .route("/failing-login", get(failing))
        .route(
            "/failing-logout",
            get(async |s: Session| s.destroy().map(|_| StatusCode::BAD_GATEWAY)),
        )
        .route(
            "/renamed",
            get(async |s: Session| -> Result<String, Error> {
                s.set_user("bob")?;
                Ok(s.user().unwrap_or_default().to_string())
            }),
        )
        .route(
            "/version",
            get(async |s: ReadSession| format!("{:?}", s.version())),
        )
}

async fn visitor(backend: &Backend) -> Client {
    let client = backend.client(routes());
    client.get("/add").await;
    client
}

/// Nothing can be had with this client's cookie, now or later.
async fn assert_worthless(backend: &Backend, thief: &Client, what: &str) {
    for path in ["/who", "/n"] {
        let seen = thief.get(path).await;
        if path == "/who" {
            assert!(seen.text().starts_with("nobody 0 "), "{what}: {seen:?}");
        }
        assert!(seen.set_cookies().is_empty(), "{what}");
    }
    assert!(thief.get("/add").await.set_cookies().is_empty(), "{what}");
    backend.clock.advance(MINUTE);
    let seen = thief.get("/who").await;
    assert_eq!(seen.text(), "nobody 0 Absent", "{what}");
}

#[tokio::test(start_paused = true)]
async fn login_rotates_and_the_old_cookie_is_worth_nothing() {
    for backend in Backend::both() {
        let client = visitor(&backend).await;
        // Also the attack by fixation: the attacker has given the victim this cookie.
        let attacker = client.fork();
        let id = id_of(&client);
        let login = client.get("/login/ann").await;
        assert_eq!(login.set_cookies().len(), 1);
        assert_eq!(id_of(&client), id, "the same session");
        assert_ne!(client.cookie(COOKIE), attacker.cookie(COOKIE));
        assert_worthless(&backend, &attacker, backend.name).await;
        assert_eq!(client.get("/who").await.text(), "ann 1", "{}", backend.name);
        assert_eq!(backend.memory.ids(), [id], "one record, the whole time");
    }
}

#[tokio::test(start_paused = true)]
async fn every_change_of_authority_rotates() {
    for backend in Backend::both() {
        for path in [
            "/login/bob",
            "/rotate",
            "/again",
            "/invalidate",
            "/clear-user",
            "/renamed",
        ] {
            let what = format!("{} {path}", backend.name);
            let client = visitor(&backend).await;
            client.get("/login/ann").await;
            let before = backend.record(&client).head;
            let thief = client.fork();
            assert_eq!(client.get(path).await.set_cookies().len(), 1, "{what}");
            let after = backend.record(&client).head;
            assert_eq!(after.generation, before.generation + 1, "{what}");
            assert_eq!(after.version, before.version + 1, "{what}");
            assert_ne!(client.cookie(COOKIE), thief.cookie(COOKIE), "{what}");
            assert_worthless(&backend, &thief, &what).await;
            assert!(
                client.get("/version").await.text().starts_with("Some"),
                "{what}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a10_a13_rotate_keeps_data_user_creation_and_deadlines() {
    for backend in Backend::both() {
        let client = visitor(&backend).await;
        client.get("/login/ann").await;
        let before = backend.record(&client).head;
        backend.clock.advance(MINUTE / 2);
        client.get("/rotate").await;
        let after = backend.record(&client).head;
        assert_eq!(client.get("/who").await.text(), "ann 1");
        assert_eq!(after.id, before.id);
        assert_eq!(after.created_at, before.created_at);
        assert_eq!(after.absolute_deadline, before.absolute_deadline);
        assert_eq!(
            after.authenticated_at, before.authenticated_at,
            "{}",
            backend.name
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a12_invalidate_clears_data_and_user_and_rotates() {
    for backend in Backend::both() {
        let client = visitor(&backend).await;
        client.get("/login/ann").await;
        let id = id_of(&client);
        client.get("/invalidate").await;
        assert_eq!(id_of(&client), id);
        assert_eq!(
            client.get("/who").await.text(),
            "nobody 0",
            "{}",
            backend.name
        );
        assert_eq!(backend.data(id)["data"], serde_json::json!({}));
        assert_eq!(backend.record(&client).head.user, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a17_the_absolute_timeout_counts_from_login_and_reauthentication_alone() {
    for backend in Backend::both() {
        let client = visitor(&backend).await;
        let deadline = || backend.record(&client).head.absolute_deadline;
        let created = deadline();
        for (path, moves) in [
            ("/add", false),
            ("/rotate", false),
            ("/n", false),
            ("/login/ann", true),
            ("/add", false),
            ("/rotate", false),
            ("/again", true),
            ("/clear-user", true),
            ("/clear-user", false), // there is nobody to be cleared
            ("/login/bob", true),
            ("/invalidate", true),
        ] {
            let before = deadline();
            backend.clock.advance(MINUTE);
            client.get(path).await;
            let expected = backend.clock.now().plus(24 * 60 * MINUTE);
            let expected = if moves { expected } else { before };
            assert_eq!(deadline(), expected, "{} {path}", backend.name);
        }
        assert!(deadline() > created);
    }
}

#[tokio::test(start_paused = true)]
async fn authenticated_at_follows_login_and_reauthentication() {
    for backend in Backend::both() {
        let client = visitor(&backend).await;
        let at = || backend.record(&client).head.authenticated_at;
        assert_eq!(at(), None);
        client.get("/login/ann").await;
        let login = backend.clock.now();
        assert_eq!(at(), Some(login));
        backend.clock.advance(MINUTE);
        client.get("/rotate").await;
        assert_eq!(at(), Some(login));
        client.get("/again").await;
        assert_eq!(at(), Some(backend.clock.now()), "{}", backend.name);
        client.get("/clear-user").await;
        assert_eq!(at(), None, "{}", backend.name);
    }
}

/// The user that a handler sees is the one it has set; others see it after the commit.
#[tokio::test(start_paused = true)]
async fn a_login_takes_effect_with_its_commit_and_a_500_undoes_it() {
    for backend in Backend::both() {
        let client = visitor(&backend).await;
        assert_eq!(client.get("/renamed").await.text(), "bob");
        let before = client.cookie(COOKIE);
        for path in ["/failing-login", "/failing-logout"] {
            let failed = client.get(path).await;
            assert!(failed.status().is_server_error());
            assert!(failed.set_cookies().is_empty(), "{path}");
        }
        assert_eq!(client.cookie(COOKIE), before);
        assert_eq!(client.get("/who").await.text(), "bob 1", "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_visit_may_be_a_login() {
    for backend in Backend::both() {
        let client = backend.client(routes());
        assert_eq!(client.get("/login/ann").await.set_cookies().len(), 1);
        assert_eq!(client.get("/who").await.text(), "ann 0", "{}", backend.name);
        assert!(backend.record(&client).head.authenticated_at.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn logout_ends_the_session_for_every_copy_of_the_cookie() {
    for backend in Backend::both() {
        let client = visitor(&backend).await;
        client.get("/login/ann").await;
        let thief = client.fork();
        let logout = client.get("/logout").await;
        assert_eq!(logout.text(), "true");
        assert!(logout.set_cookies()[0].contains("Max-Age=0"));
        assert_eq!(client.cookie(COOKIE), None);
        assert_worthless(&backend, &thief, backend.name).await;
        assert_eq!(backend.live(), [], "{}", backend.name);
    }
}
