//! Whose address a session is created for: the peer's, or what trusted proxies say.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::extract::connect_info::MockConnectInfo;
use common::{Backend, Client, Gates, app};
use http::Request;
use proptest::prelude::*;
use tower_keep::{RequestHead, SessionLayerBuilder, TrustedProxies, TrustedProxiesError};

const PROXY: &str = "10.0.0.1";
const XFF: &str = "x-forwarded-for";

fn peer(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), 4711)
}

fn request(peer_ip: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::get("/add");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo(peer(peer_ip)));
    request
}

/// The address that a session is created for by such a request.
async fn recorded(
    backend: &Backend,
    layer: SessionLayerBuilder,
    request: Request<Body>,
) -> Option<IpAddr> {
    let client: Client = backend.client_of(app(Gates::default()), layer);
    client.request(request).await;
    let seen = backend.record(&client).head.client?;
    seen.ip
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn proxies() -> TrustedProxies {
    TrustedProxies::new(["10.0.0.0/8", "2001:db8:5::/48", "192.0.2.53"]).unwrap()
}

/// What these proxies make of such a request.
fn seen(proxies: &TrustedProxies, peer_ip: &str, headers: &[(&str, &str)]) -> String {
    let request = request(peer_ip, headers);
    let ip = proxies.client_ip(&RequestHead::from(&request));
    ip.unwrap().to_string()
}

#[tokio::test(start_paused = true)]
async fn d4_the_default_is_the_peer_whatever_the_headers_say() {
    for backend in Backend::both() {
        let spoofed = [(XFF, "6.6.6.6"), ("forwarded", "for=6.6.6.6")];
        for (from, is) in [
            ("203.0.113.9", "203.0.113.9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("2001:db8::9", "2001:db8::9"),
        ] {
            let ip = recorded(&backend, backend.layer(), request(from, &spoofed)).await;
            assert_eq!(ip.unwrap().to_string(), is, "{}", backend.name);
        }
        // Where nobody tells the peer's address, no header does.
        let unknown = Request::get("/add").header(XFF, "6.6.6.6");
        let unknown = unknown.header("user-agent", "browser/1");
        let unknown = unknown.body(Body::empty()).unwrap();
        assert_eq!(recorded(&backend, backend.layer(), unknown).await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn d4_the_peer_is_found_where_servers_leave_it() {
    let backend = Backend::local();
    let mut plain = Request::get("/add").body(Body::empty()).unwrap();
    plain.extensions_mut().insert(peer("203.0.113.9"));
    assert_eq!(
        recorded(&backend, backend.layer(), plain).await,
        Some(ip("203.0.113.9"))
    );

    let layer = backend.layer().build().unwrap();
    let routes: Router = app(Gates::default())
        .layer(layer)
        .layer(MockConnectInfo(peer("203.0.113.10")));
    let client = Client::with_body(routes).with_clock(backend.clock.clone());
    client.get("/add").await;
    let seen = backend.record(&client).head.client.unwrap();
    assert_eq!(seen.ip, Some(ip("203.0.113.10")));

    let layer = backend
        .layer()
        .trusted_proxies(proxies().peer(|_| Some([10, 1, 1, 1].into())));
    let by_function = request("203.0.113.9", &[(XFF, "198.51.100.1")]);
    assert_eq!(
        recorded(&backend, layer, by_function).await,
        Some(ip("198.51.100.1"))
    );
}

#[tokio::test(start_paused = true)]
async fn d4_behind_trusted_proxies_the_rightmost_untrusted_hop_is_recorded() {
    for backend in Backend::both() {
        let layer = backend.layer().trusted_proxies(proxies());
        let request = request(PROXY, &[(XFF, "6.6.6.6, 198.51.100.7, 10.9.9.9")]);
        let ip_seen = recorded(&backend, layer, request).await;
        assert_eq!(ip_seen, Some(ip("198.51.100.7")), "{}", backend.name);
    }
}

#[test]
fn d4_hops_are_walked_from_the_right_and_never_past_the_first_untrusted_one() {
    for (from, lines, is) in [
        // A peer that is not trusted may send what it likes.
        ("203.0.113.9", &["6.6.6.6"][..], "203.0.113.9"),
        ("203.0.113.9", &["10.0.0.1"], "203.0.113.9"),
        // Nothing said: the proxy itself, as when it checks our health.
        (PROXY, &[], PROXY),
        (PROXY, &["198.51.100.7"], "198.51.100.7"),
        // What is on the left of that was sent by the client.
        (PROXY, &["6.6.6.6, 198.51.100.7"], "198.51.100.7"),
        (PROXY, &["10.0.0.2, 198.51.100.7"], "198.51.100.7"),
        (PROXY, &["6.6.6.6,198.51.100.7,10.0.0.3"], "198.51.100.7"),
        // Only proxies: the one furthest out.
        (PROXY, &["10.0.0.9, 10.0.0.8"], "10.0.0.9"),
        // Several lines are one list.
        (
            PROXY,
            &["6.6.6.6", "198.51.100.7", "10.0.0.3"],
            "198.51.100.7",
        ),
        (
            PROXY,
            &["6.6.6.6, 198.51.100.7", "10.0.0.3"],
            "198.51.100.7",
        ),
        // What cannot be read ends the walk at the last address that could.
        (PROXY, &["6.6.6.6, unknown"], PROXY),
        (PROXY, &["6.6.6.6, _hidden, 10.0.0.3"], "10.0.0.3"),
        (PROXY, &["6.6.6.6, , 10.0.0.3"], "10.0.0.3"),
        (PROXY, &["6.6.6.6", "", "10.0.0.3"], "10.0.0.3"),
        (PROXY, &["198.51.100.7:4711"], "198.51.100.7"),
        // IPv6, by prefix, in every spelling, and mapped addresses both ways.
        ("2001:db8:5::1", &["2001:db8::7"], "2001:db8::7"),
        ("2001:db8:6::1", &["2001:db8::7"], "2001:db8:6::1"),
        (
            PROXY,
            &["[2001:DB8::7]:4711, 2001:db8:5:ffff::2"],
            "2001:db8::7",
        ),
        ("::ffff:10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
        (
            PROXY,
            &["::ffff:198.51.100.7, ::ffff:10.0.0.3"],
            "198.51.100.7",
        ),
        ("192.0.2.53", &["198.51.100.7"], "198.51.100.7"),
        ("192.0.2.54", &["198.51.100.7"], "192.0.2.54"),
    ] {
        let headers: Vec<_> = lines.iter().map(|line| (XFF, *line)).collect();
        assert_eq!(seen(&proxies(), from, &headers), is, "{from} {lines:?}");
    }
    let mapped = TrustedProxies::new(["::ffff:10.0.0.0/104"]).unwrap();
    assert_eq!(
        seen(&mapped, PROXY, &[(XFF, "198.51.100.7")]),
        "198.51.100.7"
    );
}

#[test]
fn d4_exactly_one_header_counts() {
    let both = [(XFF, "1.1.1.1"), ("forwarded", "for=2.2.2.2")];
    assert_eq!(seen(&proxies(), PROXY, &both), "1.1.1.1");
    assert_eq!(seen(&proxies().forwarded(), PROXY, &both), "2.2.2.2");
    assert_eq!(seen(&proxies(), PROXY, &both[1..]), PROXY);
    assert_eq!(seen(&proxies().forwarded(), PROXY, &both[..1]), PROXY);
}

#[test]
fn d4_forwarded_of_rfc_7239() {
    let proxies = proxies().forwarded();
    for (lines, is) in [
        (&["for=198.51.100.7"][..], "198.51.100.7"),
        (
            &["for=6.6.6.6, For=198.51.100.7;proto=https"],
            "198.51.100.7",
        ),
        (&[r#"for="[2001:db8::1]:47011""#], "2001:db8::1"),
        (
            &[r#"for="198.51.100.7:80";by=10.0.0.1, for=10.0.0.3"#],
            "198.51.100.7",
        ),
        (&["for=198.51.100.7", "for=10.0.0.3"], "198.51.100.7"),
        (&["for=6.6.6.6, for=unknown"], PROXY),
        (&["for=6.6.6.6, for=_obf, for=10.0.0.3"], "10.0.0.3"),
        (&["for=6.6.6.6, proto=https"], PROXY),
        // What stands in quotes separates nothing.
        (&[r#"for=198.51.100.7;by="a,b;c""#], "198.51.100.7"),
        (
            &[r#"for=198.51.100.7;host="a;for=6.6.6.6;b", for=10.0.0.3"#],
            "198.51.100.7",
        ),
        // An unpaired quote of the client's does not swallow what the proxy has appended.
        (&[r#"for="6.6.6.6, for=198.51.100.7"#], "198.51.100.7"),
        (&[r#"for="6.6.6.6, for="[2001:db8::1]""#], "2001:db8::1"),
        (&[r#"by=",for=6.6.6.6,", for=198.51.100.7"#], "198.51.100.7"),
    ] {
        let headers: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
        assert_eq!(seen(&proxies, PROXY, &headers), is, "{lines:?}");
    }
}

#[test]
fn d4_who_cannot_be_trusted_is_refused_with_the_reason() {
    for text in ["", "proxy.internal", "10.0.0.0/33", "10.0.0", "10.0.0.1:80"] {
        let error = TrustedProxies::new([text]).unwrap_err();
        assert_eq!(error, TrustedProxiesError::Network(text.into()));
    }
    for text in ["0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96"] {
        let error = TrustedProxies::new([text]).unwrap_err();
        assert_eq!(error, TrustedProxiesError::Everybody(text.into()));
    }
}

fn hop() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("10.0.0.7".to_owned()),
        Just("unknown".to_owned()),
        "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}",
        "[ -~]{0,12}",
    ]
}

proptest! {
    /// Whatever a client sends, what the proxy has appended to it is what counts.
    #[test]
    fn d4_what_a_client_sends_changes_nothing(
        sent in proptest::collection::vec(proptest::collection::vec(hop(), 0..4), 0..3),
        same_line: bool,
    ) {
        for (proxies, name, appended) in [
            (proxies(), XFF, "198.51.100.7"),
            (proxies().forwarded(), "forwarded", r#"for="198.51.100.7:4711";by=_us"#),
        ] {
            let mut lines: Vec<String> = sent.iter().map(|hops| hops.join(",")).collect();
            match lines.last_mut() {
                Some(last) if same_line => *last = format!("{last}, {appended}"),
                _ => lines.push(appended.into()),
            }
            let headers: Vec<_> = lines.iter().map(|line| (name, line.as_str())).collect();
            prop_assert_eq!(seen(&proxies, PROXY, &headers), "198.51.100.7");
        }
    }
}
