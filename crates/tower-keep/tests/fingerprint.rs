//! Sessions that are good for one client only: what is compared. What becomes of the others is in
//! `fingerprint_mismatch.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use common::look::{
    Look, NAKED, OTHER, OWNER, UA, agent, client, ip, language, layer, routes, send, text,
};
use common::{Backend, COOKIE, Client, Gates, id_of};
use tower_keep::{Conflict, Error, FingerprintConfig, IpBinding, LayerConfigError};

/// Whether a session that is created by `first` can be opened by `second`.
async fn same(config: FingerprintConfig, first: Look, second: Look) -> bool {
    let backend = Backend::local();
    let client = client(&backend, config);
    assert_eq!(text(&client, first, "/add").await, "1");
    let (seen, id) = (text(&client, second, "/who").await, id_of(&client));
    let refused = seen == "nobody 0 Mismatch { destroyed: false }";
    assert!(refused || seen == "nobody 1", "{seen}");
    assert_eq!(text(&client, first, "/who").await, "nobody 1", "{id}");
    !refused
}

#[tokio::test(start_paused = true)]
async fn d3_the_user_agent_must_stay_unless_told_otherwise() {
    let loose = UA.user_agent(false);
    for (first, second, fits) in [
        (OWNER, OWNER, true),
        (OWNER, OTHER, false),
        // Missing is a look too, both ways.
        (OWNER, NAKED, false),
        (NAKED, OWNER, false),
        (NAKED, NAKED, true),
        (agent(""), NAKED, false),
        // Nothing else is looked at.
        (OWNER, language("fr"), true),
        (ip("192.0.2.1"), ip("203.0.113.1"), true),
    ] {
        assert_eq!(same(UA, first, second).await, fits);
        assert!(same(loose, first, second).await);
    }
}

#[tokio::test(start_paused = true)]
async fn d3_a_long_user_agent_is_compared_to_its_end() {
    let long = |end: char| -> Look {
        let text = format!("{}{end}", "x".repeat(2_000));
        agent(Box::leak(text.into_boxed_str()))
    };
    assert!(same(UA, long('a'), long('a')).await);
    assert!(!same(UA, long('a'), long('b')).await);
}

#[tokio::test(start_paused = true)]
async fn d3_accept_language_counts_if_asked_for() {
    let config = UA.accept_language(true);
    for (first, second, fits) in [
        (language("en"), language("en"), true),
        (language("en"), language("fr"), false),
        (language("en"), OWNER, false),
        (OWNER, language("en"), false),
    ] {
        assert_eq!(same(config, first, second).await, fits);
    }
}

#[tokio::test(start_paused = true)]
async fn d3_the_address_may_change_as_far_as_told() {
    let unknown = OWNER;
    let prefix = IpBinding::Prefix { v4: 24, v6: 64 };
    let v6 = "2001:db8:1:2::1";
    for (first, second, strict, within) in [
        (ip("192.0.2.1"), ip("192.0.2.1"), true, true),
        (ip("192.0.2.1"), ip("192.0.2.254"), false, true),
        (ip("192.0.2.1"), ip("192.0.3.1"), false, false),
        (ip(v6), ip("2001:db8:1:2::1"), true, true),
        (ip(v6), ip("2001:db8:1:2:ffff:ffff:ffff:ffff"), false, true),
        (ip(v6), ip("2001:db8:1:3::1"), false, false),
        // Mapped addresses are those that they map, and the two versions differ.
        (ip("192.0.2.1"), ip("::ffff:192.0.2.1"), true, true),
        (ip("::ffff:192.0.2.1"), ip("192.0.2.9"), false, true),
        (ip("::ffff:192.0.2.1"), ip("::ffff:192.0.3.1"), false, false),
        (ip("192.0.2.1"), ip(v6), false, false),
        // An address that gets lost does not match; one that was not known is not compared.
        (ip("192.0.2.1"), unknown, false, false),
        (unknown, ip("192.0.2.1"), true, true),
    ] {
        let what = (first.ip, second.ip);
        assert_eq!(
            same(UA.ip(IpBinding::Strict), first, second).await,
            strict,
            "{what:?}"
        );
        assert_eq!(same(UA.ip(prefix), first, second).await, within, "{what:?}");
        assert!(same(UA.ip(IpBinding::Relaxed), first, second).await);
    }
    let other_lengths = UA.ip(IpBinding::Prefix { v4: 16, v6: 48 });
    assert!(same(other_lengths, ip("192.0.2.1"), ip("192.0.9.1")).await);
    assert!(same(other_lengths, ip(v6), ip("2001:db8:1:ffff::1")).await);
    assert!(!same(other_lengths, ip(v6), ip("2001:db8:2:2::1")).await);
}

