//! Two browsers with profiles of their own, logged in as the same user.

use tower_keep_browser::Browser;
use tower_keep_browser::thirtyfour::prelude::*;

use crate::{click, log_in, open_one};

/// Says something in the chat, once it is connected.
pub(crate) async fn say(browser: &Browser, text: &str) {
    browser.until_says("#line", "Connected.").await;
    let field = browser.the("#text").await;
    field.send_keys(text).await.unwrap();
    field.send_keys(Key::Enter).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn f6_a_chat_ends_with_its_device() {
    let (_nodes, site) = open_one().await;
    let (desk, other) = tokio::join!(Browser::open(), Browser::open());
    log_in(&other, &site).await;
    click(&other, "nav a[href='/chat']").await;
    log_in(&desk, &site).await;
    click(&desk, "nav a[href='/chat']").await;
    say(&desk, "Is this me?").await;
    say(&other, "It is.").await;
    for browser in [&desk, &other] {
        browser.until_says("#said", "Ann It is.").await;
    }
    assert!(desk.text_of("#said").await.contains("Ann Is this me?"));

    click(&desk, "nav a[href='/devices']").await;
    click(&desk, "li.keep-card button").await;
    let page = desk.text().await;
    assert!(page.contains("Chrome on Linux is logged out."), "{page}");
    // The other one does nothing for it.
    let told = "Closed: Your session has ended.";
    other.until_says("#line", told).await;
    assert!(!other.the("#text").await.is_enabled().await.unwrap());

    click(&other, "nav a[href='/devices']").await;
    assert_eq!(other.path().await, "/login", "at the next click");
    desk.goto(format!("{site}/chat")).await.unwrap();
    say(&desk, "Still here.").await;
    desk.until_says("#said", "Ann Still here.").await;
}
