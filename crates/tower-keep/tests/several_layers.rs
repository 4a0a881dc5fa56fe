//! Several session layers in one app, nested and side by side.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use common::{Backend, COOKIE, Client, Gates, app, start};
use http::StatusCode;
use tower_keep::cookie::CookieConfig;
use tower_keep::{
    Error, Keyed, ReadSession, RequestInfo, Session, SessionLayerBuilder, SessionRejection,
    StoreErrorKind,
};
use tower_keep_testkit::{Fault, Gate, Script, TestClient};

struct Admin;

const ADMIN: &str = "__Host-admin";

fn admin_layer(backend: &Backend) -> SessionLayerBuilder {
    let cookie = CookieConfig::new().name(ADMIN);
    backend.layer().cookie(cookie).key::<Admin>()
}

fn client(backend: &Backend, routes: Router) -> Client {
    let routes = routes.layer(admin_layer(backend).build().unwrap());
    backend.client(routes)
}

async fn admin_add(session: Keyed<Admin, Session>) -> Result<String, Error> {
    Ok(session.increment("n", 1)?.to_string())
}

async fn both(session: Session, admin: Keyed<Admin, Session>) -> Result<String, Error> {
    let (n, admin) = (session.increment("n", 1)?, admin.increment("n", 10)?);
    Ok(format!("{n} {admin}"))
}

#[tokio::test(start_paused = true)]
async fn layers_with_different_cookies_do_not_mix() {
    let look = async |session: ReadSession, admin: Keyed<Admin, ReadSession>| {
        format!("{:?} {:?}", session.user(), admin.user())
    };
    let login = async |admin: Keyed<Admin, Session>| admin.set_user("root");
    let optional = async |s: Option<Session>, admin: Option<Keyed<Admin, Session>>| {
        format!("{} {}", s.is_some(), admin.is_some())
    };
    for backend in Backend::both() {
        let routes = app(Gates::default())
            .route("/admin/add", get(admin_add))
            .route("/admin/login", get(login))
            .route("/both", get(both))
            .route("/look", get(look))
            .route("/optional", get(optional));
        let client = client(&backend, routes);

        assert_eq!(client.get("/optional").await.text(), "false false");
        assert_eq!(client.get("/add").await.text(), "1");
        assert_eq!(client.get("/optional").await.text(), "true false");
        assert_eq!(client.cookie(ADMIN), None);
        assert_eq!(client.get("/admin/add").await.text(), "1");
        let (main, admin) = (
            client.cookie(COOKIE).unwrap(),
            client.cookie(ADMIN).unwrap(),
        );
        assert_ne!(main[..22], admin[..22]);
        assert_eq!(client.get("/both").await.text(), "2 11");

        // A login in one changes nothing in the other.
        let answer = client.get("/admin/login").await;
        assert_eq!(answer.set_cookies().len(), 1);
        assert_eq!(client.cookie(COOKIE).unwrap(), main);
        assert_eq!(client.get("/look").await.text(), "None Some(\"root\")");
        client.get("/logout").await;
        assert_eq!(client.get("/look").await.text(), "None Some(\"root\")");
        assert_eq!(
            client.get("/admin/add").await.text(),
            "12",
            "{}",
            backend.name
        );
    }
}

#[tokio::test(start_paused = true)]
async fn both_sessions_of_one_response_send_their_cookies() {
    for backend in Backend::both() {
        let client = client(&backend, Router::new().route("/both", get(both)));
        let answer = client.get("/both").await;
        assert_eq!(answer.set_cookies().len(), 2, "{}", backend.name);
        assert_eq!(answer.headers().get_all("vary").iter().count(), 1);
        assert_eq!(client.get("/both").await.text(), "2 20");
    }
}

