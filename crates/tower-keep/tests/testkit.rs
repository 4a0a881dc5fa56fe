//! F4: the test kit, with the session layer itself.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use common::{Backend, COOKIE, Gates, app, id_of};
use serde_json::{Value, json};
use tower_keep::cookie::CookieConfig;
use tower_keep::core::Limits;
use tower_keep::{Clock, Error, ReadSession, Session, UserPage};
use tower_keep_testkit::{TestClient, TestSession};

fn routes() -> Router {
    let all = async |session: ReadSession| -> Result<Json<Value>, Error> {
        let user = session.user().map(|user| user.to_string());
        let [fresh, remembered] = [session.is_fresh(Duration::ZERO), session.is_remembered()];
        Ok(Json(json!([session.all()?, user, fresh, remembered])))
    };
    app(Gates::default()).route("/all", get(all))
}

#[tokio::test(start_paused = true)]
async fn f4_a_client_may_start_with_a_session() {
    for backend in Backend::both() {
        let client = backend.client(routes());
        let data = json!({ "n": 4, "ann@example.com": { "a": [1] } });
        let id = client.session_with(&backend.store, data.clone()).await;
        assert_eq!(id, id_of(&client));
        let shown = client.get("/all").await.json::<Value>();
        assert_eq!(shown, json!([data, null, false, false]), "{}", backend.name);
        // It is one as any other: it is written, touched, and ends.
        assert_eq!(client.get("/add").await.text(), "5");
        assert_eq!(id_of(&client), id);
        let created = backend.record(&client).head.created_at;
        assert_eq!(created, backend.clock.now());
        backend.clock.advance(Limits::default().idle);
        assert_eq!(client.get("/all").await.json::<Value>()[0], json!({}));
    }
}

#[tokio::test(start_paused = true)]
async fn f4_a_session_of_a_user() {
    for backend in Backend::both() {
        let sessions = backend.layer().build().unwrap().sessions();
        let client = backend.client(routes());
        let ann = TestSession::new(()).user("ann").remembered();
        let id = client.session_with(&backend.store, ann).await;
        let shown = client.get("/all").await.json::<Value>();
        assert_eq!(shown, json!([{}, "ann", true, true]), "{}", backend.name);
        let listed = sessions.of("ann").list(UserPage::default()).await.unwrap();
        assert_eq!(listed[0].id(), id);
        assert_eq!(sessions.destroy_user("ann").await.unwrap(), [id]);
        assert_eq!(client.get("/all").await.json::<Value>()[1], Value::Null);
    }
}

#[tokio::test(start_paused = true)]
async fn f4_another_cookie_another_prefix_and_another_life() {
    let backend = Backend::local();
    let layer = backend
        .layer()
        .token_prefix("app_")
        .cookie(CookieConfig::new().name("__Host-app"));
    let client = backend.client_of(routes(), layer);
    let session = TestSession::new(
        [("n", 1)]
            .into_iter()
            .collect::<std::collections::BTreeMap<_, _>>(),
    )
    .cookie_name("__Host-app")
    .token_prefix("app_")
    .limits(Limits {
        idle: Duration::from_secs(5),
        ..Limits::default()
    });
    client.session_with(&backend.memory, session).await;
    assert!(client.cookie("__Host-app").unwrap().starts_with("app_"));
    assert_eq!(client.get("/n").await.text(), "1");
    backend.clock.advance(Duration::from_secs(5));
    assert_eq!(client.get("/n").await.text(), "0");
}

#[tokio::test(start_paused = true)]
async fn f4_tabs_forms_json_and_header_fields() {
    let backend = Backend::local();
    let form =
        async |session: Session, axum::Form(fields): axum::Form<Value>| -> Result<_, Error> {
            session.insert("form", &fields)?;
            Ok(axum::response::Redirect::to("/all"))
        };
    let json = async |session: Session, Json(value): Json<Value>| session.insert("json", &value);
    let agent = async |session: ReadSession| -> String {
        session.client().unwrap().user_agent.clone().unwrap().into()
    };
    let routes = routes()
        .route("/form", axum::routing::post(form))
        .route("/json", axum::routing::post(json))
        .route("/agent", get(agent));
    let client = backend.client(routes);
    let tab = client.clone().with_header("user-agent", "tab");
    let answer = tab.post_form("/form", [("a", "1 & 2"), ("é", "=")]).await;
    assert_eq!(answer.location(), Some("/all"));
    assert!(
        client
            .post_json("/json", &[1, 2])
            .await
            .status()
            .is_success()
    );
    let stored = json!({ "form": { "a": "1 & 2", "é": "=" }, "json": [1, 2] });
    assert_eq!(tab.get("/all").await.json::<Value>()[0], stored);
    assert_eq!(client.get("/agent").await.text(), "tab");
    let thief: TestClient<_, _> = client.fork();
    client.clear_cookies();
    assert_eq!(tab.cookie(COOKIE), None);
    assert_eq!(thief.get("/all").await.json::<Value>()[0], stored);
}
