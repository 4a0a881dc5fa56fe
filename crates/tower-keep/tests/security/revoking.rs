//! Insecure direct object references: "your devices" lists sessions by ids that are no secret, and
//! whoever knows one must not be able to end it.

use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use http::StatusCode;
use tower_keep::{Error, ReadSession, SessionId, Sessions, Timestamp, UserPage};
use tower_keep_testkit::TestClient;

use crate::common::{Backend, Client, Gates, app, id_of};

/// A devices page as the guide has it: whose it is, is said by the session and by nothing else.
fn devices(sessions: Sessions) -> Router {
    async fn list(
        State(sessions): State<Sessions>,
        me: ReadSession,
    ) -> Result<Json<Vec<String>>, Error> {
        let user = me.user().ok_or(Error::NotFound)?;
        let own = sessions
            .of(user)
            .current(me.id())
            .list(UserPage::default())
            .await?;
        Ok(Json(
            own.iter().map(|session| session.id().to_string()).collect(),
        ))
    }
    async fn end(
        State(sessions): State<Sessions>,
        me: ReadSession,
        Path(id): Path<String>,
    ) -> Result<(), Error> {
        let user = me.user().ok_or(Error::NotFound)?;
        sessions.of(user).destroy(&*id).await
    }
    async fn end_others(
        State(sessions): State<Sessions>,
        me: ReadSession,
    ) -> Result<String, Error> {
        let user = me.user().ok_or(Error::NotFound)?;
        let ended = sessions.of(user).current(me.id()).destroy_others().await?;
        Ok(ended.len().to_string())
    }
    app(Gates::default()).merge(
        Router::new()
            .route("/devices", get(list))
            .route("/devices/{id}/end", post(end))
            .route("/devices/end-others", post(end_others))
            .with_state(sessions),
    )
}

fn world(backend: &Backend) -> Client {
    let layer = backend.layer().build().unwrap();
    TestClient::with_body(devices(layer.sessions()).layer(layer)).with_clock(backend.clock.clone())
}

async fn visitor(client: &Client, user: Option<&str>) -> Client {
    let visitor = client.fork();
    match user {
        Some(user) => visitor.get(&format!("/login/{user}")).await,
        None => visitor.get("/add").await,
    };
    visitor
}

#[tokio::test(start_paused = true)]
async fn nobody_ends_a_session_of_somebody_else() {
    for backend in Backend::both() {
        let client = world(&backend);
        let ann = visitor(&client, Some("ann")).await;
        let phone = visitor(&client, Some("ann")).await;
        let nobody = visitor(&client, None).await;
        let eve = visitor(&client, Some("eve")).await;
        // Users whose names are near to hers, or patterns of hers.
        let near = [
            "Ann", "ann ", "an", "anna", "ann%", "a_n", "*", "ann\u{0}", "..", "ann/eve",
        ];
        let mut attackers = vec![eve.clone(), nobody.clone(), client.fork()];
        for name in near {
            let path = crate::encoded(name);
            attackers.push(visitor(&client, Some(&path)).await);
        }
        let live = backend.live();
        let id = id_of(&ann).to_string();
        let unknown = SessionId::new(Timestamp::from_millis(1)).to_string();
        for attacker in &attackers {
            for target in [&id, &id_of(&phone).to_string(), &id_of(&nobody).to_string()] {
                let answer = attacker.post(&format!("/devices/{target}/end"), "").await;
                assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{}", backend.name);
                // Nothing tells an id that is there from one that is not, or is none at all.
                for other in [unknown.as_str(), "x", "%00"] {
                    let same = attacker.post(&format!("/devices/{other}/end"), "").await;
                    assert_eq!(same.status(), answer.status());
                    assert_eq!(same.text(), answer.text());
                }
            }
            attacker.post("/devices/end-others", "").await;
            let listed = attacker.get("/devices").await;
            assert!(!listed.text().contains(&id), "{}", backend.name);
        }
        assert_eq!(backend.live(), live, "{}", backend.name);
        assert_eq!(ann.get("/who").await.text(), "ann 0");

        // In every spelling of it her own id is hers.
        let answer = ann
            .post(&format!("/devices/{}/end", id_of(&phone)), "")
            .await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(phone.get("/who").await.text().starts_with("nobody 0 "));
        assert_eq!(backend.live().len(), live.len() - 1);
    }
}

/// A session that changed hands in between belongs to its new user.
#[tokio::test(start_paused = true)]
async fn nobody_ends_a_session_that_was_theirs() {
    for backend in Backend::both() {
        let client = world(&backend);
        let shared = visitor(&client, Some("eve")).await;
        let id = id_of(&shared);
        shared.get("/login/ann").await;
        assert_eq!(id_of(&shared), id, "the same session, another user");
        let eve = visitor(&client, Some("eve")).await;
        let answer = eve.post(&format!("/devices/{id}/end"), "").await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{}", backend.name);
        assert_eq!(eve.post("/devices/end-others", "").await.text(), "0");
        assert!(!eve.get("/devices").await.text().contains(&id.to_string()));
        assert_eq!(shared.get("/who").await.text(), "ann 0", "{}", backend.name);
    }
}
