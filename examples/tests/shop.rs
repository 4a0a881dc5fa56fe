//! The demo's modules without its `main`: with their unit tests, and over a store that fails, which
//! the real program does not do on demand.

#![allow(
    clippy::unwrap_used,
    reason = "what cannot be done in a test fails the test"
)]

#[allow(dead_code, reason = "what `main` does with it")]
#[path = "../demo/arguments.rs"]
mod arguments;
#[allow(dead_code, reason = "what `main` does with it")]
#[path = "../demo/shop/mod.rs"]
mod shop;

use std::sync::Arc;

use axum::Router;
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use tower_keep::{MemoryStore, SessionStore, StoreErrorKind};
use tower_keep_testkit::{Fault, FaultStore, Script, TestClient};

use shop::{Room, Shop, Site};

fn open(store: impl SessionStore) -> TestClient<Router> {
    let site = Site::new(Arc::new(["127.0.0.1:3000".parse().unwrap()]), 0);
    let shop = Shop::new(store, site, Room::new()).unwrap();
    TestClient::new(shop.app)
}

#[tokio::test]
async fn an_outage_is_a_page_and_not_an_empty_cart() {
    let store = FaultStore::new(MemoryStore::new());
    let client = open(store.clone());
    let login = client.get("/login").await.text();
    let (_, token) = login.split_once(r#"name="_token" value=""#).unwrap();
    let token = token.split_once('"').unwrap().0;
    let added = client.post_form("/cart/key/add", [("_token", token)]).await;
    assert_eq!(added.status(), StatusCode::SEE_OTHER, "{added:?}");

    store.set_script(Script::new().every(Fault::Fail(StoreErrorKind::Unavailable)));
    for path in ["/cart", "/devices", "/chat"] {
        let page = client.get(path).await;
        assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(page.header(CONTENT_TYPE), Some("text/html; charset=utf-8"));
        assert!(page.header(CONTENT_SECURITY_POLICY).is_some());
        assert!(page.text().contains("The shop is busy"), "{page:?}");
        assert!(page.set_cookies().is_empty());
    }

    store.set_script(Script::new());
    let page = client.get("/cart").await;
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.text().contains("Iron key"), "{page:?}");
}

#[tokio::test]
async fn pages_without_a_session_never_reach_the_store() {
    let store = FaultStore::new(MemoryStore::new());
    let client = open(store.clone());
    client.get("/").await;
    let before = store.calls().total();

    assert_eq!(client.get("/nothing").await.status(), StatusCode::NOT_FOUND);
    for file in [
        "/assets/style.css",
        "/assets/at-once.js",
        "/assets/chat.js",
        "/assets/icons.svg",
        "/devices/style.css",
    ] {
        let page = client.get(file).await;
        assert_eq!(page.status(), StatusCode::OK, "{file}");
    }
    assert_eq!(store.calls().total(), before);
}
