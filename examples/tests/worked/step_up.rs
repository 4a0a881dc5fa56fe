#[path = "../../step_up.rs"]
#[expect(dead_code, reason = "its `main`")]
mod example;

use std::time::Duration;

use crate::{Browser, COOKIE, browser, timed};

const MINUTE: Duration = Duration::from_mins(1);

async fn change(browser: &Browser, email: &str) -> String {
    let answer = browser.post_form("/email", [("email", email)]).await;
    answer.location().unwrap().to_owned()
}

async fn confirm(browser: &Browser, password: &str) -> String {
    let answer = browser
        .post_form("/confirm", [("password", password)])
        .await;
    answer.location().unwrap().to_owned()
}

#[tokio::test]
async fn f5_a_step_up_asks_for_the_password() {
    let (store, clock) = timed();
    let ann = browser(example::app(store).unwrap()).with_clock(clock.clone());
    assert_eq!(change(&ann, "a@b").await, "/login");
    ann.post("/login", "").await;
    assert_eq!(change(&ann, "new@example.com").await, "/");
    assert!(ann.get("/").await.text().contains("new@example.com"));

    clock.advance(6 * MINUTE);
    assert_eq!(change(&ann, "other@example.com").await, "/confirm");
    assert_eq!(confirm(&ann, "a guess").await, "/confirm");
    assert!(ann.get("/").await.text().contains("new@example.com"));
    let before = ann.cookie(COOKIE);
    assert_eq!(confirm(&ann, "open sesame").await, "/");
    assert_ne!(ann.cookie(COOKIE), before, "it is another secret");
    assert!(ann.get("/").await.text().contains("other@example.com"));

    // What was wanted is not kept for ever.
    clock.advance(6 * MINUTE);
    assert_eq!(change(&ann, "late@example.com").await, "/confirm");
    clock.advance(11 * MINUTE);
    confirm(&ann, "open sesame").await;
    assert!(ann.get("/").await.text().contains("other@example.com"));
}
