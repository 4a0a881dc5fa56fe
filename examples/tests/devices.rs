//! The example "your devices", without a browser; in two of them it is tested in `tests/browser`.

#[allow(dead_code, reason = "its `main` is not called")]
#[path = "../devices.rs"]
mod devices;

use http::StatusCode;
use http::header::LOCATION;
use tower_keep_testkit::TestClient;

#[tokio::test]
async fn one_browser_logs_the_other_out() {
    let app = devices::app().unwrap();
    let visitor = TestClient::new(app).with_header("sec-fetch-site", "same-origin");
    let (desk, phone) = (visitor.fork(), visitor.fork());
    for client in [&desk, &phone] {
        let answer = client.post_form("/login", [("name", "Ann")]).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{answer:?}");
        assert!(client.get("/").await.text().contains("Hello, Ann"));
    }
    let page = desk.get("/devices").await;
    assert_eq!(page.status(), StatusCode::OK, "{page:?}");
    assert!(page.text().contains("Log out all other devices"));
    let answer = desk.post("/devices/others", "").await;
    assert_eq!(answer.header(LOCATION), Some("/devices"), "{answer:?}");
    let page = desk.get("/devices").await.text();
    assert!(page.contains("1 other device is logged out."), "{page}");

    let answer = phone.get("/devices").await;
    assert_eq!(answer.header(LOCATION), Some("/login"));
    assert!(phone.get("/").await.text().contains("Log in"));
}
