//! Requests that another site has made in the user's name.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use serde_json::Value;
use tower_keep::CsrfLayer;

use crate::app::{
    Client, DEVICES, FIREFOX, MINUTE, Site, attribute, end_path, id_of, is_logged_in, json, page,
    send_form,
};

const FORM: &str = "application/x-www-form-urlencoded";

/// Sends it with these header fields, and without the `Sec-Fetch-Site` of a well-behaved browser.
async fn send(
    client: &Client,
    method: Method,
    path: &str,
    fields: &[(&str, &str)],
    form: &str,
) -> tower_keep_testkit::TestResponse {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(CONTENT_TYPE, FORM);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(form.to_owned().into()).unwrap();
    client.request(request).await
}

/// The same browser, of a time when there was no `Sec-Fetch-Site`.
fn old(site: &Site, client: &Client) -> Client {
    let old = tower_keep_testkit::TestClient::with_body(site.app())
        .with_clock(site.clock.clone())
        .with_header("user-agent", FIREFOX);
    old.set_cookie("__Host-id", &client.cookie("__Host-id").unwrap());
    old
}

#[tokio::test]
async fn f6_requests_of_other_sites_end_nothing() {
    let site = Site::new();
    let (desk, phone) = site.desk_and_phone().await;
    page(&desk).await;
    let old = old(&site, &desk);
    let one = end_path(id_of(&phone));
    for (client, fields) in [
        (
            &desk,
            [
                ("sec-fetch-site", "cross-site"),
                (ACCEPT.as_str(), "text/html"),
            ],
        ),
        (
            &old,
            [("origin", "https://evil.example"), (ACCEPT.as_str(), "*/*")],
        ),
        (&old, [("x-csrf-token", "wrong"), (ACCEPT.as_str(), "*/*")]),
        (&old, [("x-nothing", ""), (ACCEPT.as_str(), "*/*")]),
    ] {
        for path in [&one, &format!("{DEVICES}/others")] {
            for method in [Method::POST, Method::DELETE] {
                let answer = send(client, method.clone(), path, &fields, "_token=").await;
                assert_eq!(
                    answer.status(),
                    StatusCode::FORBIDDEN,
                    "{method} {path} {fields:?}"
                );
                if method == Method::DELETE {
                    let told: Value = answer.json();
                    assert_eq!(told["error"], "csrf", "{told}");
                }
            }
        }
    }
    assert!(is_logged_in(&phone).await);
}

#[tokio::test]
async fn f6_every_form_carries_the_sessions_token() {
    let site = Site::with(|devices| {
        let csrf = CsrfLayer::builder().require_token(true).build();
        devices.csrf(csrf.unwrap())
    });
    let (desk, phone) = site.desk_and_phone().await;
    let html = page(&desk).await;
    assert_eq!(html.matches("<form").count(), 3);
    assert_eq!(html.matches("name=\"_token\"").count(), 3);
    assert_eq!(html.matches("method=\"post\"").count(), 3);

    let one = end_path(id_of(&phone));
    let refused = desk.post(&one, "").await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let token = attribute(&html, "name=\"_token\"", "value");
    let old = old(&site, &desk);
    let answer = send(&old, Method::POST, &one, &[], &format!("_token={token}")).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{answer:?}");
    assert!(!is_logged_in(&phone).await);
    // A script has it in a header field.
    let fields = [("x-csrf-token", token.as_str())];
    let answer = send(
        &old,
        Method::DELETE,
        &format!("{DEVICES}/others"),
        &fields,
        "",
    )
    .await;
    assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
}

#[tokio::test]
async fn f6_nothing_is_ended_by_get() {
    let site = Site::new();
    let (desk, phone) = site.desk_and_phone().await;
    for path in [end_path(id_of(&phone)), format!("{DEVICES}/others")] {
        let answer = desk.get(&path).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
    assert!(is_logged_in(&phone).await);
}

#[tokio::test]
async fn f6_ending_others_may_take_a_fresh_proof() {
    let site = Site::with(|devices| devices.require_fresh(5 * MINUTE, "/prove"));
    let (desk, phone) = site.desk_and_phone().await;
    site.clock.advance(6 * MINUTE);
    let html = page(&desk).await;
    for action in [end_path(id_of(&phone)), format!("{DEVICES}/others")] {
        let answer = send_form(&desk, &html, &action).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert_eq!(answer.location(), Some("/prove"), "{action}");
        let (answer, told) = json(&desk, Method::DELETE, &action).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert_eq!(
            told,
            serde_json::json!({"error": "not_fresh", "login": "/prove"})
        );
    }
    assert!(is_logged_in(&phone).await);

    desk.post("/login/ann", "").await;
    let html = page(&desk).await;
    let answer = send_form(&desk, &html, &format!("{DEVICES}/others")).await;
    assert_eq!(answer.location(), Some(DEVICES));
    assert!(!is_logged_in(&phone).await);
    // Logging out takes none.
    site.clock.advance(6 * MINUTE);
    let html = page(&desk).await;
    send_form(&desk, &html, &end_path(id_of(&desk))).await;
    assert!(!is_logged_in(&desk).await);
}
