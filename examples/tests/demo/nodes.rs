//! Several nodes on one store, each with connections of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::join_all;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, ORIGIN};
use http::{Request, StatusCode};
use tempfile::TempDir;

use crate::chat::{Line, page};
use crate::program::Shop;

async fn three(store: &[&str]) -> Shop {
    let dir = Arc::new(TempDir::new().unwrap());
    let shop = Shop::open_in(dir, &[&["--nodes", "3"], store].concat()).await;
    assert_eq!(shop.addresses.len(), 3);
    shop
}

#[tokio::test]
async fn one_session_is_at_all_nodes() {
    one_session_at_three(&[]).await;
}

#[tokio::test]
async fn one_session_is_at_all_nodes_on_servers() {
    for server in ["KEEP_REDIS_URL", "KEEP_POSTGRES_URL", "KEEP_MARIADB_URL"] {
        let url = std::env::var(server).expect("./test.sh starts servers and names them");
        one_session_at_three(&["--store", &url]).await;
    }
}

async fn one_session_at_three(store: &[&str]) {
    let mut shop = three(store).await;
    let nodes = [0, 1, 2].map(|node| shop.visitor_of(node));
    nodes[0].sends("/cart/key/add", "").await;
    nodes[0].sends("/login", "name=Ann").await;
    let cookie = nodes[0].cookie().unwrap();
    for node in &nodes[1..] {
        node.client.set_cookie("id", &cookie);
        assert!(node.sees("/cart").await.contains("Iron key"));
    }
    let page_of = nodes[1].sees("/at-once").await;
    assert!(page_of.contains("This page is from node 2."), "{page_of}");

    // Fifty at once, in turn to all of them, with the token of one.
    let fields = format!("_token={}", nodes[1].token().await);
    let all = (0..50).map(|number| nodes[number % 3].plain_form("/at-once/one", &fields));
    let mut counts = Vec::new();
    for (number, answer) in join_all(all).await.into_iter().enumerate() {
        assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
        let added: serde_json::Value = answer.json();
        assert_eq!(added["node"], number % 3 + 1);
        counts.push(added["count"].as_i64().unwrap());
    }
    counts.sort_unstable();
    assert!(counts.into_iter().eq(1..=50), "each its own");

    // A line to one node is closed when another one ends the session.
    let at = shop.addresses[2];
    let mut line = Line::open(at, &page(at), Some(cookie)).await.ok().unwrap();
    nodes[1].sees("/session").await;
    nodes[1].sends("/logout", "").await;
    assert_eq!(line.hears().await, "Your session has ended.");

    shop.signal("-TERM").await;
    assert_eq!(shop.says().await, "draining");
    assert_eq!(shop.says().await, "drained");
    assert_eq!(shop.ends().await.code(), Some(0));
}

#[tokio::test]
async fn pages_of_other_nodes_may_read_what_was_counted() {
    let shop = three(&[]).await;
    let ann = shop.visitor();
    let token = ann.token().await;
    let ports = shop.addresses.iter().map(SocketAddr::port);
    let own = ports.map(|port| (format!("http://localhost:{port}"), true));
    let own: Vec<_> = own.collect();
    let foreign = [
        ("http://evil.test".to_owned(), false),
        ("null".to_owned(), false),
    ];
    for (origin, may) in own.into_iter().chain(foreign) {
        let request = Request::post("/at-once/one").header(ORIGIN, &origin);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = request.body(format!("_token={token}").into()).unwrap();
        let answer = ann.client.request(request).await;
        let status = if may {
            StatusCode::OK
        } else {
            StatusCode::FORBIDDEN
        };
        assert_eq!(answer.status(), status, "{origin}");
        let allowed = answer.header(ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(allowed, may.then_some(origin.as_str()));
    }
}
