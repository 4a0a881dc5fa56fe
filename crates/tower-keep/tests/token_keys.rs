//! D6: signed tokens.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use common::{Backend, COOKIE, Client, Gates, app};
use tower_keep::cookie::{CookieConfig, CookiePolicy};
use tower_keep::keys::{KeyRing, SecretKey};
use tower_keep::{LayerConfigError, SessionLayerBuilder, Transport};

/// A token is 64 characters, its signature 24.
const SIGNED: usize = 88;

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes([byte; 32]).unwrap()
}

fn signing(backend: &Backend, byte: u8) -> SessionLayerBuilder {
    backend.layer().token_keys(KeyRing::new(key(byte)))
}

fn client(backend: &Backend, layer: SessionLayerBuilder) -> Client {
    backend.client_of(app(Gates::default()), layer)
}

/// What becomes of this cookie, and how many calls to the store it costs.
async fn presented(client: &Client, backend: &Backend, cookie: &str) -> (String, usize) {
    backend.faults.calls().clear();
    let visitor = client.fork();
    visitor.set_cookie(COOKIE, cookie);
    let answer = visitor.get("/who").await.text();
    (answer, backend.faults.calls().total())
}

#[tokio::test(start_paused = true)]
async fn d6_forged_tokens_cost_no_call_to_the_store() {
    let backend = Backend::remote();
    let client = client(&backend, signing(&backend, 1));
    client.get("/login/ann").await;
    let cookie = client.cookie(COOKIE).unwrap();
    assert_eq!(cookie.len(), SIGNED);
    assert_eq!(
        presented(&client, &backend, &cookie).await,
        ("ann 0".into(), 1)
    );

    let nobody = ("nobody 0 Absent".to_owned(), 0);
    // Whatever character is another one, of the token or of its signature.
    for at in 0..SIGNED {
        let mut forged = cookie.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        assert_eq!(presented(&client, &backend, &forged).await, nobody, "{at}");
    }
    for forged in [
        // Without its signature, with half of it, with more than it.
        &cookie[..64],
        &cookie[..76],
        &format!("{cookie}AAAA"),
        &format!("{cookie}{}", &cookie[64..]),
        &cookie[64..],
        &"A".repeat(SIGNED),
    ] {
        assert_eq!(presented(&client, &backend, forged).await, nobody);
    }
    // Of somebody who has another key.
    let other = self::client(&backend, signing(&backend, 2));
    other.get("/login/eve").await;
    let theirs = other.cookie(COOKIE).unwrap();
    assert_eq!(presented(&client, &backend, &theirs).await, nobody);
}

#[tokio::test(start_paused = true)]
async fn d6_a_new_session_and_a_rotated_one_are_signed() {
    for backend in Backend::both() {
        let client = client(&backend, signing(&backend, 1));
        for path in ["/add", "/add", "/login/ann", "/rotate", "/add"] {
            client.get(path).await;
            assert_eq!(client.cookie(COOKIE).unwrap().len(), SIGNED);
        }
        assert_eq!(client.get("/who").await.text(), "ann 3");
        client.get("/logout").await;
        assert_eq!(client.cookie(COOKIE), None);
    }
}

#[tokio::test(start_paused = true)]
async fn d6_keys_are_replaced_without_logging_anybody_out() {
    let backend = Backend::remote();
    let old = client(&backend, signing(&backend, 1));
    old.get("/login/ann").await;
    let cookie = old.cookie(COOKIE).unwrap();

    let ring = KeyRing::new(key(2)).and(key(1));
    let both = client(&backend, backend.layer().token_keys(ring.clone()));
    assert_eq!(presented(&both, &backend, &cookie).await.0, "ann 0");
    both.set_cookie(COOKIE, &cookie);
    both.get("/rotate").await;
    let signed_anew = both.cookie(COOKIE).unwrap();

    let new = client(&backend, signing(&backend, 2));
    assert_eq!(presented(&new, &backend, &signed_anew).await.0, "ann 0");
    assert_eq!(
        presented(&old, &backend, &signed_anew).await.0,
        "nobody 0 Absent"
    );

    // One token under the signatures of two keys is one token, not two sessions.
    old.get("/login/bob").await;
    let first = old.cookie(COOKIE).unwrap();
    let always = CookieConfig::new().policy(CookiePolicy::Always);
    let again = client(&backend, backend.layer().token_keys(ring).cookie(always));
    again.set_cookie(COOKIE, &first);
    again.get("/add").await;
    let second = again.cookie(COOKIE).unwrap();
    assert_eq!(first[..64], second[..64]);
    assert_ne!(first, second);
    let twice = format!("{first}; {COOKIE}={second}");
    assert_eq!(presented(&both, &backend, &twice).await.0, "bob 1");
}

