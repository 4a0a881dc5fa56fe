#[path = "../../plain_tower.rs"]
#[expect(dead_code, reason = "its `main`")]
mod example;

use tower::{Layer, service_fn};
use tower_keep::MemoryStore;
use tower_keep_testkit::TestClient;

#[tokio::test]
async fn f5_without_axum() {
    let sessions = example::sessions(MemoryStore::new()).unwrap();
    let ann = TestClient::new(sessions.layer(service_fn(example::serve)));
    // Looking starts no session, nor does a page that is not there.
    assert_eq!(ann.get("/count").await.text(), "Visits: 0\n");
    assert_eq!(ann.get("/nothing").await.status(), 404);
    assert_eq!(ann.cookie("id"), None);

    assert_eq!(ann.get("/").await.text(), "Visits: 1\n");
    assert_eq!(ann.get("/").await.text(), "Visits: 2\n");
    assert_eq!(ann.get("/count").await.text(), "Visits: 2\n");
}
