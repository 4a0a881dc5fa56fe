//! The CSRF layer: what it costs, what it is told, and what it answers. Which requests pass is in
//! `csrf_matrix.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::convert::Infallible;

use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use common::csrf::{client, form, post, routes, send, status, usual};
use common::{Backend, Client};
use http::header::{HOST, ORIGIN, UPGRADE};
use http::{Request, Response, StatusCode, Version};
use http_body_util::Full;
use tower::{Layer, service_fn};
use tower_keep::{CsrfConfigError, CsrfLayer, CsrfLayerBuilder, Error, Keyed, Session};
use tower_keep_testkit::{Fault, Script, TestClient};

#[tokio::test(start_paused = true)]
async fn d1_what_needs_no_token_does_not_open_the_session() {
    let backend = Backend::remote();
    let client = usual(&backend);
    client.get("/form").await;
    backend.faults.calls().clear();
    let own = |path| post(path).header("sec-fetch-site", "same-origin");
    let foreign = |path| post(path).header(ORIGIN, "https://evil.test");
    for (request, code) in [
        (Request::get("/do"), 200),
        (Request::head("/do"), 200),
        (own("/do"), 200),
        (post("/do").header(ORIGIN, "https://shop.example"), 200),
        (foreign("/do"), 403),
        (post("/do").header("sec-fetch-site", "cross-site"), 403),
        (post("/do"), 403),
    ] {
        let response = client.request(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), code);
        assert!(response.set_cookies().is_empty());
        assert!(response.headers().get("vary").is_none());
    }
    assert_eq!(backend.faults.calls().total(), 0);
}

