//! The demo's modules without its `main`: with their unit tests, and over a store that fails, which
//! the real program does not do on demand.

#[path = "../demo/cart.rs"]
mod cart;
#[path = "../demo/catalogue.rs"]
mod catalogue;
#[path = "../demo/error.rs"]
mod error;
#[path = "../demo/pages.rs"]
mod pages;
#[path = "../demo/shop.rs"]
mod shop;
#[path = "../demo/web.rs"]
mod web;

use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use tower_keep::{MemoryStore, StoreErrorKind};
use tower_keep_testkit::{Fault, FaultStore, Script, TestClient};

#[tokio::test]
async fn an_outage_is_a_page_and_not_an_empty_cart() {
    let store = FaultStore::new(MemoryStore::new());
    let sessions = shop::sessions(store.clone()).unwrap();
    let client = TestClient::new(shop::app(sessions));
    client.post("/cart/key/add", "").await;

    store.set_script(Script::new().every(Fault::Fail(StoreErrorKind::Unavailable)));
    let page = client.get("/cart").await;
    assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(page.header(CONTENT_TYPE), Some("text/html; charset=utf-8"));
    assert!(page.header(CONTENT_SECURITY_POLICY).is_some());
    assert!(page.text().contains("The shop is busy"), "{page:?}");
    assert!(page.set_cookies().is_empty());

    store.set_script(Script::new());
    let page = client.get("/cart").await;
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.text().contains("Iron key"), "{page:?}");
}

#[tokio::test]
async fn pages_without_a_session_never_reach_the_store() {
    let store = FaultStore::new(MemoryStore::new());
    let sessions = shop::sessions(store.clone()).unwrap();
    let client = TestClient::new(shop::app(sessions));
    client.get("/").await;
    let before = store.calls().total();

    assert_eq!(client.get("/nothing").await.status(), StatusCode::NOT_FOUND);
    for asset in ["style.css", "clicks.js", "icons.svg"] {
        let page = client.get(&format!("/assets/{asset}")).await;
        assert_eq!(page.status(), StatusCode::OK);
    }
    assert_eq!(store.calls().total(), before);
}
