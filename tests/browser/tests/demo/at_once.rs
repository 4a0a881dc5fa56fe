//! Fifty requests at once, counted exactly: on one node, on three, and without JavaScript as one.

use tower_keep_browser::Browser;

use crate::{click, log_in, open, open_one};

/// Sends them by the button, and waits for what the page tells.
pub(crate) async fn fifty(browser: &Browser, told: &str) {
    browser.the("#at-once button").await.click().await.unwrap();
    browser.until_says("#result", told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f6_fifty_at_once_are_fifty() {
    let (_nodes, site) = open_one().await;
    let browser = Browser::open().await;
    browser.goto(format!("{site}/at-once")).await.unwrap();
    assert_eq!(browser.text_of("#count").await, "0");
    let told = "50 sent at once, 50 counted, each saw a number of its own: yes.";
    fifty(&browser, told).await;
    assert_eq!(browser.text_of("#count").await, "50");
    browser.refresh().await.unwrap();
    assert_eq!(browser.text_of("#count").await, "50");
}

#[tokio::test(flavor = "multi_thread")]
async fn f6_fifty_at_once_are_fifty_on_three_nodes() {
    let redis = std::env::var("KEEP_REDIS_URL");
    let redis = redis.expect("KEEP_REDIS_URL names no server: ./test.sh starts one");
    let mut stores = Vec::new();
    for _ in 0..3 {
        stores.push(tower_keep_connect::connect(&redis).await.unwrap());
    }
    let (_nodes, sites) = open(stores).await;
    let browser = Browser::open().await;
    browser.goto(format!("{}/at-once", sites[1])).await.unwrap();
    let told = "50 sent at once, 50 counted by 3 nodes (17, 17, 16), \
                each saw a number of its own: yes.";
    fifty(&browser, told).await;
    // The same session is at the others, by the same cookie.
    browser.goto(format!("{}/at-once", sites[2])).await.unwrap();
    assert_eq!(browser.text_of("#count").await, "50");
    fifty(&browser, told).await;
    assert_eq!(browser.text_of("#count").await, "100");
}

#[tokio::test(flavor = "multi_thread")]
async fn f6_the_demo_says_what_it_cannot_do_without_javascript() {
    let (_nodes, site) = open_one().await;
    let browser = Browser::without_javascript().await;
    browser.goto(format!("{site}/at-once")).await.unwrap();
    let page = browser.text().await;
    assert!(page.contains("Without JavaScript"), "{page}");
    click(&browser, "#at-once button").await;
    assert_eq!(browser.text_of("#count").await, "50");

    log_in(&browser, &site).await;
    click(&browser, "nav a[href='/chat']").await;
    let page = browser.text().await;
    assert!(page.contains("The chat needs JavaScript"), "{page}");
}
