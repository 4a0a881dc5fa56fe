//! Proxy spoofing: a client says what a proxy in front of the server would say.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::{any, get};
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_keep::{
    CsrfLayer, FingerprintConfig, IpBinding, MemoryStore, ReadSession, SessionLayer, TrustedProxies,
};
use tower_keep_testkit::TestResponse;

use crate::common::{Backend, COOKIE, Client, Gates, app};

/// Everything that some proxy or framework believes.
const SPOOFED: [(&str, &str); 14] = [
    ("x-forwarded-for", "203.0.113.1"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-host", "evil.test"),
    ("x-forwarded-port", "80"),
    ("x-forwarded-prefix", "/evil"),
    ("x-forwarded-scheme", "http"),
    ("x-forwarded-ssl", "off"),
    ("forwarded", "for=203.0.113.1;host=evil.test;proto=http"),
    ("x-real-ip", "203.0.113.1"),
    ("true-client-ip", "203.0.113.1"),
    ("cf-connecting-ip", "203.0.113.1"),
    ("x-original-host", "evil.test"),
    ("x-original-url", "/webhooks/pay"),
    ("front-end-https", "off"),
];

/// An answer over a real connection, from a peer who is really at 127.0.0.1.
async fn over_tcp(address: SocketAddr, request: String) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_strangers_forwarding_fields_change_neither_address_nor_cookie_nor_origin() {
    let store = MemoryStore::new();
    let layer = SessionLayer::builder(store.clone())
        .trusted_proxies(TrustedProxies::new(["10.0.0.0/8"]).unwrap())
        .build()
        .unwrap();
    let routes = Router::new()
        .route("/do", any(async || "done"))
        .layer(CsrfLayer::builder().except("/webhooks/*").build().unwrap())
        .merge(app(Gates::default()))
        .layer(layer)
        .into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });

    let fields = SPOOFED.map(|(name, value)| format!("{name}: {value}\r\n"));
    let fields = fields.concat();
    let head = |method: &str, path: &str, more: &str| {
        format!(
            "{method} {path} HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\ncontent-length: 0\r\n{fields}{more}\r\n"
        )
    };
    let answer = over_tcp(address, head("GET", "/login/ann", "")).await;
    let field = answer
        .lines()
        .find(|line| line.starts_with("set-cookie: "))
        .unwrap();
    assert!(field.starts_with("set-cookie: __Host-id="), "{field}");
    for attribute in ["; Secure", "; HttpOnly", "; Path=/;"] {
        assert!(field.contains(attribute), "{field}");
    }
    assert!(
        !field.contains("Domain") && !answer.contains("evil.test"),
        "{answer}"
    );
    let [id] = store.ids()[..] else {
        panic!("one session")
    };
    let client = store.record(id).unwrap().head.client.unwrap();
    assert_eq!(client.ip.unwrap().to_string(), "127.0.0.1");

    // The app's origin is what the request names, over HTTPS, whatever a client claims beside it.
    for (origin, status) in [
        ("https://shop.example", "200"),
        ("https://evil.test", "403"),
        ("http://shop.example", "403"),
        ("http://evil.test", "403"),
    ] {
        let answer = over_tcp(
            address,
            head("POST", "/do", &format!("origin: {origin}\r\n")),
        )
        .await;
        assert_eq!(&answer[9..12], status, "{origin}: {answer}");
    }
}

fn request(path: &str, peer: &str, fields: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::get(path).header("user-agent", "browser/1");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

/// A session that is bound to an address is not opened by who says to be there.
#[tokio::test(start_paused = true)]
async fn a_thief_cannot_claim_to_be_at_the_owners_address() {
    const OWNER: &str = "203.0.113.1";
    const THIEF: &str = "198.51.100.66";
    const PROXY: &str = "10.0.0.1";
    for backend in Backend::both() {
        let print = FingerprintConfig::new().ip(IpBinding::Strict);
        let proxies = TrustedProxies::new(["10.0.0.0/8"]).unwrap();
        let layer = backend.layer().fingerprint(print).trusted_proxies(proxies);
        let routes = app(Gates::default()).route(
            "/ip",
            get(async |s: ReadSession| format!("{:?}", s.client().and_then(|c| c.ip))),
        );
        let owner: Client = backend.client_of(routes, layer);
        // The owner comes through the proxy.
        let by_proxy =
            |path: &str, chain: &str| request(path, PROXY, &[("x-forwarded-for", chain)]);
        owner.request(by_proxy("/login/ann", OWNER)).await;
        let who = async |request| -> String {
            let answer: TestResponse = owner.fork().request(request).await;
            answer.text()
        };
        assert_eq!(who(by_proxy("/who", OWNER)).await, "ann 0");
        assert!(who(by_proxy("/ip", OWNER)).await.contains(OWNER));
        // The thief has the cookie and comes past the proxy, with every field there is, or through
        // it, which puts the thief's own address behind what the thief has written.
        for spoof in [
            request("/who", THIEF, &SPOOFED),
            request("/who", THIEF, &[("x-forwarded-for", OWNER)]),
            request(
                "/who",
                THIEF,
                &[("x-forwarded-for", "203.0.113.1, 10.0.0.1")],
            ),
            by_proxy("/who", &format!("{OWNER}, {THIEF}")),
            by_proxy("/who", &format!("{OWNER},{OWNER},{THIEF}")),
            by_proxy("/who", &format!("{THIEF}, 10.9.9.9")),
            request(
                "/who",
                PROXY,
                &[("x-forwarded-for", OWNER), ("x-forwarded-for", THIEF)],
            ),
            request("/who", PROXY, &[("forwarded", "for=203.0.113.1")]),
            request("/who", PROXY, &[("x-real-ip", OWNER)]),
        ] {
            let seen = who(spoof).await;
            assert!(seen.starts_with("nobody 0 "), "{}: {seen}", backend.name);
        }
        assert_eq!(who(by_proxy("/who", OWNER)).await, "ann 0");
        assert!(owner.cookie(COOKIE).is_some());
    }
}
