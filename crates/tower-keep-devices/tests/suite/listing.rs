//! What a list shows, and to whom.

use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use http::{Method, Request, StatusCode};
use serde_json::json;
use tower_keep::StoreErrorKind;
use tower_keep_testkit::{Fault, Script, Verb};

use crate::app::{
    DEVICES, EDGE, FIREFOX, MINUTE, SAFARI, Site, attribute, id_of, is_logged_in, json, page,
};

#[tokio::test]
async fn f6_a_list_shows_every_device_with_its_address_and_when_it_was_seen() {
    let site = Site::new();
    let (desk, phone) = site.desk_and_phone().await;
    let bob = site.browser("bob", EDGE, "198.51.100.1").await;

    let html = page(&desk).await;
    let (_, own) = html.split_once("This device").unwrap();
    let (own, others) = own.split_once("Other devices").unwrap();
    for text in ["Firefox on Linux", "203.0.113.5", "Active now"] {
        assert!(own.contains(text), "{text}: {html}");
    }
    for text in ["Safari on iPhone", "2001:db8::7", "30 minutes ago"] {
        assert!(others.contains(text), "{text}: {html}");
    }
    let datetime = attribute(others, "time datetime", "datetime");
    assert!(
        datetime.ends_with('Z') && datetime.len() == 20,
        "{datetime}"
    );
    let shown = format!("({} {} UTC)", &datetime[..10], &datetime[11..16]);
    assert!(others.contains(&shown), "{shown}: {others}");
    let (_, list) = json(&desk, Method::GET, DEVICES).await;
    assert_eq!(list["devices"][1]["id"], json!(id_of(&phone).to_string()));
    assert_eq!(list["devices"][1]["last_seen"], json!(datetime));
    for foreign in ["Edge", "198.51.100.1", &id_of(&bob).to_string()] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    assert!(!html.contains("<script"), "{html}");
    assert!(
        !html.contains("style="),
        "a strict policy refuses it: {html}"
    );
}

#[tokio::test]
async fn f6_who_is_unknown_is_said_to_be() {
    let site = Site::new();
    let lynx = site.visitor("<b>Lynx</b>");
    lynx.post("/login/ann", "").await;
    let desk = site.browser("ann", FIREFOX, "203.0.113.5").await;
    let html = page(&desk).await;
    assert!(html.contains("Unknown device"), "{html}");
    assert!(html.contains("<dd>Unknown</dd>"), "its address: {html}");
    assert!(!html.contains("Lynx"), "{html}");
    // One that was made without a request has neither.
    site.sessions.create(Some("ann"), [("n", 1)]).await.unwrap();
    let html = page(&desk).await;
    assert_eq!(html.matches("Unknown device").count(), 2, "{html}");
}

#[tokio::test]
async fn f6_the_list_as_json() {
    let site = Site::new();
    let (desk, phone) = site.desk_and_phone().await;
    let (answer, list) = json(&desk, Method::GET, DEVICES).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(list["next"], json!(null));
    let [own, other] = list["devices"].as_array().unwrap().as_slice() else {
        panic!("{list}");
    };
    for (field, value) in [
        ("id", json!(id_of(&desk).to_string())),
        ("current", json!(true)),
        ("browser", json!("Firefox")),
        ("system", json!("Linux")),
        ("kind", json!("computer")),
        ("user_agent", json!(FIREFOX)),
        ("address", json!("203.0.113.5")),
    ] {
        assert_eq!(own[field], value, "{field}");
    }
    assert_eq!(other["id"], json!(id_of(&phone).to_string()));
    assert_eq!(other["current"], json!(false));
    assert_eq!(other["kind"], json!("phone"));
    for instant in ["last_seen", "logged_in", "expires"] {
        let (early, late) = (other[instant].as_str(), own[instant].as_str());
        assert!(early.unwrap() < late.unwrap(), "{instant}: {list}");
    }
    // Looking takes no lock, so there is none to give back. What lists is no verb, and not counted.
    site.store.calls().clear();
    json(&desk, Method::GET, DEVICES).await;
    let calls = site.store.calls();
    assert_eq!((calls.of(Verb::Open), calls.total()), (1, 1), "{calls:?}");
}

