//! Ways around a CSRF check that were found elsewhere. The table of what passes and what does not,
//! and 1,500 random requests, are in `csrf_matrix.rs` and `csrf_random.rs`.

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get, post};
use http::{Method, Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceBuilder;
use tower_keep::{CsrfLayer, MemoryStore, Session, SessionLayer};

use crate::common::csrf::{form, post as to, send, status, usual};
use crate::common::http::serve;
use crate::common::{Backend, Client};

/// Fields and parameters by which frameworks let a request say another method than its own.
const OVERRIDES: [&str; 4] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-method",
];

#[tokio::test(start_paused = true)]
async fn no_override_makes_a_checked_method_an_unchecked_one() {
    let backend = Backend::local();
    let client = usual(&backend);
    for name in OVERRIDES {
        for safe in ["GET", "HEAD", "OPTIONS", "TRACE", "get"] {
            let request = form(&format!("/do?_method={safe}"));
            let request = request
                .header(name, safe)
                .header("origin", "https://evil.test");
            let refused = send(&client, request, format!("_method={safe}")).await;
            assert_eq!(refused.0, 403, "{name} {safe}");
        }
        // And a safe one stays what it is: the handler of POST is not reached by it.
        let only_post = Router::new()
            .route("/do", get(async || "read").post(async || "written"))
            .layer(CsrfLayer::new());
        let client = backend.client(only_post);
        let request = Request::get("/do?_method=POST").header(name, "POST");
        let request = request.header("origin", "https://evil.test");
        let answer = client.request(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.text(), "read", "{name}");
    }
}

/// Where the app itself honours such a field outside of the check, the check sees what it made.
#[tokio::test(start_paused = true)]
async fn a_method_that_was_overridden_before_the_check_is_checked() {
    let backend = Backend::local();
    let overriding = tower::util::MapRequestLayer::new(|mut request: Request<Body>| {
        if let Some(method) = request.headers().get("x-http-method-override") {
            *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        }
        request
    });
    let inner = Router::new().fallback(any(async |method: Method| method.to_string()));
    let service = ServiceBuilder::new()
        .layer(backend.layer().build().unwrap())
        .layer(overriding)
        .layer(CsrfLayer::new())
        .service(inner);
    let client = tower_keep_testkit::TestClient::<_, Body>::with_body(service);
    for (method, code) in [("POST", 403), ("DELETE", 403), ("GET", 200)] {
        let request = Request::get("/do").header("x-http-method-override", method);
        let request = request
            .header("origin", "https://evil.test")
            .header("host", "shop.example");
        let answer = client.request(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), code, "{method}");
    }
}

/// What a form on another site can send without a preflight, with the token in every place but the
/// right one, and without the fields that browsers of today send.
#[tokio::test(start_paused = true)]
async fn no_content_type_brings_a_request_past_the_check() {
    let backend = Backend::local();
    let client = usual(&backend);
    let token = client.get("/form").await.text();
    for kind in [
        "text/plain",
        "text/plain;charset=UTF-8",
        "multipart/form-data; boundary=x",
        "application/json",
        "application/x-www-form-urlencoded-x",
        "text/plain; application/x-www-form-urlencoded",
        "",
    ] {
        for body in [
            String::new(),
            format!("_token={token}"),
            format!("{{\"_token\":\"{token}\"}}"),
            format!(
                "--x\r\ncontent-disposition: form-data; name=\"_token\"\r\n\r\n{token}\r\n--x--"
            ),
        ] {
            let request = to(&format!("/do?_token={token}")).header("content-type", kind);
            let request = request.header("cookie2", format!("csrf={token}"));
            assert_eq!(
                send(&client, request, body.clone()).await.0,
                403,
                "{kind} {body}"
            );
        }
    }
    // Without a content type at all, and with the header twice.
    assert_eq!(
        send(&client, to("/do"), format!("_token={token}")).await.0,
        403
    );
    let right = form("/do").header("x-csrf-token", &token);
    assert_eq!(status(&client, right).await, 200);
}

