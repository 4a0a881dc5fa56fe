//! Two browsers with profiles of their own, logged in as the same user to the example.

use tower_keep_browser::thirtyfour::prelude::*;
use tower_keep_browser::{Browser, serve};

use crate::example;

/// Logs in by a form, as people do.
async fn log_in(browser: &Browser, site: &str) {
    browser.goto(format!("{site}/login")).await.unwrap();
    let name = browser.the("input[name=name]").await;
    name.send_keys("Ann").await.unwrap();
    browser.follow(&browser.the("main button").await).await;
    assert_eq!(browser.path().await, "/", "{}", browser.text().await);
}

/// The one button of this name, as a screen reader names it.
async fn button(browser: &Browser, name: &str) -> WebElement {
    let mut found = Vec::new();
    for button in browser.find_all(By::Css("button")).await.unwrap() {
        found.push((label(browser, &button).await, button));
    }
    let names: Vec<_> = found.iter().map(|(name, _)| name.clone()).collect();
    let at = names.iter().position(|it| it == name);
    let at = at.unwrap_or_else(|| panic!("no button {name} but {names:?}"));
    found.swap_remove(at).1
}

/// Its accessible name, of what it is labelled by or of what is in it. Works without JavaScript.
async fn label(browser: &Browser, element: &WebElement) -> String {
    let Some(ids) = element.attr("aria-labelledby").await.unwrap() else {
        return element.text().await.unwrap();
    };
    let mut words = Vec::new();
    for id in ids.split(' ') {
        let part = browser.the(&format!("[id='{id}']")).await;
        words.push(part.text().await.unwrap());
    }
    words.join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn f6_one_browser_ends_the_other() {
    let site = serve(example::app().unwrap()).await;
    let (desk, other) = tokio::join!(Browser::open(), Browser::open());
    log_in(&desk, &site).await;
    log_in(&other, &site).await;
    // It is on a page of somebody who is logged in.
    assert!(other.text().await.contains("Hello, Ann"));

    desk.follow(&desk.the("a[href='/devices']").await).await;
    let page = desk.text().await;
    assert!(
        page.contains("Active now") && page.contains("127.0.0.1"),
        "{page}"
    );
    assert_eq!(page.matches("Chrome on Linux").count(), 2, "{page}");
    let theirs = desk.the("li button").await;
    assert_eq!(label(&desk, &theirs).await, "Log out Chrome on Linux");
    desk.follow(&theirs).await;
    let page = desk.text().await;
    assert!(page.contains("Chrome on Linux is logged out."), "{page}");
    assert!(
        page.contains("You are not logged in anywhere else."),
        "{page}"
    );
    desk.refresh().await.unwrap();
    let page = desk.text().await;
    assert!(!page.contains("is logged out."), "told again: {page}");

    other.follow(&other.the("a[href='/devices']").await).await;
    assert_eq!(other.path().await, "/login", "at the next click");
    desk.goto(&site).await.unwrap();
    assert!(desk.text().await.contains("Hello, Ann"));
}

#[tokio::test(flavor = "multi_thread")]
async fn f6_all_others_are_ended_without_javascript() {
    let site = serve(example::app().unwrap()).await;
    let (desk, other) = tokio::join!(Browser::without_javascript(), Browser::open());
    let script = "data:text/html,<title>off</title><script>document.title='on'</script>";
    desk.goto(script).await.unwrap();
    assert_eq!(desk.title().await.unwrap(), "off", "it really is");
    other.goto(script).await.unwrap();
    assert_eq!(other.title().await.unwrap(), "on");

    log_in(&other, &site).await;
    // The same browser once more, after its cookies were lost.
    log_in(&desk, &site).await;
    desk.delete_all_cookies().await.unwrap();
    log_in(&desk, &site).await;
    desk.goto(format!("{site}/devices")).await.unwrap();
    let all = button(&desk, "Log out all other devices").await;
    desk.follow(&all).await;
    assert_eq!(desk.path().await, "/devices");
    let page = desk.text().await;
    assert!(page.contains("2 other devices are logged out."), "{page}");

    other.refresh().await.unwrap();
    let page = other.text().await;
    assert!(
        !page.contains("Hello, Ann") && page.contains("Log in"),
        "{page}"
    );

    // This device last.
    let this = button(&desk, "Log out Chrome on Linux").await;
    desk.follow(&this).await;
    assert_eq!(desk.path().await, "/login");
    assert!(
        desk.get_all_cookies().await.unwrap().len() <= 1,
        "that of the login form"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f6_a_keyboard_is_enough() {
    let site = serve(example::app().unwrap()).await;
    let desk = Browser::open().await;
    log_in(&desk, &site).await;
    desk.delete_all_cookies().await.unwrap();
    log_in(&desk, &site).await;
    desk.goto(format!("{site}/devices")).await.unwrap();

    let mut names = Vec::new();
    for _ in 0..3 {
        let focused = tab(&desk).await;
        names.push(label(&desk, &focused).await);
        // The ring around it is seen.
        let style = focused.css_value("outline-style").await.unwrap();
        let width = focused.css_value("outline-width").await.unwrap();
        assert_eq!(
            (style.as_str(), width.as_str()),
            ("solid", "3px"),
            "{names:?}"
        );
    }
    let device = "Log out Chrome on Linux";
    assert_eq!(names, [device, device, "Log out all other devices"]);

    desk.refresh().await.unwrap();
    tab(&desk).await;
    tab(&desk).await;
    desk.leave(async || press(&desk, Key::Enter).await).await;
    let told = "Chrome on Linux is logged out.";
    assert_eq!(desk.text_of("[role=status]").await, told);
    // The focus is there once the page is shown.
    desk.until("what is told has the focus", async || {
        let focused = desk.active_element().await.unwrap();
        focused.text().await.unwrap() == told
    })
    .await;
    let focused = tab(&desk).await;
    assert_eq!(
        label(&desk, &focused).await,
        device,
        "and it goes on from there"
    );
}

/// Presses a key where the focus is.
async fn press(browser: &Browser, key: Key) {
    let keys = browser.action_chain().send_keys(key);
    keys.perform().await.unwrap();
}

/// Goes to what a keyboard comes to next.
async fn tab(browser: &Browser) -> WebElement {
    press(browser, Key::Tab).await;
    browser.active_element().await.unwrap()
}
