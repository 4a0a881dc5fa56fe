//! Cookie tossing and forged prefixes: who controls a neighbouring host, or plain HTTP, sets
//! cookies that are taken for the session's. Browsers keep them from `__Host-` names, so what is
//! left is to find a name that a browser takes for another one and the server for ours.

use axum::body::Body;
use http::{HeaderValue, Request};
use tower_keep::SessionLayer;
use tower_keep_testkit::TestResponse;

use crate::common::http::{Connection, serve};
use crate::common::{Backend, COOKIE, Client, Gates, MINUTE, app};

async fn send(client: &Client, path: &str, cookies: &[Vec<u8>]) -> TestResponse {
    let mut request = Request::get(path).body(Body::empty()).unwrap();
    for cookie in cookies {
        let value = HeaderValue::from_bytes(cookie).unwrap();
        request.headers_mut().append("cookie", value);
    }
    client.request(request).await
}

/// Two users with sessions, a minute old.
async fn ann_and_eve(backend: &Backend) -> (Client, [String; 2]) {
    let client = backend.client(app(Gates::default()));
    let cookies = [client.fork(), client.fork()];
    for (client, user) in cookies.iter().zip(["ann", "eve"]) {
        client.get(&format!("/login/{user}")).await;
    }
    backend.clock.advance(MINUTE);
    (client, cookies.map(|client| client.cookie(COOKIE).unwrap()))
}

