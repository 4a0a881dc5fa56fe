//! The shop and its cart, logging in and out.

use http::StatusCode;
use http::header::LOCATION;

use crate::program::Shop;

#[tokio::test]
async fn visits_are_counted() {
    let shop = Shop::open().await;
    let ann = shop.visitor();
    assert!(ann.sees("/").await.contains("your first visit"));
    assert!(ann.sees("/").await.contains("<strong>2</strong> times"));
    let bob = shop.visitor();
    assert!(bob.sees("/").await.contains("your first visit"));
    assert!(ann.sees("/").await.contains("<strong>3</strong> times"));
}

#[tokio::test]
async fn the_cart_is_filled_changed_and_emptied() {
    let shop = Shop::open().await;
    let ann = shop.visitor();
    assert!(ann.sees("/cart").await.contains("It is empty"));
    assert_eq!(ann.cookie(), None, "looking starts no session");

    ann.sends("/cart/key/add", "").await;
    ann.sends("/cart/key/add", "").await;
    ann.sends("/cart/map/add", "").await;
    let cart = ann.sees("/cart").await;
    assert!(cart.contains("Iron key") && cart.contains("Map of the realm"));
    assert!(cart.contains("<strong>€27.00</strong>"), "{cart}");

    let answer = ann.sends("/cart/key/quantity", "quantity=5").await;
    assert_eq!(answer.header(LOCATION), Some("/cart"));
    assert!(ann.sees("/cart").await.contains("<strong>€40.50</strong>"));
    ann.sends("/cart/key/quantity", "quantity=4000000000").await;
    assert!(ann.sees("/cart").await.contains("<strong>€463.50</strong>"));

    ann.sends("/cart/key/remove", "").await;
    ann.sends("/cart/map/quantity", "quantity=0").await;
    assert!(ann.sees("/cart").await.contains("It is empty"));
}

#[tokio::test]
async fn what_is_not_there_or_not_understood_has_a_page() {
    let shop = Shop::open().await;
    let ann = shop.visitor();
    for (path, fields, status) in [
        ("/cart/dragon/add", "", StatusCode::NOT_FOUND),
        (
            "/cart/key/quantity",
            "quantity=-1",
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        ("/login", "name=++", StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let page = ann.form(path, fields).await;
        assert_eq!(page.status(), status, "{path}");
        assert!(page.text().contains("The Keep Shop"), "{path}");
    }
    assert!(ann.sees("/session").await.contains("No data."));
}

#[tokio::test]
async fn a_flash_message_is_shown_once() {
    let shop = Shop::open().await;
    let ann = shop.visitor();
    ann.sends("/cart/rook/add", "").await;
    let message = "Chess rook is in your cart.";
    // This page only looks.
    assert!(ann.sees("/session").await.contains(message));
    assert!(ann.sees("/").await.contains(message));
    assert!(!ann.sees("/").await.contains(message));
}

#[tokio::test]
async fn a_login_replaces_the_cookie_and_keeps_the_cart() {
    let shop = Shop::open().await;
    let ann = shop.visitor();
    ann.sends("/cart/shield/add", "").await;
    let thief = ann.fork();
    let before = ann.cookie();
    assert!(thief.sees("/cart").await.contains("Oak shield"));

    ann.sends("/login", "name=Ann").await;
    assert!(ann.cookie().is_some());
    assert_ne!(ann.cookie(), before);
    let front = ann.sees("/").await;
    assert!(front.contains("Welcome, Ann!") && front.contains("Good to see you, Ann"));
    assert!(ann.sees("/cart").await.contains("Oak shield"));

    assert_eq!(thief.cookie(), before);
    assert!(thief.sees("/cart").await.contains("It is empty"));
    assert!(!thief.sees("/session").await.contains("Ann"));
}

#[tokio::test]
async fn a_logout_ends_the_session_for_everybody_who_has_its_cookie() {
    let shop = Shop::open().await;
    let ann = shop.visitor();
    ann.sends("/cart/banner/add", "").await;
    ann.sends("/login", "name=Ann").await;
    let copy = ann.fork();
    assert!(copy.sees("/cart").await.contains("Silk banner"));

    ann.sends("/logout", "").await;
    assert_ne!(ann.cookie(), copy.cookie());
    let front = ann.sees("/").await;
    assert!(front.contains("You are logged out") && front.contains("your first visit"));
    for visitor in [&ann, &copy] {
        assert!(visitor.sees("/cart").await.contains("It is empty"));
        assert!(!visitor.sees("/session").await.contains("Ann"));
    }
}

#[tokio::test]
async fn who_watches_the_shop_needs_no_session() {
    let shop = Shop::open().await;
    let watcher = shop.visitor();
    let answer = watcher.client.get("/health").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let health: serde_json::Value = answer.json();
    assert!(health["tasks"].as_u64().unwrap() > 0, "{health}");
    assert_eq!((answer.header("vary"), watcher.cookie()), (None, None));
}

#[tokio::test]
async fn devices_are_in_the_shops_own_frame() {
    let shop = Shop::open().await;
    let (desk, phone) = (shop.visitor(), shop.visitor());
    let answer = desk.client.get("/devices").await;
    assert_eq!(answer.header(LOCATION), Some("/login"), "{answer:?}");
    desk.sends("/cart/key/add", "").await;
    for visitor in [&desk, &phone] {
        visitor.sends("/login", "name=Ann").await;
    }

    let page = desk.sees("/devices").await;
    let link = r#"<a href="/devices" aria-current="page">Devices</a>"#;
    for part in [link, "The Keep Shop", "Log out all other devices"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(
        page.contains(r#"<span class="badge">1"#),
        "the cart: {page}"
    );
    assert!(page.contains("127.0.0.1"), "the address: {page}");
    desk.sends("/devices/others", "").await;
    let page = desk.sees("/devices").await;
    assert!(page.contains("1 other device is logged out."), "{page}");
    assert!(phone.sees("/").await.contains("Welcome to the keep"));
}
