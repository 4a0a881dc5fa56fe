#[path = "../../minimal.rs"]
#[expect(dead_code, reason = "its `main`")]
mod example;

use tower_keep::MemoryStore;

use crate::{browser, stranger};

#[tokio::test]
async fn each_visitor_has_a_count() {
    let ann = browser(example::app(MemoryStore::new()).unwrap());
    assert_eq!(ann.get("/").await.text(), "Visits: 1\n");
    assert_eq!(ann.get("/").await.text(), "Visits: 2\n");
    assert_eq!(stranger(&ann).get("/").await.text(), "Visits: 1\n");
}
