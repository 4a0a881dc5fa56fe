//! A visit: a cart, a login, what is told once, and a form that is not the shop's.

use tower_keep_browser::Browser;

use crate::{click, log_in, open_one};

#[tokio::test(flavor = "multi_thread")]
async fn f6_a_visit_to_the_demo() {
    let (_nodes, site) = open_one().await;
    let browser = Browser::open().await;
    browser.goto(&site).await.unwrap();
    let told = "Iron key is in your cart.";
    click(&browser, "form[action='/cart/key/add'] button").await;
    assert_eq!(browser.text_of("[role=status]").await, told);
    assert_eq!(browser.path().await, "/");
    browser.refresh().await.unwrap();
    assert!(!browser.text().await.contains(told), "told once");

    // A login keeps the cart and replaces the cookie.
    let cookie = browser.get_named_cookie("id").await.unwrap().value;
    log_in(&browser, &site).await;
    let after = browser.get_named_cookie("id").await.unwrap().value;
    assert_ne!(cookie, after);
    click(&browser, "nav a[href='/cart']").await;
    assert_eq!(browser.text_of(".total").await, "Total €4.50");

    // The same form without its token, as another site would have to make it.
    let bare = "document.querySelector('.cart form:last-child [name=_token]').remove()";
    browser.execute(bare, Vec::new()).await.unwrap();
    click(&browser, ".cart form:last-child button").await;
    let page = browser.text().await;
    assert!(page.contains("That was not done"), "{page}");
    browser.goto(format!("{site}/cart")).await.unwrap();
    assert_eq!(
        browser.text_of(".total").await,
        "Total €4.50",
        "still there"
    );
    click(&browser, ".cart form:last-child button").await;
    let page = browser.text().await;
    assert!(page.contains("Iron key: removed."), "{page}");

    click(&browser, "nav form button").await;
    let page = browser.text().await;
    assert!(page.contains("You are logged out"), "{page}");
}