#[tokio::test]
async fn f6_who_is_not_logged_in_is_sent_to_the_login_page_or_told_so() {
    let site = Site::with(|devices| devices.login_path("/enter?from=devices"));
    let stranger = site.visitor(FIREFOX);
    let guest = site.visitor(FIREFOX);
    guest.post("/visit", "").await;
    let id = id_of(&site.browser("ann", SAFARI, "::1").await);
    for client in [&stranger, &guest] {
        let others = format!("{DEVICES}/others");
        let one = format!("{DEVICES}/{id}");
        for (method, path) in [
            (Method::GET, DEVICES),
            (Method::POST, &others),
            (Method::POST, &one),
        ] {
            let request = Request::builder().method(method.clone()).uri(path);
            let request = request.body(axum::body::Body::empty()).unwrap();
            let answer = client.request(request).await;
            assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{method} {path}");
            assert_eq!(answer.location(), Some("/enter?from=devices"));
            assert_eq!(answer.header(CACHE_CONTROL), Some("no-store"));
        }
        for (method, path) in [
            (Method::GET, DEVICES),
            (Method::POST, &others),
            (Method::DELETE, &others),
            (Method::DELETE, &one),
        ] {
            let (answer, told) = json(client, method.clone(), path).await;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
            let expected = json!({"error": "not_logged_in", "login": "/enter?from=devices"});
            assert_eq!(told, expected);
        }
    }
    assert_eq!(
        stranger.cookie("__Host-id"),
        None,
        "asking starts no session"
    );
    assert_eq!(
        site.sessions.of("ann").destroy_others().await.unwrap(),
        [id]
    );
}

#[tokio::test]
async fn f6_headers_keep_pages_out_of_caches_and_frames() {
    let site = Site::new();
    let (desk, _) = site.desk_and_phone().await;
    let answer = desk.get(DEVICES).await;
    assert_eq!(
        answer.header(CONTENT_TYPE),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(answer.header(CACHE_CONTROL), Some("no-store"));
    let policy = answer.header(CONTENT_SECURITY_POLICY).unwrap();
    for rule in [
        "default-src 'none'",
        "style-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    let vary: Vec<_> = answer.headers().get_all(VARY).iter().collect();
    let vary = format!("{vary:?}").to_lowercase();
    assert!(vary.contains("accept") && vary.contains("cookie"), "{vary}");

    // The stylesheet is the same for everybody: it costs no call to the store.
    let before = site.store.calls().total();
    let style = attribute(&answer.text(), "rel=\"stylesheet\"", "href");
    let style = site.visitor(FIREFOX).get(&style).await;
    assert_eq!(style.status(), StatusCode::OK);
    assert_eq!(style.header(CONTENT_TYPE), Some("text/css; charset=utf-8"));
    assert!(style.header(CACHE_CONTROL).unwrap().contains("immutable"));
    assert_eq!(site.store.calls().total(), before);
}

#[tokio::test]
async fn f6_a_very_long_list_has_pages() {
    let site = Site::new();
    let desk = site.browser("ann", FIREFOX, "203.0.113.5").await;
    for number in 0..110 {
        site.clock.advance(MINUTE / 60);
        let started = site.sessions.create(Some("ann"), [("n", number)]).await;
        started.unwrap();
    }
    let mut path = DEVICES.to_owned();
    let mut seen = std::collections::BTreeSet::new();
    for expected in [50, 50, 10] {
        let page = desk.get(&path).await.text();
        let cards = page.matches("<li class=\"keep-card\"").count();
        assert_eq!(cards, expected);
        assert!(page.contains("Active now"), "this device is on every page");
        let ids = page
            .split("id=\"keep-name-")
            .skip(1)
            .map(|rest| rest[..36].to_owned());
        seen.extend(ids);
        if expected == 50 {
            path = attribute(&page, "?before=", "href");
        } else {
            assert!(!page.contains("?before="), "the list is over");
        }
    }
    assert_eq!(seen.len(), 111);

    let (_, first) = json(&desk, Method::GET, DEVICES).await;
    let next = first["next"].as_str().unwrap();
    let (_, second) = json(&desk, Method::GET, &format!("{DEVICES}?before={next}")).await;
    assert_eq!(first["devices"].as_array().unwrap().len(), 50);
    assert_eq!(first["devices"][49]["id"], json!(next));
    assert!(second["devices"][0]["id"].as_str().unwrap() < next);
    // What is no id asks for the beginning.
    let (_, again) = json(&desk, Method::GET, &format!("{DEVICES}?before=x")).await;
    assert_eq!(again, first);
}

#[tokio::test]
async fn f6_an_outage_is_no_empty_list() {
    let site = Site::new();
    let (desk, _) = site.desk_and_phone().await;
    let every = Script::new().every(Fault::Fail(StoreErrorKind::Unavailable));
    site.store.set_script(every);
    let answer = desk.get(DEVICES).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.set_cookies().is_empty());
    site.store.set_script(Script::new());
    assert!(is_logged_in(&desk).await);
}
