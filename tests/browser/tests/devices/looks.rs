//! How the page looks: on a desk and on a phone, in the light and in the dark.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use tower_keep::cookie::CookieConfig;
use tower_keep::{Error, MemoryStore, Session, SessionLayer};
use tower_keep_browser::{Browser, View, problems, serve};
use tower_keep_devices::Devices;
use tower_keep_testkit::{TestClient, TestClock};

const MINUTE: Duration = Duration::from_mins(1);

/// When, as what and from where Ann has logged in.
const LOGINS: [(u32, &str, &str); 5] = [
    (
        4_320,
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36 Edg/137.0.3296.52",
        "198.51.100.23",
    ),
    (
        1_500,
        "Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/137.0.7151.79 Mobile/15E148 Safari/604.1",
        "2001:db8:85a3:8d3:1319:8a2e:370:7348",
    ),
    (180, "Lynx/2.9.2", "203.0.113.80"),
    (
        12,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Mobile/15E148 Safari/604.1",
        "203.0.113.5",
    ),
    (
        0,
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "203.0.113.5",
    ),
];

/// An app in which Ann has some devices, and the cookie of the last of them.
async fn some_devices() -> (Router, String) {
    let clock = TestClock::new();
    let store = MemoryStore::with_clock(usize::MAX, Arc::new(clock.clone()));
    let sessions = SessionLayer::builder(store)
        .clock(Arc::new(clock.clone()))
        .cookie(CookieConfig::dev_http())
        .idle_timeout(MINUTE * 10_000)
        .absolute_timeout(MINUTE * 10_000)
        .client_ip(|request| {
            let address = request.headers.get("x-address")?.to_str().ok()?;
            address.parse::<IpAddr>().ok()
        })
        .build()
        .unwrap();
    let app = Router::new()
        .route("/login", post(log_in))
        .nest("/devices", Devices::new(sessions.sessions()).router())
        .layer(sessions);
    let mut client: TestClient<_, axum::body::Body> = TestClient::with_body(app.clone());
    let mut before = LOGINS[0].0;
    for (ago, user_agent, address) in LOGINS {
        clock.advance(MINUTE * (before - ago));
        before = ago;
        client.clear_cookies();
        client = client.with_header("user-agent", user_agent);
        client = client.with_header("x-address", address);
        client.post("/login", "").await;
    }
    let cookie = client.cookie("id").unwrap();
    (app, cookie)
}

async fn log_in(session: Session) -> Result<(), Error> {
    session.set_user("ann")
}

/// With `KEEP_PICTURES` set to a directory, pictures of it are kept there: those of
/// `docs/pictures`, which have fewer colours.
#[tokio::test(flavor = "multi_thread")]
async fn f6_the_page_is_accessible_on_a_desk_and_on_a_phone() {
    let (app, cookie) = some_devices().await;
    let site = serve(app).await;
    let browser = Browser::open().await;
    let page = format!("{site}/devices");
    // A page of the site, so that it can have a cookie.
    browser.goto(format!("{page}/style.css")).await.unwrap();
    browser.set_cookie("id", &cookie).await;
    browser.goto(&page).await.unwrap();
    for text in [
        "Firefox on Linux",
        "Chrome on iPad",
        "Unknown device",
        "12 minutes ago",
        "3 days ago",
    ] {
        let page = browser.text().await;
        assert!(page.contains(text), "{text}: {page}");
    }
    let pictures = std::env::var_os("KEEP_PICTURES");
    let pictures = pictures.as_deref().map(Path::new);
    for (name, view) in [
        (Some("devices.png"), View::DESKTOP),
        (None, View::DESKTOP.dark()),
        (Some("devices-phone.png"), View::PHONE),
        (Some("devices-phone-dark.png"), View::PHONE.dark()),
    ] {
        browser.view(view).await;
        let none: [&str; 0] = [];
        assert_eq!(problems(&browser).await, none, "{view:?}");
        if let (Some(directory), Some(name)) = (pictures, name) {
            browser.picture(view, &directory.join(name)).await;
        }
    }
    // The page's own policy lets its stylesheet in.
    let card = browser.the(".keep-current").await;
    assert_eq!(card.css_value("border-radius").await.unwrap(), "12px");
    let refused = browser.console().await;
    let refused: Vec<_> = refused
        .iter()
        .filter(|it| it.contains("Content Security Policy"))
        .collect();
    assert!(refused.is_empty(), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f6_the_look_at_a_page_finds_what_is_wrong() {
    let page = "data:text/html,<h1>One</h1><h3>Three</h3><input name=n><button \
                style='width:9px;height:9px;padding:0'></button><p style='width:900px;\
                color:%23aaa' id=a>pale</p><p id=a aria-labelledby=nothing></p>";
    let browser = Browser::open().await;
    browser.view(View::PHONE).await;
    browser.goto(page).await.unwrap();
    let found = problems(&browser).await;
    for number in [
        "3.1.1", "2.4.2", "1.3.1", "3.3.2", "2.5.8", "1.4.10", "1.4.3",
    ] {
        let starts = format!("{number}: ");
        assert!(
            found.iter().any(|it| it.starts_with(&starts)),
            "{number}: {found:#?}"
        );
    }
    for text in [
        "0 main landmarks",
        "h3 after h1",
        "an id twice",
        "refers to nothing",
    ] {
        assert!(
            found.iter().any(|it| it.contains(text)),
            "{text}: {found:#?}"
        );
    }
}
