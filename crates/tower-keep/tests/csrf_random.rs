//! Random requests to the CSRF layer: it never panics, and what comes from elsewhere without the
//! token never passes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use common::{Backend, Client};
use http::{HeaderValue, Method, Request};
use proptest::collection::vec;
use proptest::prelude::*;
use tower_keep::{CsrfLayer, Session};

const OWN: &[u8] = b"https://shop.example";
const TRUSTED: &[u8] = b"https://admin.example";

fn client() -> Client {
    let csrf = CsrfLayer::builder()
        .trusted_origin("https://admin.example")
        .except("/webhooks/*")
        .build()
        .unwrap();
    let routes = Router::new()
        .route("/form", get(async |s: Session| s.csrf_token()))
        .fallback(async || "done")
        .layer(csrf);
    Backend::local().client(routes)
}

/// Values that mean something, and bytes that do not.
fn value(known: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::sample::select(known).prop_map(<[u8]>::to_vec),
        proptest::sample::select(known).prop_map(<[u8]>::to_vec),
        vec(any::<u8>(), 0..40),
    ]
}

fn header() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let site = value(&[
        b"same-origin",
        b"none",
        b"same-site",
        b"cross-site",
        b"",
        b"none,",
    ]);
    let origin = value(&[
        OWN,
        TRUSTED,
        b"null",
        b"https://evil.test",
        b"http://shop.example",
    ]);
    let token = value(&[b"", b"AAAA", b"%00"]);
    let kind = value(&[
        b"application/x-www-form-urlencoded",
        b"application/x-www-form-urlencoded; charset=\xff",
        b"text/plain",
    ]);
    let upgrade = value(&[b"websocket", b"h2c, websocket", b""]);
    prop_oneof![
        2 => site.prop_map(|value| ("sec-fetch-site", value)),
        2 => origin.prop_map(|value| ("origin", value)),
        1 => token.prop_map(|value| ("x-csrf-token", value)),
        1 => kind.prop_map(|value| ("content-type", value)),
        1 => upgrade.prop_map(|value| ("upgrade", value)),
        1 => value(&[b"shop.example", b"shop.example:8443", b""]).prop_map(|value| ("host", value)),
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let piece = proptest::sample::select(&[
        "_token", "csrf", "=", "&", "%", "%5F", "AAAA", "\u{e9}", "+", ";", "",
    ]);
    prop_oneof![
        vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes()),
        vec(any::<u8>(), 0..200),
    ]
}

fn path() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(&["/", "webhooks", "..", ".", "%2f", "%2E", "a", "%"]);
    vec(piece, 0..6).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// Whether the headers say that the request comes from a page that may make it.
fn is_from_here(request: &Request<Body>) -> bool {
    let all = |name| -> Vec<&[u8]> {
        let values = request.headers().get_all(name).iter();
        values.map(HeaderValue::as_bytes).collect()
    };
    let (sites, origins, hosts) = (all("sec-fetch-site"), all("origin"), all("host"));
    let is_trusted = origins == [TRUSTED];
    match sites[..] {
        [] => is_trusted || (origins == [OWN] && hosts == [b"shop.example"]),
        [b"same-origin" | b"none"] => true,
        _ => is_trusted,
    }
}

/// What `except` may let through: plain segments below `/webhooks/`.
fn is_excepted(path: &str) -> bool {
    let below = path.strip_prefix("/webhooks/");
    below.is_some_and(|below| {
        let mut segments = below.trim_end_matches('/').split('/');
        !below.contains("%2") && segments.all(|s| !matches!(s, "" | "." | ".."))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn d1_what_comes_from_elsewhere_without_the_token_never_passes(
        method in proptest::sample::select(&["POST", "PUT", "DELETE", "PATCH", "QUERY", "GET"]),
        path in path(),
        headers in vec(header(), 0..6),
        body in body(),
        pieces in 1_usize..5,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let Ok(request) = Request::builder().method(method).uri(&path).body(()) else {
            return Ok(());
        };
        let (mut parts, ()) = request.into_parts();
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                parts.headers.append(name, value);
            }
        }
        let passes = runtime.block_on(async {
            let client = client();
            client.get("/form").await;
            let text = String::from_utf8_lossy(&body);
            let length = text.chars().count().div_ceil(pieces).max(1);
            let chars: Vec<char> = text.chars().collect();
            let frames: Vec<String> = chars.chunks(length).map(String::from_iter).collect();
            let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
            let body = common::frames::Frames::of(&frames).body();
            let response = client.request(Request::from_parts(parts.clone(), body)).await;
            response.status() == 200
        });
        let request = Request::from_parts(parts, Body::empty());
        let is_websocket = request.headers().get_all("upgrade").iter().any(|value| {
            String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase().contains("websocket")
        });
        let is_safe = request.method() == Method::GET && !is_websocket;
        if passes {
            prop_assert!(
                is_safe || is_from_here(&request) || is_excepted(request.uri().path()),
                "{request:?}"
            );
        } else {
            prop_assert!(!is_safe && !is_from_here(&request), "{request:?}");
        }
    }
}
