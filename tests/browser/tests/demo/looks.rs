//! How the pages look: on a desk and on a phone, in the light and in the dark.

use std::path::Path;

use tower_keep_browser::{Browser, View, problems};

use crate::at_once::fifty;
use crate::two::say;
use crate::{click, log_in, open_one};

const VIEWS: [(&str, View); 4] = [
    ("", View::DESKTOP),
    ("-dark", View::DESKTOP.dark()),
    ("-phone", View::PHONE),
    ("-phone-dark", View::PHONE.dark()),
];

/// With `KEEP_PICTURES` set to a directory, pictures of every page are kept there, as
/// `demo-chat-phone-dark.png`; some are those of `docs/pictures`, which have fewer colours.
#[tokio::test(flavor = "multi_thread")]
async fn f6_the_demo_is_accessible_on_a_desk_and_on_a_phone() {
    let (_nodes, site) = open_one().await;
    let browser = Browser::open().await;
    browser.goto(&site).await.unwrap();
    click(&browser, "form[action='/cart/shield/add'] button").await;
    click(&browser, "form[action='/cart/candle/add'] button").await;
    for (name, path) in [
        ("login", "/login"),
        ("chat-out", "/chat"),
        ("cart", "/cart"),
        ("nothing", "/nothing"),
    ] {
        browser.goto(format!("{site}{path}")).await.unwrap();
        look(&browser, name).await;
    }
    log_in(&browser, &site).await;
    for (name, path) in [
        ("shop", "/"),
        ("devices", "/devices"),
        ("session", "/session"),
    ] {
        browser.goto(format!("{site}{path}")).await.unwrap();
        look(&browser, name).await;
    }
    browser.goto(format!("{site}/at-once")).await.unwrap();
    fifty(&browser, "50 counted").await;
    look(&browser, "at-once").await;
    browser.goto(format!("{site}/chat")).await.unwrap();
    say(&browser, "Is the oak shield any good?").await;
    browser.until_says("#said", "any good?").await;
    look(&browser, "chat").await;

    let refused = browser.console().await;
    let refused = refused.iter().filter(|it| it.contains("Security Policy"));
    assert_eq!(refused.count(), 0, "the pages keep their own policy");
}

async fn look(browser: &Browser, name: &str) {
    let pictures = std::env::var_os("KEEP_PICTURES");
    for (kind, view) in VIEWS {
        browser.view(view).await;
        let none: [&str; 0] = [];
        assert_eq!(problems(browser).await, none, "{name}{kind}");
        if let Some(directory) = &pictures {
            let file = format!("demo-{name}{kind}.png");
            browser
                .picture(view, &Path::new(directory).join(file))
                .await;
        }
    }
}
