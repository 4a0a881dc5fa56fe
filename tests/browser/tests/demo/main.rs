//! The demo in Chromium: what its visitors see and do, in one browser, in two, and on three nodes.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

#[allow(dead_code, reason = "what only `main` does with it")]
#[path = "../../../../examples/demo/nodes.rs"]
mod nodes;
#[path = "../../../../examples/demo/shop/mod.rs"]
mod shop;

mod at_once;
mod looks;
mod two;
mod visit;

use tokio::net::TcpListener;
use tower_keep::{DynStore, MemoryStore};
use tower_keep_browser::Browser;
use tower_keep_browser::thirtyfour::prelude::*;

use nodes::Nodes;

/// The demo on a node for each store, and where they are, as `http://127.0.0.1:1234`. It ends when
/// the test does.
async fn open(stores: Vec<DynStore>) -> (Nodes, Vec<String>) {
    let mut listeners = Vec::new();
    for _ in &stores {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let nodes = Nodes::start(listeners, stores).unwrap();
    let addresses = nodes.addresses().iter();
    let sites = addresses.map(|address| format!("http://{address}"));
    let sites = sites.collect();
    (nodes, sites)
}

/// The demo on one node, in memory.
async fn open_one() -> (Nodes, String) {
    let (nodes, mut sites) = open(vec![DynStore::new(MemoryStore::new())]).await;
    (nodes, sites.remove(0))
}

/// Logs in by the form, as people do.
async fn log_in(browser: &Browser, site: &str) {
    browser.goto(format!("{site}/login")).await.unwrap();
    browser.the("#name").await.send_keys("Ann").await.unwrap();
    click(browser, "main button").await;
    let page = browser.text().await;
    assert!(page.contains("Welcome, Ann!"), "{page}");
}

/// Clicks the one link or button that the selector means, and waits for the page it leads to.
async fn click(browser: &Browser, selector: &str) {
    let element: WebElement = browser.the(selector).await;
    browser.follow(&element).await;
}