/// The cookie of one layer is nothing to the other, even over the same store.
#[tokio::test(start_paused = true)]
async fn a_key_is_not_found_without_its_layer() {
    let backend = Backend::local();
    let keyed = async |session: Result<Keyed<Admin, Session>, SessionRejection>| {
        let error = session.map(drop).unwrap_err();
        assert!(matches!(error.error(), Error::MissingLayer));
        error
    };
    let routes = Router::new().route("/keyed", get(keyed));
    let answer = backend.client(routes.clone()).get("/keyed").await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    // Nor the plain extractor under a keyed layer alone.
    let alone = app(Gates::default()).layer(admin_layer(&backend).build().unwrap());
    let alone: Client = TestClient::with_body(alone);
    assert_eq!(
        alone.get("/add").await.status(),
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

#[tokio::test(start_paused = true)]
async fn the_same_layer_nested_does_nothing() {
    for backend in Backend::both() {
        let layer = backend.layer().build().unwrap();
        let nested = app(Gates::default()).layer(layer.clone()).layer(layer);
        // Another instance over the same store and cookie is the same too.
        let client = backend.client(nested);
        backend.faults.calls().clear();
        let first = client.get("/add").await;
        assert_eq!(first.set_cookies().len(), 1, "{}", backend.name);
        assert_eq!(client.get("/add").await.text(), "2");
        assert_eq!(client.get("/add").await.text(), "3");
        assert_eq!(backend.memory.len(), 1);
        let calls = match backend.name {
            "remote" => 1 + 2 * 2,
            _ => 0,
        };
        assert_eq!(backend.faults.calls().total(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn merged_routers_with_a_layer_each() {
    for backend in Backend::both() {
        let visits = app(Gates::default()).layer(backend.layer().build().unwrap());
        let admin = Router::new().route("/admin/add", get(admin_add));
        let admin = admin.layer(admin_layer(&backend).build().unwrap());
        let bare = Router::new().route("/bare", get(async || "bare"));
        let client: Client = TestClient::with_body(visits.merge(admin).merge(bare));
        assert_eq!(client.get("/add").await.text(), "1");
        assert_eq!(client.get("/admin/add").await.text(), "1");
        assert_eq!(client.get("/add").await.text(), "2");
        assert_eq!(client.get("/admin/add").await.text(), "2");
        assert_eq!(client.get("/bare").await.headers().get("vary"), None);
        assert_eq!(client.get("/missing").await.status(), StatusCode::NOT_FOUND);
        assert_eq!(backend.memory.len(), 2, "{}", backend.name);
    }
}

/// Two requests that hold one session each and want the other's would wait for each other.
#[tokio::test(start_paused = true)]
async fn a_second_session_is_waited_for_at_most_a_second_and_then_503() {
    for backend in Backend::both() {
        let gate = Gate::new();
        let stop = gate.clone();
        let hold = async move |admin: Keyed<Admin, Session>| -> Result<(), Error> {
            stop.pass().await;
            admin.increment("n", 1).map(drop)
        };
        let routes = app(Gates::default())
            .route("/admin/hold", get(hold))
            .route("/admin/add", get(admin_add))
            .route("/both", get(both));
        let client = client(&backend, routes);
        client.get("/both").await;

        let holder = start(&client, "/admin/hold");
        gate.arrived(1).await;
        let begin = tokio::time::Instant::now();
        let answer = client.get("/both").await;
        let waited = begin.elapsed();
        assert_eq!(
            answer.status(),
            StatusCode::SERVICE_UNAVAILABLE,
            "{}",
            backend.name
        );
        assert!(answer.header("retry-after").is_some());
        assert!(
            waited >= Duration::from_secs(1),
            "{} {waited:?}",
            backend.name
        );
        assert!(
            waited < Duration::from_secs(2),
            "{} {waited:?}",
            backend.name
        );
        // The first session was given back and not changed.
        assert_eq!(client.get("/add").await.text(), "2");
        // Alone it is waited for as long as usual.
        let alone = start(&client, "/admin/add");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!alone.is_finished());
        gate.open();
        holder.await.unwrap();
        assert_eq!(alone.await.unwrap().text(), "12", "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a28_each_layer_shapes_the_errors_of_its_own_sessions() {
    let shaped =
        |text: &'static str| move |_: &Error, _: &RequestInfo| http::Response::new(text.into());
    let (main, admin) = (Backend::remote(), Backend::remote());
    let routes = app(Gates::default())
        .route("/admin/add", get(admin_add))
        .layer(
            admin_layer(&admin)
                .on_error(shaped("admin"))
                .build()
                .unwrap(),
        )
        .layer(main.layer().on_error(shaped("main")).build().unwrap());
    let client: Client = TestClient::with_body(routes);
    client.get("/add").await;
    client.get("/admin/add").await;
    for backend in [&main, &admin] {
        let fault = Fault::Fail(StoreErrorKind::Unavailable);
        backend.faults.set_script(Script::new().every(fault));
    }
    assert_eq!(client.get("/admin/add").await.text(), "admin");
    assert_eq!(client.get("/add").await.text(), "main");
}