#[tokio::test(start_paused = true)]
async fn no_other_name_is_taken_for_the_sessions() {
    for backend in Backend::both() {
        let (client, [ann, eve]) = ann_and_eve(&backend).await;
        let own = format!("{COOKIE}={ann}").into_bytes();
        let named = |name: &[u8]| [name, b"=", eve.as_bytes()].concat();
        let forged = [
            // Other case: some browsers compare prefixes with it, some without.
            named(b"__host-id"),
            named(b"__HOST-ID"),
            named(b"__Host-ID"),
            // White space that only some trim: U+2000, U+00A0 in both encodings, U+0085, VT, FF.
            named("\u{2000}__Host-id".as_bytes()),
            named("\u{a0}__Host-id".as_bytes()),
            named(b"\xa0__Host-id"),
            named(b"\x85__Host-id"),
            named("__Host-id\u{2000}".as_bytes()),
            named("\u{feff}__Host-id".as_bytes()),
            // Names that frameworks rewrite or decode.
            named(b"%5F%5FHost-id"),
            named(b"__Host%2Did"),
            named(b"__Host-id[]"),
            named(b"__Host-id.x"),
            named(b"__Host_id"),
            named(b"..Host-id"),
            named(b"  Host-id"),
            named(b"\"__Host-id\""),
            named(b"__Secure-id"),
            named(b"__Host-"),
            named(b"id"),
            // As RFC 2109 and 2965 had it: attributes, and commas between cookies.
            named(b"$Version=1,__Host-id"),
            [b"$Version=1; $Path=/; ", &named(b"$__Host-id")[..]].concat(),
            named(b"a=b,__Host-id"),
            named(b"a=b\t,\t__Host-id"),
            // The name in a value, and a value in quotes over a name.
            named(b"a=__Host-id"),
            named(b"=__Host-id"),
            named(b"a=\"__Host-id"),
        ];
        for name in forged {
            let text = String::from_utf8_lossy(&name).into_owned();
            // Alone it is none, and beside the session's own it changes nothing.
            let seen = send(&client, "/who", std::slice::from_ref(&name)).await;
            assert_eq!(seen.text(), "nobody 0 NoneSent", "{} {text}", backend.name);
            for cookies in [
                vec![[&name[..], b"; ", &own].concat()],
                vec![[&own[..], b"; ", &name].concat()],
                vec![name.clone(), own.clone()],
                vec![own.clone(), name.clone()],
            ] {
                let seen = send(&client, "/who", &cookies).await;
                assert_eq!(seen.text(), "ann 0", "{} {text}", backend.name);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_other_spelling_of_a_token_is_read() {
    let backend = Backend::remote();
    let (client, [ann, _]) = ann_and_eve(&backend).await;
    let percent = crate::encoded(&ann);
    // The same bits in other alphabets, with what decoders skip, and cut or prolonged.
    let mut spellings = vec![
        percent,
        format!("%{:02x}{}", ann.as_bytes()[0], &ann[1..]),
        format!("{ann}="),
        format!("{ann}=="),
        format!("{ann}%3D"),
        format!("={ann}"),
        format!("{ann}\u{a0}"),
        format!("{ann}."),
        format!("{ann}/"),
        format!("{} {}", &ann[..32], &ann[32..]),
        format!("{}\\{}", &ann[..32], &ann[32..]),
        format!("\"\"{ann}\"\""),
        format!("\"{ann}"),
        format!("'{ann}'"),
        format!("{ann},{ann}"),
        format!("{ann}{ann}"),
        format!("j:\"{ann}\""),
        format!("s:{ann}"),
        ann[..63].to_owned(),
        ann[..43].to_owned(),
    ];
    let standard = ann.replace('-', "+").replace('_', "/");
    spellings.extend((standard != ann).then_some(standard));
    backend.faults.calls().clear();
    for value in spellings {
        for path in ["/who", "/add", "/logout"] {
            if path == "/add" {
                continue; // starts a session of its own, which is not the point here
            }
            let cookie = format!("{COOKIE}={value}").into_bytes();
            let seen = send(&client, path, &[cookie]).await;
            assert!(
                !seen.text().contains("ann") && seen.text() != "true",
                "{value}"
            );
        }
    }
    assert_eq!(backend.faults.calls().total(), 0);
    // One pair of quotes around it is part of the cookie syntax, not of the value.
    let quoted = format!("{COOKIE}=\"{ann}\"").into_bytes();
    assert_eq!(send(&client, "/who", &[quoted]).await.text(), "ann 0");
}

/// Under a name without a prefix anybody on the domain may add cookies. What they toss cannot make
/// the visitor act in the attacker's session, nor end the visitor's.
#[tokio::test(start_paused = true)]
async fn a_tossed_session_is_never_the_one_that_is_used() {
    for backend in Backend::both() {
        let (client, [ann, eve]) = ann_and_eve(&backend).await;
        let before = backend.live();
        for (first, second) in [(&ann, &eve), (&eve, &ann)] {
            let both = vec![format!("{COOKIE}={first}; {COOKIE}={second}").into_bytes()];
            for path in [
                "/who",
                "/n",
                "/add",
                "/login/eve",
                "/rotate",
                "/logout",
                "/fail",
            ] {
                let answer = send(&client, path, &both).await;
                let text = answer.text();
                assert!(
                    !text.contains("ann") && !text.contains("eve"),
                    "{path}: {text}"
                );
                assert!(answer.set_cookies().is_empty(), "{path}");
            }
        }
        assert_eq!(backend.live(), before, "{}", backend.name);
        for (cookie, who) in [(ann, "ann 0"), (eve, "eve 0")] {
            let alone = vec![format!("{COOKIE}={cookie}").into_bytes()];
            assert_eq!(send(&client, "/who", &alone).await.text(), who);
        }
    }
}

/// As bytes on a wire, where no type has looked at them before.
#[tokio::test]
async fn raw_bytes_around_a_cookie_never_break_a_page() {
    let layer = SessionLayer::new(tower_keep::MemoryStore::new());
    let mut http = Connection::to(serve(app(Gates::default()).layer(layer)).await).await;
    let login = http.get("/login/ann", "").await;
    let field = login.header("set-cookie").unwrap();
    let own = field.split(';').next().unwrap().to_owned();
    let eve = own.replace(COOKIE, "\u{2000}__Host-id");
    for (cookie, who) in [
        (own.clone(), "ann 0"),
        (format!("{eve}; {own}"), "ann 0"),
        (format!(" \t{own}\t "), "ann 0"),
        (format!(";;;{own};;;"), "ann 0"),
        (eve, "nobody 0 NoneSent"),
        ("\u{ff}\u{fffd}=\u{1f36a}".to_owned(), "nobody 0 NoneSent"),
        ("=".repeat(6_000), "nobody 0 NoneSent"),
        ("__Host-id=; ".repeat(500), "nobody 0 Absent"),
    ] {
        assert_eq!(http.get("/who", &cookie).await.text(), who, "{cookie}");
    }
}
