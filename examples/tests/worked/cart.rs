#[path = "../../cart.rs"]
#[expect(dead_code, reason = "its `main`")]
mod example;

use tokio::task::JoinSet;
use tower_keep::MemoryStore;

use crate::{COOKIE, browser};

#[tokio::test]
async fn f5_a_cart_loses_no_click() {
    let ann = browser(example::app(MemoryStore::new()).unwrap());
    assert!(ann.get("/").await.text().contains("Sum: 0 cents"));
    assert_eq!(ann.post("/add/gold", "").await.status(), 404);
    assert_eq!(ann.cookie(COOKIE), None, "looking starts no session");

    ann.post("/add/pot", "").await;
    let mut clicks = JoinSet::new();
    for _ in 0..20 {
        let tab = ann.clone();
        clicks.spawn(async move { tab.post("/add/tea", "").await.status() });
    }
    assert!(clicks.join_all().await.iter().all(|status| *status == 303));
    let page = ann.get("/").await.text();
    assert!(
        page.contains("20 × tea") && page.contains("1 × pot"),
        "{page}"
    );

    let orders = ["/order"; 2].map(|path| ann.post(path, ""));
    let [first, second] = orders;
    let (first, second) = tokio::join!(first, second);
    let mut told = [first.text(), second.text()];
    told.sort();
    assert_eq!(told, ["Ordered for 0 cents.", "Ordered for 9400 cents."]);
}
