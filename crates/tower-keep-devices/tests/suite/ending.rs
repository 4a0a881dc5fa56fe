//! One is ended, or all others are.

use http::header::CACHE_CONTROL;
use http::{Method, StatusCode};
use serde_json::json;
use tower_keep::Clock as _;
use tower_keep::SessionId;

use crate::app::{
    DEVICES, EDGE, SAFARI, Site, end_path, id_of, is_logged_in, json, page, send_form,
};

#[tokio::test]
async fn f6_one_is_ended_and_told_of_once() {
    let site = Site::new();
    let (desk, phone) = site.desk_and_phone().await;
    let tablet = site.browser("ann", EDGE, "203.0.113.6").await;
    let html = page(&desk).await;
    let answer = send_form(&desk, &html, &end_path(id_of(&phone))).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{answer:?}");
    assert_eq!(answer.location(), Some(DEVICES));
    assert_eq!(answer.header(CACHE_CONTROL), Some("no-store"));

    assert!(!is_logged_in(&phone).await);
    assert!(is_logged_in(&desk).await && is_logged_in(&tablet).await);
    let html = page(&desk).await;
    assert!(html.contains("Safari on iPhone is logged out."), "{html}");
    assert!(html.contains("role=\"status\""), "{html}");
    assert!(!html.contains(&id_of(&phone).to_string()));
    let html = page(&desk).await;
    assert!(!html.contains("is logged out."), "told again: {html}");
}

#[tokio::test]
async fn f6_all_others_are_ended_and_counted() {
    let site = Site::new();
    let (desk, phone) = site.desk_and_phone().await;
    let tablet = site.browser("ann", EDGE, "203.0.113.6").await;
    let bob = site.browser("bob", EDGE, "198.51.100.1").await;
    let html = page(&desk).await;
    let answer = send_form(&desk, &html, &format!("{DEVICES}/others")).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{answer:?}");
    assert_eq!(answer.location(), Some(DEVICES));
    for (client, logged_in) in [
        (&desk, true),
        (&phone, false),
        (&tablet, false),
        (&bob, true),
    ] {
        assert_eq!(is_logged_in(client).await, logged_in);
    }
    let html = page(&desk).await;
    assert!(html.contains("2 other devices are logged out."), "{html}");
    assert!(
        html.contains("You are not logged in anywhere else."),
        "{html}"
    );
    assert!(!html.contains("/others\""), "no button for nothing: {html}");
}

#[tokio::test]
async fn f6_this_device_is_logged_out_by_its_own_button() {
    let site = Site::new();
    let (desk, phone) = site.desk_and_phone().await;
    let html = page(&desk).await;
    let answer = send_form(&desk, &html, &end_path(id_of(&desk))).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.location(), Some("/login"));
    assert_eq!(desk.cookie("__Host-id"), None, "the cookie is taken back");
    assert!(is_logged_in(&phone).await);

    let (answer, told) = json(&phone, Method::DELETE, &end_path(id_of(&phone))).await;
    assert_eq!(answer.status(), StatusCode::OK, "{told}");
    assert_eq!(phone.cookie("__Host-id"), None);
    assert!(
        site.sessions
            .of("ann")
            .list(<_>::default())
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn f6_another_users_session_is_answered_as_one_that_does_not_exist() {
    let site = Site::new();
    let (desk, phone) = site.desk_and_phone().await;
    let bob = site.browser("bob", SAFARI, "198.51.100.1").await;
    let guest = site.visitor(EDGE);
    guest.post("/visit", "").await;
    let gone = id_of(&phone);
    site.sessions.destroy(gone).await.unwrap();
    let unknown = SessionId::new(site.clock.now()).to_string();
    let html = page(&desk).await;
    let token = crate::app::attribute(&html, "name=\"_token\"", "value");

    let mut pages = Vec::new();
    let ids = [id_of(&bob), id_of(&guest), gone].map(|id| id.to_string());
    for id in ids.iter().chain([&unknown, &"x".to_owned()]) {
        let path = format!("{DEVICES}/{id}");
        let answer = desk.post_form(&path, [("_token", &token)]).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{id}");
        let html = answer.text();
        assert!(
            html.contains("That device is not logged in any more."),
            "{html}"
        );
        assert!(html.contains("role=\"alert\""), "{html}");
        // Each page has its own form of the token.
        let token = crate::app::attribute(&html, "name=\"_token\"", "value");
        pages.push(html.replace(&token, "TOKEN"));

        let (answer, told) = json(&desk, Method::DELETE, &path).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(told, json!({"error": "not_found"}));
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:#?}");
    assert!(is_logged_in(&bob).await);
    assert!(site.sessions.get(id_of(&guest)).await.unwrap().is_some());
}

#[tokio::test]
async fn f6_scripts_end_devices_by_delete() {
    let site = Site::new();
    let (desk, phone) = site.desk_and_phone().await;
    let tablet = site.browser("ann", EDGE, "203.0.113.6").await;
    let (answer, told) = json(&desk, Method::DELETE, &end_path(id_of(&phone))).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(told, json!({"ended": [id_of(&phone).to_string()]}));
    assert!(!is_logged_in(&phone).await && is_logged_in(&tablet).await);

    let (_, told) = json(&desk, Method::DELETE, &format!("{DEVICES}/others")).await;
    assert_eq!(told, json!({"ended": [id_of(&tablet).to_string()]}));
    assert!(!is_logged_in(&tablet).await && is_logged_in(&desk).await);
    let (_, told) = json(&desk, Method::POST, &format!("{DEVICES}/others")).await;
    assert_eq!(told, json!({"ended": []}), "a form's way, answered as JSON");
    assert!(
        !page(&desk).await.contains("logged out"),
        "scripts leave no message"
    );
}

#[tokio::test]
async fn f6_who_was_ended_meanwhile_ends_nobody() {
    let site = Site::new();
    let (desk, phone) = site.desk_and_phone().await;
    let html = page(&phone).await;
    json(&desk, Method::DELETE, &format!("{DEVICES}/others")).await;
    let answer = send_form(&phone, &html, &end_path(id_of(&desk))).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.location(), Some("/login"));
    assert!(is_logged_in(&desk).await);
}
