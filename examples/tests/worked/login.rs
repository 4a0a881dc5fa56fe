#[path = "../../login.rs"]
#[expect(dead_code, reason = "its `main`")]
mod example;

use tower_keep::MemoryStore;

use crate::{Browser, COOKIE, browser, stranger};

fn visitor() -> Browser {
    browser(example::app(MemoryStore::new()).unwrap())
}

async fn log_in(browser: &Browser, password: &str) -> String {
    let fields = [("user", "ann"), ("password", password)];
    let answer = browser.post_form("/login", fields).await;
    assert_eq!(answer.status(), 303, "{answer:?}");
    answer.location().unwrap().to_owned()
}

#[tokio::test]
async fn f5_login_and_logout() {
    let ann = visitor();
    assert_eq!(ann.get("/").await.location(), Some("/login"));
    assert_eq!(log_in(&ann, "open barley").await, "/login");
    assert!(ann.get("/login").await.text().contains("is wrong"));
    assert!(!ann.get("/login").await.text().contains("is wrong"));

    assert_eq!(log_in(&ann, "open sesame").await, "/");
    assert!(ann.get("/").await.text().contains("Hello, ann."));
    let copy = ann.fork();
    assert!(copy.get("/").await.text().contains("Hello, ann."));

    let answer = ann.post("/logout", "").await;
    assert_eq!(answer.location(), Some("/login"));
    for browser in [&ann, &copy] {
        assert_eq!(browser.get("/").await.location(), Some("/login"));
    }
    assert_eq!(ann.cookie(COOKIE), None);
}

#[tokio::test]
async fn a_cookie_that_somebody_planted_is_worth_nothing_after_the_login() {
    let thief = visitor();
    log_in(&thief, "a guess").await;
    let ann = stranger(&thief);
    ann.set_cookie(COOKIE, &thief.cookie(COOKIE).unwrap());

    log_in(&ann, "open sesame").await;
    assert!(ann.get("/").await.text().contains("Hello, ann."));
    assert_eq!(thief.get("/").await.location(), Some("/login"));
}

#[tokio::test]
async fn another_site_logs_nobody_out() {
    let ann = visitor();
    log_in(&ann, "open sesame").await;
    let elsewhere = ann.clone().with_header("sec-fetch-site", "cross-site");
    assert_eq!(elsewhere.post("/logout", "").await.status(), 403);
    assert!(ann.get("/").await.text().contains("Hello, ann."));
}