#[tokio::test(start_paused = true)]
async fn d3_changes_of_authority_note_the_client_anew() {
    let config = UA.ip(IpBinding::Prefix { v4: 24, v6: 64 });
    for backend in Backend::both() {
        let wide = UA.ip(IpBinding::Prefix { v4: 16, v6: 64 });
        let moving = client(&backend, wide);
        send(&moving, ip("192.0.2.1"), "/add").await;
        // The same data under a layer that looks closer.
        let close = backend.client_of(routes(Gates::default()), layer(&backend, config));
        let cookie = |from: &Client, to: &Client| {
            to.set_cookie(COOKIE, &from.cookie(COOKIE).unwrap());
        };
        send(&moving, ip("192.0.9.1"), "/add").await;
        cookie(&moving, &close);
        let who = text(&close, ip("192.0.9.1"), "/who").await;
        assert!(who.starts_with("nobody 0 Mismatch"), "{who}");
        send(&moving, ip("192.0.9.1"), "/login/ann").await;
        cookie(&moving, &close);
        assert_eq!(text(&close, ip("192.0.9.1"), "/who").await, "ann 2");
        let who = text(&close, ip("192.0.2.1"), "/who").await;
        assert!(who.starts_with("nobody 0 Mismatch"), "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn d3_what_was_not_noted_is_not_compared() {
    for backend in Backend::both() {
        // Created before the app asked for fingerprints.
        let before = backend.client(routes(Gates::default()));
        send(&before, OWNER, "/add").await;
        let after = client(&backend, UA);
        after.set_cookie(COOKIE, &before.cookie(COOKIE).unwrap());
        assert_eq!(text(&after, OTHER, "/add").await, "2", "{}", backend.name);
        // A login binds it.
        send(&after, OTHER, "/login/ann").await;
        assert_eq!(text(&after, OTHER, "/who").await, "ann 2");
        assert!(
            text(&after, OWNER, "/who")
                .await
                .starts_with("nobody 0 Mismatch")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn d3_tokens_and_ids_outside_of_requests_have_no_client() {
    let backend = Backend::remote();
    let built = layer(&backend, UA).build().unwrap();
    let sessions = built.sessions();
    let routes = routes(Gates::default()).layer(built);
    let client = Client::with_body(routes).with_clock(backend.clock.clone());
    send(&client, OWNER, "/add").await;
    let token = client.cookie(COOKIE).unwrap();
    let session = sessions.open(&token).read().await.unwrap();
    assert_eq!(session.get_or("n", 0).unwrap(), 1);
    sessions.update(id_of(&client), [("n", 5)]).await.unwrap();
    assert_eq!(text(&client, OWNER, "/n").await, "5");
    assert!(
        text(&client, OTHER, "/who")
            .await
            .starts_with("nobody 0 Mismatch")
    );
}

#[tokio::test(start_paused = true)]
async fn d3_g8_what_a_client_looks_like_is_not_written_down() {
    let backend = Backend::local();
    let config = UA.accept_language(true).ip(IpBinding::Strict);
    let client = client(&backend, config);
    let look = Look {
        language: Some("gsw"),
        ..ip("192.0.2.1")
    };
    send(&client, look, "/add").await;
    assert_eq!(text(&client, look, "/all").await, r#"{"n":1}"#);
    let record = backend.record(&client);
    let data = String::from_utf8(record.data.to_json()).unwrap();
    assert!(data.contains("client"), "{data}");
    assert!(!data.contains("browser") && !data.contains("gsw"), "{data}");
}

#[test]
fn d3_lengths_that_no_address_has_are_refused() {
    for (v4, v6, fits) in [(32, 128, true), (33, 64, false), (24, 129, false)] {
        let config = UA.ip(IpBinding::Prefix { v4, v6 });
        let built = layer(&Backend::local(), config).build();
        match built {
            Ok(_) => assert!(fits),
            Err(error) => assert!(!fits && matches!(error, LayerConfigError::Fingerprint(_))),
        }
    }
    assert_eq!(Error::from(Conflict::Mismatch).status(), 409);
}