/// A token that was known once, of somebody else, cut, or repeated.
#[tokio::test(start_paused = true)]
async fn no_token_but_the_sessions_own_is_accepted() {
    for backend in Backend::both() {
        let client = usual(&backend);
        let token = client.get("/form").await.text();
        let stranger = client.fork();
        stranger.clear_cookies();
        let theirs = stranger.get("/form").await.text();
        let cookie = client.cookie(crate::common::COOKIE).unwrap();
        for wrong in [
            theirs.as_str(),
            &token[1..],
            &token[..token.len() - 1],
            &format!("{token}A"),
            &format!("{token},{token}"),
            &token.to_uppercase(),
            &"A".repeat(token.len()),
            &cookie,
            &cookie[22..],
            "null",
            "undefined",
            "true",
            "0",
            "[]",
            "*",
        ] {
            let given = to("/do").header("x-csrf-token", wrong);
            assert_eq!(
                status(&client, given).await,
                StatusCode::FORBIDDEN,
                "{wrong}"
            );
        }
        // Before the login it was good; an attacker who planted the session knows it.
        let given = || to("/do").header("x-csrf-token", &token);
        assert_eq!(status(&client, given()).await, 200);
        client.get("/login").await;
        assert_eq!(status(&client, given()).await, 403, "{}", backend.name);
    }
}

/// Fields as they are on a wire, where no type keeps them apart.
#[tokio::test]
async fn no_odd_header_on_a_real_connection_passes_for_the_apps_own() {
    let routes = Router::new()
        .route("/form", get(async |s: Session| s.csrf_token()))
        .route("/do", post(async || "done"))
        .layer(CsrfLayer::new())
        .layer(SessionLayer::new(MemoryStore::new()));
    let address = serve(routes).await;
    let ask = async |fields: &str| -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request =
            format!("POST /do HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n{fields}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.get(9..12).unwrap_or("none").to_owned()
    };
    let host = "host: shop.example\r\n";
    assert_eq!(
        ask(&format!("{host}origin: https://shop.example\r\n")).await,
        "200"
    );
    assert_eq!(
        ask(&format!("{host}sec-fetch-site: same-origin\r\n")).await,
        "200"
    );
    for fields in [
        "",
        "origin: null\r\n",
        "origin: NULL\r\n",
        "origin:\r\n",
        "origin: null\r\norigin: https://shop.example\r\n",
        "origin: https://shop.example\r\norigin: null\r\n",
        "origin: https://shop.example\r\norigin: https://shop.example\r\n",
        "origin: https://shop.example, https://evil.test\r\n",
        "origin: https://shop.example https://evil.test\r\n",
        "origin: https://shop.example.evil.test\r\n",
        "origin: https://shop.example@evil.test\r\n",
        "origin: https://evil.test/https://shop.example\r\n",
        "origin: https://evil.test#shop.example\r\n",
        "origin: https://shop.example.\r\n",
        "origin: https://shop.example:8443\r\n",
        "origin: http://shop.example\r\n",
        "origin: https://sub.shop.example\r\n",
        "origin: https://xn--shop-.example\r\n",
        "origin: file://\r\n",
        "origin: data:text/html,x\r\n",
        "origin: chrome-extension://abcdef\r\n",
        "referer: https://shop.example/form\r\n",
        "x-requested-with: XMLHttpRequest\r\n",
        "sec-fetch-site: cross-site\r\n",
        "sec-fetch-site: same-site\r\n",
        "sec-fetch-site: SAME-ORIGIN\r\n",
        "sec-fetch-site: same-origin\r\nsec-fetch-site: cross-site\r\n",
        "sec-fetch-site: cross-site\r\nsec-fetch-site: same-origin\r\n",
        "sec-fetch-site: same-origin, cross-site\r\n",
        "sec-fetch-site: cross-site\r\norigin: https://shop.example\r\n",
        "sec-fetch-site: cross-site\r\nsec-fetch-mode: navigate\r\nsec-fetch-user: ?1\r\n",
        "x-csrf-token:\r\n",
        "x-csrf-token: null\r\n",
    ] {
        assert_eq!(ask(&format!("{host}{fields}")).await, "403", "{fields}");
    }
    // Of two hosts none is the app's: the server or the layer refuses.
    let two = "host: shop.example\r\nhost: evil.test\r\norigin: https://evil.test\r\n";
    assert!(matches!(ask(two).await.as_str(), "400" | "403"));
}

/// A login form is worth protecting, too, and so is a request of who has no session yet.
#[tokio::test(start_paused = true)]
async fn no_foreign_page_logs_the_visitor_in_as_somebody_else() {
    let backend = Backend::local();
    let routes = Router::new()
        .route("/login", post(async |s: Session| s.set_user("eve")))
        .layer(CsrfLayer::new());
    let client: Client = backend.client(routes);
    for (name, value) in [
        ("origin", "https://evil.test"),
        ("sec-fetch-site", "cross-site"),
        ("x-nothing", "at all"),
    ] {
        let refused = status(&client, form("/login").header(name, value)).await;
        assert_eq!(refused, StatusCode::FORBIDDEN, "{name}");
    }
    assert!(backend.memory.is_empty());
    let own = form("/login").header("origin", "https://shop.example");
    assert_eq!(status(&client, own).await, StatusCode::OK);
}
