#[path = "../../sso.rs"]
#[expect(dead_code, reason = "its `main`")]
mod example;

use tower_keep::MemoryStore;

use crate::{Browser, browser, stranger};

/// Goes to the provider; the state with which it would send the browser back.
async fn state(browser: &Browser) -> String {
    let answer = browser.get("/login").await;
    let location = answer.location().unwrap();
    location.split_once("&state=").unwrap().1.to_owned()
}

async fn back(browser: &Browser, user: &str, state: &str) -> u16 {
    let path = format!("/callback?code={user}&state={state}");
    browser.get(&path).await.status().as_u16()
}

async fn log_in(browser: &Browser, user: &str) {
    let state = state(browser).await;
    assert_eq!(back(browser, user, &state).await, 303);
    assert_eq!(browser.get("/").await.text(), user);
}

#[tokio::test]
async fn f5_single_sign_on_logs_out_everywhere() {
    let phone = browser(example::app(MemoryStore::new()).unwrap());
    let [laptop, bob, provider] = [(); 3].map(|()| stranger(&phone));
    log_in(&phone, "ann").await;
    log_in(&laptop, "ann").await;
    log_in(&bob, "bob").await;

    let token = |token| [("logout_token", token)];
    let forged = provider.post_form("/backchannel-logout", token("ann"));
    assert_eq!(forged.await.status(), 400);
    assert_eq!(phone.get("/").await.text(), "ann");

    let told = provider.post_form("/backchannel-logout", token("signed:ann"));
    assert_eq!(told.await.status(), 204);
    assert_eq!(phone.get("/").await.text(), "nobody");
    assert_eq!(laptop.get("/").await.text(), "nobody");
    assert_eq!(bob.get("/").await.text(), "bob");
}

#[tokio::test]
async fn nobody_is_logged_in_with_somebody_elses_state() {
    let ann = browser(example::app(MemoryStore::new()).unwrap());
    let mallory = stranger(&ann);
    let (own, foreign) = (state(&ann).await, state(&mallory).await);
    assert_eq!(back(&ann, "bob", &foreign).await, 400);
    assert_eq!(back(&ann, "bob", "").await, 400);
    assert_eq!(back(&ann, "carol", &own).await, 401);
    // It was good for one time.
    assert_eq!(back(&ann, "ann", &own).await, 400);
    assert_eq!(ann.get("/").await.text(), "nobody");
}
