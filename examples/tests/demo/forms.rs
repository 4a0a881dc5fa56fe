//! Forms, and what may not send them.

use http::StatusCode;

use crate::program::Shop;

#[tokio::test]
async fn a_form_without_its_token_does_nothing() {
    let shop = Shop::open().await;
    let ann = shop.visitor();
    ann.sends("/cart/key/add", "").await;
    ann.sends("/login", "name=Ann").await;
    // The first tells what is told once, the second forgets it.
    ann.sees("/").await;
    ann.sees("/").await;
    let before = ann.sees("/session").await;
    let of_another = shop.visitor().token().await;
    for path in [
        "/cart/key/add",
        "/cart/key/remove",
        "/login",
        "/logout",
        "/at-once",
        "/at-once/one",
        "/devices/others",
    ] {
        for fields in ["name=Bob&times=9", &format!("_token={of_another}&times=9")] {
            let page = ann.plain_form(path, fields).await;
            assert_eq!(page.status(), StatusCode::FORBIDDEN, "{path}");
            assert!(page.text().contains("That was not done"), "{path}");
        }
    }
    let version = |page: &str| {
        let (_, version) = page.split_once("Version</dt><dd>").unwrap();
        version.split_once('<').unwrap().0.to_owned()
    };
    let after = ann.sees("/session").await;
    assert_eq!(version(&after), version(&before), "nothing was written");
}

#[tokio::test]
async fn fifty_at_once_are_all_counted() {
    let shop = Shop::open().await;
    let ann = shop.visitor();
    assert!(
        ann.sees("/at-once")
            .await
            .contains("<strong id=\"count\">0</strong>")
    );
    let token = ann.token().await;
    let fields = format!("_token={token}");
    let all = (0..50).map(|_| ann.plain_form("/at-once/one", &fields));
    let mut counts = Vec::new();
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
        let added: serde_json::Value = answer.json();
        assert_eq!(added["node"], 1);
        counts.push(added["count"].as_i64().unwrap());
    }
    counts.sort_unstable();
    assert!(counts.into_iter().eq(1..=50), "each its own");
    assert_eq!(ann.sees("/at-once/count").await, "50");

    // Without JavaScript, and never more than that.
    ann.sends("/at-once", "times=50").await;
    ann.sends("/at-once", "times=255").await;
    assert_eq!(ann.sees("/at-once/count").await, "150");
}
