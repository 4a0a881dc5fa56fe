#[path = "../../flash.rs"]
#[expect(dead_code, reason = "its `main`")]
mod example;

use axum::body::Body;
use http::Request;
use tower_keep::MemoryStore;

use crate::browser;

#[tokio::test]
async fn f5_a_message_after_a_redirect() {
    let ann = browser(example::app(MemoryStore::new()).unwrap());
    let answer = ann.post_form("/", [("email", "ann<at>home")]).await;
    assert_eq!(answer.location(), Some("/"));
    // What only asks for the head, or fetches a page beforehand, shows nothing to anybody.
    ann.request(Request::head("/").body(Body::empty()).unwrap())
        .await;
    let early = ann.clone().with_header("sec-purpose", "prefetch");
    early.get("/").await;

    let page = ann.get("/").await.text();
    assert!(page.contains("has an @ in it"), "{page}");
    assert!(page.contains(r#"value="ann&lt;at&gt;home""#), "{page}");
    let page = ann.get("/").await.text();
    assert!(
        !page.contains("has an @") && !page.contains("ann"),
        "{page}"
    );

    ann.post_form("/", [("email", "ann@home")]).await;
    assert!(ann.get("/").await.text().contains("write to ann@home"));
    assert!(!ann.get("/").await.text().contains("ann@home"));
}
