//! Session fixation: the attacker has a session of their own, plants its cookie in the victim's
//! browser, and waits until the victim has logged in with it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use tower_keep::{Error, Session, SessionHandle, SessionLayer};

use crate::common::http::{Connection, serve};
use crate::common::{Backend, COOKIE, Client, Gates, MINUTE, app, id_of, start};

type Kept = Arc<Mutex<Vec<SessionHandle>>>;

/// Changes of authority by name, and `/socket`, which keeps a handle as a WebSocket's task does.
fn routes(gates: &Gates, kept: &Kept) -> Router {
    async fn change(session: Session, Path(how): Path<String>) -> Result<(), Error> {
        session.insert("card", &"4111")?;
        match how.as_str() {
            "login" => session.set_user("ann"),
            "remember" => session.set_user_remembered("ann"),
            "again" => session.reauthenticate(),
            "rotate" => session.rotate(),
            "invalidate" => {
                session.invalidate()?;
                session.insert("card", &"4111")
            }
            _ => session.clear_user(),
        }
    }
    async fn socket(State(kept): State<Kept>, handle: SessionHandle) -> Result<(), Error> {
        handle.read().await?;
        kept.lock().unwrap().push(handle);
        Ok(())
    }
    let card = async |s: Session| s.get_or("card", String::new());
    app(gates.clone())
        .route("/change/{how}", get(change))
        .route("/card", get(card))
        .merge(
            Router::new()
                .route("/socket", get(socket))
                .with_state(kept.clone()),
        )
}

/// The attacker, and a victim who has the attacker's cookie.
async fn planted(client: &Client, how: &str) -> (Client, Client) {
    let attacker = client.fork();
    attacker.get("/add").await;
    if how == "logout" {
        attacker.get("/login/eve").await;
    }
    let victim = client.fork();
    victim.set_cookie(COOKIE, &attacker.cookie(COOKIE).unwrap());
    (attacker, victim)
}

const CHANGES: [&str; 6] = [
    "login",
    "remember",
    "again",
    "rotate",
    "invalidate",
    "logout",
];

#[tokio::test(start_paused = true)]
async fn a_planted_session_is_not_the_victims_after_any_change_of_authority() {
    for backend in Backend::both() {
        for how in CHANGES {
            let what = format!("{} {how}", backend.name);
            let (gates, kept) = (Gates::default(), Kept::default());
            let client = backend.client(routes(&gates, &kept));
            let (attacker, victim) = planted(&client, how).await;
            // What the attacker has begun before the login must not see what comes of it either.
            attacker.get("/socket").await;
            let socket = kept.lock().unwrap().pop().unwrap();
            let slow = attacker.fork();
            let slow = start(&slow, "/late/gate/who");
            gates.at("gate").arrived(1).await;

            let answer = victim.get(&format!("/change/{how}")).await;
            assert_eq!(answer.status(), 200, "{what}");
            assert_ne!(victim.cookie(COOKIE), attacker.cookie(COOKIE), "{what}");
            assert_eq!(
                id_of(&victim),
                id_of(&attacker),
                "{what}: the id is no secret"
            );

            gates.at("gate").open();
            assert!(
                slow.await.unwrap().text().starts_with("nobody 0 "),
                "{what}"
            );
            assert!(matches!(socket.read().await, Err(Error::Stale)), "{what}");
            let write: Result<(), Error> = socket.write(async |s| s.insert("card", &"evil")).await;
            assert!(matches!(write, Err(Error::Stale)), "{what}");
            // At once, when the old secret is still known to be an old one, and later.
            for _ in 0..2 {
                let thief = attacker.fork();
                assert!(
                    thief.get("/who").await.text().starts_with("nobody 0 "),
                    "{what}"
                );
                assert_eq!(thief.get("/card").await.text(), "", "{what}");
                assert_eq!(thief.get("/logout").await.text(), "false", "{what}");
                backend.clock.advance(MINUTE);
            }
            assert_eq!(victim.get("/card").await.text(), "4111", "{what}");
        }
    }
}

/// Over a real connection, so that the whole header fields count, and as a browser sees them.
#[tokio::test]
async fn a_login_over_http_leaves_the_planted_cookie_worthless() {
    let routes = routes(&Gates::default(), &Kept::default());
    let layer = SessionLayer::new(tower_keep::MemoryStore::new());
    let mut http = Connection::to(serve(routes.layer(layer)).await).await;
    let cookie = |raw: &crate::common::http::Raw| {
        let field = raw.header("set-cookie").unwrap().to_owned();
        field.split(';').next().unwrap().to_owned()
    };
    let planted = cookie(&http.get("/add", "").await);
    let login = http.get("/change/login", &planted).await;
    let fresh = cookie(&login);
    assert_ne!(fresh, planted);
    let field = login.header("set-cookie").unwrap();
    for attribute in ["; Secure", "; HttpOnly", "; Path=/", "; SameSite=Lax"] {
        assert!(field.contains(attribute), "{field}");
    }
    assert_eq!(http.get("/card", &planted).await.text(), "");
    assert_eq!(http.get("/card", &fresh).await.text(), "4111");
    assert!(
        http.get("/who", &planted)
            .await
            .text()
            .starts_with("nobody 0")
    );
    assert_eq!(http.get("/who", &fresh).await.text(), "ann 1");
    // Both at once, as after cookie tossing: the one that is worth nothing hides nobody.
    let both = format!("{planted}; {fresh}");
    assert_eq!(http.get("/who", &both).await.text(), "ann 1");
}

/// A login that fails must not leave the planted cookie and the victim's session in one.
#[tokio::test(start_paused = true)]
async fn a_login_that_was_not_committed_authenticates_nobody() {
    for backend in Backend::both() {
        let half = async |session: Session| -> Result<http::StatusCode, Error> {
            session.set_user("ann")?;
            session.insert("card", &"4111")?;
            Ok(http::StatusCode::INTERNAL_SERVER_ERROR)
        };
        let client = backend.client(app(Gates::default()).route("/half", get(half)));
        let (attacker, victim) = planted(&client, "login").await;
        let answer = victim.get("/half").await;
        assert!(answer.set_cookies().is_empty());
        for client in [attacker, victim] {
            assert_eq!(
                client.get("/who").await.text(),
                "nobody 1",
                "{}",
                backend.name
            );
        }
    }
}