#[tokio::test(start_paused = true)]
async fn d1_a_token_is_compared_with_what_a_reader_sees() {
    for backend in Backend::both() {
        let client = usual(&backend);
        let token = client.get("/form").await.text();
        backend.faults.calls().clear();
        let given = post("/do").header("x-csrf-token", &token);
        assert_eq!(status(&client, given).await, 200, "{}", backend.name);
        if backend.name == "remote" {
            assert_eq!(backend.faults.calls().total(), 1, "one read, no lock");
        }
        // The handler goes on with the same session, and may write.
        let given = post("/write").header("x-csrf-token", &token);
        assert_eq!(status(&client, given).await, 200);
        // After a login an old form is worth nothing.
        client.get("/login").await;
        let given = post("/do").header("x-csrf-token", &token);
        assert_eq!(status(&client, given).await, 403);
        let token = client.get("/form").await.text();
        let given = post("/do").header("x-csrf-token", &token);
        assert_eq!(status(&client, given).await, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn d1_refusals_are_plain_or_as_the_app_shapes_them() {
    let backend = Backend::local();
    let cross = || post("/do").header("sec-fetch-site", "cross-site");
    let plain = usual(&backend);
    let response = plain.request(cross().body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), 403);
    assert_eq!(response.text(), "This request came from another site.\n");
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(
        response.header("content-type"),
        Some("text/plain; charset=utf-8")
    );

    let expired = StatusCode::from_u16(419).unwrap();
    let expired = client(&backend, CsrfLayer::builder().status(expired).max_body(1));
    assert_eq!(status(&expired, cross()).await, 419);
    assert_eq!(status(&expired, post("/do")).await, 419);
    assert_eq!(send(&expired, form("/do"), "xy").await.0, 413);

    let shaped = CsrfLayer::builder().on_refusal(|refusal, request| {
        let text = format!("{} {refusal:?}", request.uri.path());
        let mut response = Response::new(text.into());
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response
    });
    let shaped = client(&backend, shaped);
    assert_eq!(
        send(&shaped, cross(), "").await,
        (418, "/do CrossSite".into())
    );
    assert_eq!(
        send(&shaped, post("/do"), "").await,
        (418, "/do NoToken".into())
    );
}

#[tokio::test(start_paused = true)]
async fn d1_excepted_paths_pass_and_their_neighbours_do_not() {
    let backend = Backend::local();
    let layer = CsrfLayer::builder()
        .except("/webhooks/*")
        .except("/api/{version}/callback");
    let client = client(&backend, layer);
    for (path, code) in [
        ("/webhooks/pay", 200),
        ("/webhooks/pay/a?x=/..", 200),
        ("/api/v2/callback", 200),
        ("/webhooks", 403),
        ("/webhooks-admin/pay", 403),
        ("/webhooks/../do", 403),
        ("/webhooks/%2e%2E/do", 403),
        ("/webhooks%2fpay", 403),
        ("/webhooks/..%2Fdo", 403),
        ("/api/v2/x/callback", 403),
        ("/api/v2%2Fx/callback", 403),
        ("/api/v2/callback/x", 403),
        ("/do?/webhooks/pay", 403),
    ] {
        let foreign = post(path).header(ORIGIN, "https://evil.test");
        assert_eq!(status(&client, foreign).await, code, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn d1_the_own_origin_is_what_the_request_names() {
    let backend = Backend::local();
    let secure = usual(&backend);
    let plain = client(&backend, CsrfLayer::builder().dev_http());
    let to = |uri: &str| Request::post(uri).version(Version::HTTP_11);
    for (request, https, http) in [
        (
            to("/do")
                .header(HOST, "shop.example")
                .header(ORIGIN, "https://shop.example"),
            200,
            403,
        ),
        (
            to("/do")
                .header(HOST, "shop.example")
                .header(ORIGIN, "http://shop.example"),
            403,
            200,
        ),
        (
            to("/do")
                .header(HOST, "shop.example:443")
                .header(ORIGIN, "https://SHOP.example"),
            200,
            403,
        ),
        (
            to("/do")
                .header(HOST, "shop.example:8080")
                .header(ORIGIN, "http://shop.example:8080"),
            403,
            200,
        ),
        (
            to("/do")
                .header(HOST, "[::1]:3000")
                .header(ORIGIN, "http://[::1]:3000"),
            403,
            200,
        ),
        // As HTTP/2 has it; the target goes before the header.
        (
            to("https://shop.example/do").header(ORIGIN, "https://shop.example"),
            200,
            403,
        ),
        (
            to("https://shop.example/do")
                .header(HOST, "evil.test")
                .header(ORIGIN, "https://evil.test"),
            403,
            403,
        ),
        // Who names several names none.
        (
            to("/do")
                .header(HOST, "shop.example")
                .header(HOST, "evil.test")
                .header(ORIGIN, "https://evil.test"),
            403,
            403,
        ),
        (
            to("/do")
                .header(HOST, "shop.example")
                .header(ORIGIN, "https://shop.example")
                .header(ORIGIN, "https://evil.test"),
            403,
            403,
        ),
        (to("/do").header(ORIGIN, "https://shop.example"), 403, 403),
        (
            to("/do").header(HOST, "").header(ORIGIN, "https://"),
            403,
            403,
        ),
    ] {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        for (client, code) in [(&secure, https), (&plain, http)] {
            let request = Request::from_parts(parts.clone(), Body::empty());
            assert_eq!(client.request(request).await.status(), code, "{parts:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d2_websockets_are_checked_unless_told_otherwise() {
    let backend = Backend::local();
    let socket = |origin: &str| {
        let request = Request::get("/do").header(HOST, "shop.example");
        request.header(UPGRADE, "websocket").header(ORIGIN, origin)
    };
    let checked = usual(&backend);
    assert_eq!(status(&checked, socket("https://shop.example")).await, 200);
    assert_eq!(status(&checked, socket("https://evil.test")).await, 403);
    assert_eq!(status(&checked, socket("null")).await, 403);
    // Another upgrade is none.
    let other = Request::get("/do").header(UPGRADE, "h2c");
    let other = other.header(ORIGIN, "https://evil.test");
    assert_eq!(status(&checked, other).await, 200);

    let unchecked = client(&backend, CsrfLayer::builder().check_websockets(false));
    assert_eq!(status(&unchecked, socket("https://evil.test")).await, 200);
    let foreign = post("/do").header(ORIGIN, "https://evil.test");
    assert_eq!(status(&unchecked, foreign).await, 403, "nothing else");
}

#[tokio::test(start_paused = true)]
async fn d1_g5_a_store_that_fails_is_no_missing_session() {
    let backend = Backend::remote();
    let client = usual(&backend);
    let token = client.get("/form").await.text();
    let down = tower_keep::StoreErrorKind::Unavailable;
    backend
        .faults
        .set_script(Script::new().every(Fault::Fail(down)));
    let given = post("/do").header("x-csrf-token", &token);
    assert_eq!(status(&client, given).await, 503);
    // Without a session layer around it, that is said.
    let alone = Client::with_body(routes().layer(CsrfLayer::new()));
    let given = post("/do").header("x-csrf-token", &token);
    assert_eq!(status(&alone, given).await, 500);
}

#[tokio::test(start_paused = true)]
async fn d1_the_tokens_of_a_keyed_layer() {
    struct Admin;
    let backend = Backend::local();
    let admin = backend.layer().key::<Admin>();
    let name = tower_keep::cookie::CookieConfig::new().name("__Host-admin");
    let csrf = CsrfLayer::builder().key::<Admin>().build().unwrap();
    let routes = routes()
        .route(
            "/admin-form",
            get(async |s: Keyed<Admin, Session>| s.csrf_token()),
        )
        .layer(csrf)
        .layer(admin.cookie(name).build().unwrap());
    let client = backend.client(routes);
    let (visitor, admin) = (
        client.get("/form").await.text(),
        client.get("/admin-form").await.text(),
    );
    for (token, code) in [(admin, 200), (visitor, 403)] {
        let given = post("/do").header("x-csrf-token", &token);
        assert_eq!(status(&client, given).await, code);
    }
}

#[tokio::test(start_paused = true)]
async fn d1_plain_tower() {
    async fn serve(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
        if request.uri().path() == "/form" {
            let session = Session::from_request(&request).await;
            let token: Result<String, Error> = session.and_then(|s| s.csrf_token());
            return Ok(Response::new(token.unwrap().into()));
        }
        Ok(Response::new(request.into_body()))
    }
    let backend = Backend::remote();
    let service = CsrfLayer::new().layer(service_fn(serve));
    let client: TestClient<_, Full<Bytes>> =
        TestClient::new(backend.layer().build().unwrap().layer(service));
    let token = client.get("/form").await.text();
    for (body, code) in [(format!("_token={token}"), 200), ("_token=x".into(), 403)] {
        let request = form("/").body(Full::from(body.clone())).unwrap();
        let response = client.request(request).await;
        assert_eq!(response.status(), code);
        assert_eq!(response.text() == body, code == 200);
    }
}

#[test]
fn d1_what_cannot_be_meant_is_refused_with_the_reason() {
    let build = |builder: CsrfLayerBuilder| builder.build().map(|_| ()).unwrap_err();
    for text in ["null", "*", "shop.example", "https://shop.example/", ""] {
        let error = build(CsrfLayer::builder().trusted_origin(text));
        assert_eq!(error, CsrfConfigError::Origin(text.into()));
    }
    for text in ["webhooks/*", "*", "/web*", "/a/../b"] {
        let error = build(CsrfLayer::builder().except(text));
        assert_eq!(error, CsrfConfigError::Pattern(text.into()));
    }
    for status in [StatusCode::OK, StatusCode::FOUND, StatusCode::BAD_GATEWAY] {
        let error = build(CsrfLayer::builder().status(status));
        assert_eq!(error, CsrfConfigError::Status(status));
        assert!(!error.to_string().is_empty());
    }
}