#[tokio::test(start_paused = true)]
async fn d6_unsigned_tokens_are_accepted_only_if_asked_for() {
    let backend = Backend::remote();
    let before = client(&backend, backend.layer());
    before.get("/login/ann").await;
    let unsigned = before.cookie(COOKIE).unwrap();
    assert_eq!(unsigned.len(), 64);

    let strict = client(&backend, signing(&backend, 1));
    let nobody = ("nobody 0 Absent".to_owned(), 0);
    assert_eq!(presented(&strict, &backend, &unsigned).await, nobody);

    let lenient = signing(&backend, 1).accept_unsigned_tokens(true);
    let lenient = client(&backend, lenient);
    assert_eq!(presented(&lenient, &backend, &unsigned).await.0, "ann 0");
    // A signature that is there must fit all the same.
    let forged = format!("{unsigned}{}", "A".repeat(24));
    assert_eq!(presented(&lenient, &backend, &forged).await, nobody);
    // With the next rotation it is signed.
    lenient.set_cookie(COOKIE, &unsigned);
    lenient.get("/rotate").await;
    let signed = lenient.cookie(COOKIE).unwrap();
    assert_eq!(presented(&strict, &backend, &signed).await.0, "ann 0");
    // Who has no keys takes none that is signed.
    assert_eq!(presented(&before, &backend, &signed).await, nobody);

    let nonsense = backend.layer().accept_unsigned_tokens(true).build();
    assert!(matches!(nonsense, Err(LayerConfigError::UnsignedTokens)));
}

#[tokio::test(start_paused = true)]
async fn d6_a_signature_is_bound_to_the_name() {
    let backend = Backend::remote();
    let named = |name: &str| {
        let cookie = CookieConfig::new().name(name);
        signing(&backend, 1)
            .cookie(cookie)
            .build()
            .unwrap()
            .sessions()
    };
    let header = |transport: tower_keep::HeaderTransport| {
        signing(&backend, 1)
            .transport(transport)
            .build()
            .unwrap()
            .sessions()
    };
    let all = [
        named(COOKIE),
        named("x-auth-token"),
        named("authorization"),
        header(Transport::header("x-auth-token")),
        header(Transport::bearer()),
    ];
    for (n, one) in all.iter().enumerate() {
        let started = one.create(None, [("n", 1)]).await.unwrap();
        assert_eq!(started.token.len(), SIGNED);
        for (m, other) in all.iter().enumerate() {
            backend.faults.calls().clear();
            let read = other.open(&started.token).read().await.unwrap();
            assert_eq!(read.id().is_some(), n == m, "of {n} to {m}");
            assert_eq!(backend.faults.calls().total(), usize::from(n == m));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d6_with_a_prefix_in_a_cookie_and_in_a_header() {
    let backend = Backend::remote();
    let layer = signing(&backend, 1)
        .token_prefix("shop_sess_")
        .build()
        .unwrap();
    let sessions = layer.sessions();
    let client = Client::with_body(app(Gates::default()).layer(layer));
    let started = sessions.create(Some("ann"), [("n", 1)]).await.unwrap();
    assert!(started.token.starts_with("shop_sess_"));
    assert_eq!(
        presented(&client, &backend, &started.token).await,
        ("ann 1".into(), 1)
    );
    let bare = &started.token["shop_sess_".len()..];
    assert_eq!(presented(&client, &backend, bare).await.1, 0);

    let layer = signing(&backend, 1)
        .transport(Transport::bearer())
        .build()
        .unwrap();
    let sessions = layer.sessions();
    let client = Client::with_body(app(Gates::default()).layer(layer));
    let started = sessions.create(Some("ann"), [("n", 1)]).await.unwrap();
    let get = async |token: &str| {
        let request = http::Request::builder().uri("/who");
        let request = request.header("authorization", format!("Bearer {token}"));
        client
            .request(request.body(axum::body::Body::empty()).unwrap())
            .await
            .text()
    };
    assert_eq!(get(&started.token).await, "ann 1");
    assert_eq!(get(&started.token[..64]).await, "nobody 0 Absent");
}

#[test]
fn d6_nothing_shows_a_key() {
    let layer = signing(&Backend::local(), 0xAB);
    let shown = format!("{layer:?}");
    let shown = format!("{shown} {:?}", layer.build().unwrap());
    for secret in ["171", "ab, ab", "abab", "ABAB", "\\xab"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
