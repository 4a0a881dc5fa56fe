#[path = "../../conversation.rs"]
#[expect(dead_code, reason = "its `main`")]
mod example;

use std::time::Duration;

use tokio::time::Instant;
use tower_keep::MemoryStore;

use crate::browser;

/// The time is the runtime's, which moves when everybody waits for it.
#[tokio::test(start_paused = true)]
async fn f5_a_conversation_in_two_tabs() {
    let ann = browser(example::app(MemoryStore::new()).unwrap());
    // There is no session yet that could keep it.
    assert_eq!(
        ann.post_form("/say", [("text", "hello")]).await.status(),
        500
    );
    ann.get("/").await;

    let began = Instant::now();
    let (tea, cups) = tokio::join!(
        ann.post_form("/say", [("text", "tea")]),
        ann.post_form("/say", [("text", "cups")]),
    );
    assert_eq!((tea.status().as_u16(), cups.status().as_u16()), (303, 303));
    assert_eq!(began.elapsed().as_secs(), 2, "neither waits for the other");
    let page = ann.get("/").await.text();
    assert!(page.contains("tea? After 0 turns") && page.contains("cups? After 0 turns"));

    for _ in 0..20 {
        ann.post_form("/say", [("text", "more")]).await;
    }
    let page = ann.get("/").await.text();
    assert!(page.contains("more? After 20 turns") && !page.contains("tea"));
    ann.post("/forget", "").await;
    assert!(!ann.get("/").await.text().contains("more"));
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_the_end_is_refused() {
    let store = MemoryStore::new();
    let ann = browser(example::app(store.clone()).unwrap());
    ann.get("/").await;
    let tab = ann.clone();
    let asked = tokio::spawn(async move { tab.post_form("/say", [("text", "tea")]).await });
    tokio::time::sleep(Duration::from_secs(1)).await;

    // The session ends while the answer is thought of.
    let id = store.ids()[0];
    let layer = tower_keep::SessionLayer::new(store);
    assert!(layer.sessions().destroy(id).await.unwrap());
    assert_eq!(asked.await.unwrap().status(), 409);
}
