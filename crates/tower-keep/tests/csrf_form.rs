//! Where the CSRF layer finds the token, and the form as it leaves it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use axum::body::Body;
use common::Backend;
use common::csrf::{client, form, post, refusal, send, usual};
use common::frames::Frames;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tower_keep::{CsrfLayer, CsrfRefusal};

#[tokio::test(start_paused = true)]
async fn d1_the_token_is_found_in_headers_and_fields() {
    let backend = Backend::local();
    let client = usual(&backend);
    let token = client.get("/form").await.text();
    for name in ["X-CSRF-Token", "x-xsrf-token"] {
        let request = post("/do").header(name, &token);
        assert_eq!(
            send(&client, request, "{}").await,
            (200, "{}".into()),
            "{name}"
        );
    }
    for name in ["_token", "_csrf", "_csrf_token", "csrf"] {
        let body = format!("a=1&{name}={token}&b=%20");
        let sent = send(&client, form("/do"), body.clone()).await;
        assert_eq!(sent, (200, body), "{name}");
    }
    // Anywhere else it is not looked for.
    let in_json = post("/do").header(CONTENT_TYPE, "application/json");
    let no_token = refusal(CsrfRefusal::NoToken);
    let json = format!(r#"{{"_token":"{token}"}}"#);
    assert_eq!(send(&client, in_json, json).await, no_token);
    let in_query = form(&format!("/do?_token={token}"));
    assert_eq!(send(&client, in_query, "a=1").await, no_token);
    assert_eq!(
        send(&client, post("/do"), format!("_token={token}")).await,
        no_token
    );
}

#[tokio::test(start_paused = true)]
async fn d1_what_is_empty_hides_nothing_and_a_header_comes_first() {
    let backend = Backend::local();
    let client = usual(&backend);
    let token = client.get("/form").await.text();
    let header = |name: &str, value: &str| form("/do").header(name, value);
    let field = format!("_token={token}");
    for (request, body, code) in [
        (header("x-csrf-token", &token), "_token=", 200),
        (header("x-csrf-token", &token), "_token=wrong", 200),
        (header("x-csrf-token", ""), field.as_str(), 200),
        (
            header("x-csrf-token", "").header("x-xsrf-token", &token),
            "",
            200,
        ),
        (header("x-csrf-token", "wrong"), field.as_str(), 403),
        (header("x-csrf-token", ""), "_token=&csrf=", 403),
        (form("/do"), "_token=", 403),
        (form("/do"), "", 403),
    ] {
        let sent = send(&client, request, body.to_owned()).await;
        assert_eq!(sent.0, code, "{body}");
    }
    let empty = format!("_token=&_csrf={token}");
    assert_eq!(send(&client, form("/do"), empty).await.0, 200);
    let mut binary = form("/do").body(Body::from(field)).unwrap();
    let value = http::HeaderValue::from_bytes(b"\xff\xfe").unwrap();
    binary.headers_mut().insert("x-csrf-token", value);
    assert_eq!(client.request(binary).await.status(), 403);
}

#[tokio::test(start_paused = true)]
async fn d1_the_handler_gets_the_same_bytes_however_they_came() {
    let backend = Backend::local();
    let client = usual(&backend);
    let token = client.get("/form").await.text();
    let whole = format!("a=%C3%A9&_token={token}&a=\u{e9}&&x");
    let (start, end) = whole.split_at(40);
    let pieces = Frames::of(&["", start, end, ""]).with_trailers();
    let sent = send(&client, form("/do"), pieces.body()).await;
    assert_eq!(sent, (200, whole.clone()));
    let bytes: Vec<_> = whole.split_inclusive(|_| true).collect();
    let sent = send(&client, form("/do"), Frames::of(&bytes).body()).await;
    assert_eq!(sent, (200, whole));
    // Where the token is in a header, the body is not even looked at.
    let given = form("/do").header("x-csrf-token", &token);
    let sent = send(&client, given, Frames::of(&["_token", "=&b=2"]).body()).await;
    assert_eq!(sent, (200, "_token=&b=2".into()));
}

#[tokio::test(start_paused = true)]
async fn d1_a_form_over_the_cap_is_refused_and_never_cut() {
    let backend = Backend::local();
    let client = client(&backend, CsrfLayer::builder().max_body(120));
    let token = client.get("/form").await.text();
    let of_length = |length: usize| {
        let body = format!("_token={token}&x=");
        let rest = "y".repeat(length - body.len());
        body + &rest
    };
    let too_large = (413, format!("{}\n", CsrfRefusal::FormTooLarge));
    let (fits, over) = (of_length(120), of_length(121));
    assert_eq!(
        send(&client, form("/do"), fits.clone()).await,
        (200, fits.clone())
    );
    assert_eq!(send(&client, form("/do"), over.clone()).await, too_large);
    // The same without a length known beforehand.
    let (a, b) = fits.split_at(100);
    assert_eq!(
        send(&client, form("/do"), Frames::of(&[a, b]).body())
            .await
            .0,
        200
    );
    let (a, b) = over.split_at(100);
    let sent = send(&client, form("/do"), Frames::of(&[a, b]).body()).await;
    assert_eq!(sent, too_large);
    // No header makes it be read at all, nor the word of a header about the length.
    let given = form("/do").header("x-csrf-token", &token);
    assert_eq!(
        send(&client, given, over.clone()).await,
        (200, over.clone())
    );
    let lying = form("/do").header(CONTENT_LENGTH, "1");
    assert_eq!(send(&client, lying, over).await, too_large);
    let broken = Frames::of(&[&fits]).broken().body();
    let sent = send(&client, form("/do"), broken).await;
    assert_eq!(sent, (400, format!("{}\n", CsrfRefusal::FormBroken)));
}

#[tokio::test(start_paused = true)]
async fn d1_the_default_cap_is_64_kib() {
    let backend = Backend::local();
    let client = usual(&backend);
    let token = client.get("/form").await.text();
    for (length, code) in [(64 * 1024, 200), (64 * 1024 + 1, 413)] {
        let mut body = format!("_token={token}&x=");
        body.extend(std::iter::repeat_n('y', length - body.len()));
        assert_eq!(send(&client, form("/do"), body).await.0, code, "{length}");
    }
}
