#[path = "../../timeout.rs"]
#[expect(dead_code, reason = "its `main`")]
mod example;

use std::time::Duration;

use crate::{browser, timed};

#[tokio::test]
async fn f5_a_timeout_leads_to_the_login_page() {
    let (store, clock) = timed();
    let ann = browser(example::app(store).unwrap()).with_clock(clock.clone());
    assert_eq!(ann.get("/").await.location(), Some("/login"));
    ann.post("/login", "").await;
    for _ in 0..5 {
        clock.advance(Duration::from_secs(50));
        let page = ann.get("/").await.text();
        assert!(page.contains("over in 60s"), "{page}");
    }

    clock.advance(Duration::from_mins(1));
    let script = ann.clone().with_header("sec-fetch-mode", "cors");
    assert_eq!(script.get("/").await.status(), 401);
    let answer = ann.get("/").await;
    assert_eq!(answer.location(), Some("/login?reason=timeout"));
    let page = ann.get("/login?reason=timeout").await.text();
    assert!(page.contains("away for too long"), "{page}");
    assert!(!ann.get("/login").await.text().contains("away"));
    ann.post("/login", "").await;
    assert_eq!(ann.get("/").await.status(), 200);
}
