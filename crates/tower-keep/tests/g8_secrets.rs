//! G8: secrets do not appear in the store, `Debug`, logs, traces or errors.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get;
use common::{Backend, COOKIE, Client, Gates, app, id_of, start};
use http::{Request, StatusCode};
use tower_keep::cookie::{CookieConfig, candidates};
use tower_keep::core::Token;
use tower_keep::{
    Error, Keyed, RequestHead, RequestInfo, Session, SessionHandle, SessionRejection,
    StoreErrorKind,
};
use tower_keep_testkit::{Fault, Script, Verb};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// A value that an application keeps in a session, a user, and a value that is refused.
const VALUES: [&str; 4] = [
    "card-4111111111111111",
    "ann@example.com",
    "hunter2",
    "Agent-007",
];

/// Everything that is said at any level, in one text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn add(&self, what: &dyn Debug) {
        writeln!(self.0.lock().unwrap(), "{what:?}").unwrap();
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(&format_args!("{field}={value:?}"));
    }

    fn record_error(&mut self, field: &Field, error: &(dyn std::error::Error + 'static)) {
        self.add(&format_args!("{field}={error:?}"));
        let mut source = Some(error);
        while let Some(error) = source {
            self.add(&format_args!("{field}={error}"));
            source = error.source();
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Other crates see cookies as a part of their work.
        metadata.target().starts_with("tower_keep")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.add(&span.metadata().name());
        span.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The ways in which a cookie's secret could be written down.
fn spellings(cookie: &str) -> Vec<String> {
    let secret = &cookie[22..];
    let token = Token::parse(cookie.as_bytes(), "").unwrap();
    // The secret's own bytes cannot be had from it; those of the cookie can.
    let bytes = base64url(cookie);
    let digest = token.secret().hash();
    let mut all = vec![cookie.to_owned(), secret.to_owned()];
    for bytes in [&bytes[16..], &digest.as_bytes()[..]] {
        let hex = |upper: bool| {
            bytes.iter().fold(String::new(), |mut text, byte| {
                let byte = if upper {
                    format!("{byte:02X}")
                } else {
                    format!("{byte:02x}")
                };
                text.push_str(&byte);
                text
            })
        };
        let list = format!("{bytes:?}");
        all.extend([
            hex(true),
            hex(false),
            list.trim_matches(['[', ']']).to_owned(),
        ]);
    }
    all
}

fn base64url(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digits = text
        .bytes()
        .map(|c| alphabet.iter().position(|a| *a == c).unwrap());
    let bits: Vec<usize> = digits.collect();
    bits.chunks(4)
        .flat_map(|four| {
            let word = four.iter().fold(0, |word, digit| word << 6 | digit);
            [word >> 16, word >> 8, word].map(|byte| u8::try_from(byte & 255).unwrap())
        })
        .collect()
}

#[expect(clippy::too_many_lines, reason = "one story")]
/// A run of everything: login, logout, conflicts, failures. Gives every cookie there was.
async fn run(backend: &Backend, log: &Log) -> Vec<String> {
    let write = async |session: Session| -> Result<(), Error> {
        session.insert("card", VALUES[0])?;
        session.flash("note", VALUES[0])?;
        session.set_user(VALUES[1])
    };
    let sink = log.clone();
    // Every way to misuse what is stored, and what is said of it.
    let misuse = async move |session: Session, handle: SessionHandle| {
        let keep = |error: &dyn std::error::Error| {
            sink.add(&error);
            sink.add(&format_args!(
                "{error} {:?}",
                error.source().map(ToString::to_string)
            ));
        };
        keep(&session.get::<u64>("card").unwrap_err());
        keep(&session.push("card", VALUES[2]).unwrap_err());
        keep(&session.increment("card", 1).unwrap_err());
        let key = "x".repeat(300);
        keep(&session.insert(&*key, VALUES[2]).unwrap_err());
        let odd = std::collections::BTreeMap::from([((1, 2), VALUES[2])]);
        keep(&session.insert("odd", &odd).unwrap_err());
        keep(
            &handle
                .write(async |_| Ok::<_, Error>(()))
                .await
                .unwrap_err(),
        );
        sink.add(&session);
        sink.add(&*session);
        sink.add(&handle);
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let sink = log.clone();
    let big = async |session: Session| session.insert("big", &VALUES[2].repeat(20_000));
    let rejected = async move |session: Result<Session, SessionRejection>| {
        if let Err(rejection) = session {
            sink.add(&rejection);
            sink.add(&rejection.to_string());
        }
    };
    let gates = Gates::default();
    let routes: Router = app(gates.clone())
        .route("/write", get(write))
        .route("/misuse", get(misuse))
        .route("/big", get(big))
        .route("/rejected", get(rejected));
    let client = backend.client(routes);
    let mut cookies = Vec::new();
    let mut note = |client: &Client| cookies.extend(client.cookie(COOKIE));

    client.get("/add").await;
    note(&client);
    let old = client.fork();
    client.get("/write").await;
    note(&client);
    for path in ["/misuse", "/big", "/rejected", "/fail", "/n", "/who"] {
        client.get(path).await;
    }
    for path in ["/add", "/logout", "/login/ann@example.com"] {
        old.get(path).await;
        note(&old);
    }
    // Two live sessions at once.
    let both = format!(
        "{COOKIE}={}; {COOKIE}={}",
        cookies[1],
        cookies[cookies.len() - 1]
    );
    for path in ["/rejected", "/add", "/who"] {
        let request = Request::get(path).header("cookie", &both);
        client
            .request(request.body(axum::body::Body::empty()).unwrap())
            .await;
    }
    for verb in [Verb::Open, Verb::Finish, Verb::Create, Verb::Renew] {
        for kind in [
            StoreErrorKind::Unavailable,
            StoreErrorKind::Corrupt,
            StoreErrorKind::Unsupported,
            StoreErrorKind::TooLarge,
        ] {
            for fault in [Fault::Fail(kind), Fault::Panic] {
                backend
                    .faults
                    .set_script(Script::new().every_of(verb, fault));
                for path in ["/rejected", "/n", "/write", "/rotate"] {
                    client.fork().get(path).await;
                }
                let fresh = client.fork();
                fresh.clear_cookies();
                fresh.get("/write").await;
            }
        }
    }
    backend.faults.set_script(Script::new());
    backend.clock.advance(common::MINUTE);
    let slow = start(&client, "/late/gate/add");
    gates.at("gate").arrived(1).await;
    client.get("/rotate").await;
    cookies.extend(client.cookie(COOKIE));
    gates.at("gate").open();
    slow.await.unwrap();
    log.add(&backend.memory.record(id_of(&client)));
    log.add(&backend.store);
    let stored = backend.record(&client);
    log.add(&(
        stored.secret,
        &stored.head,
        &stored.lease,
        &stored.commits,
        &stored.data,
    ));
    client.get("/logout").await;
    cookies
}

/// What an event is worth is remembered for the whole process when it is first met, so nobody else
/// may meet one while a subscriber for one thread is being set.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(start_paused = true)]
async fn g8_secrets_appear_in_no_log_debug_or_error() {
    let _alone = ALONE.lock().await;
    // Keeps the default hook from printing the panics that are injected.
    std::panic::set_hook(Box::new(|_| {}));
    for backend in Backend::both() {
        let log = Log::default();
        let cookies = {
            let _logging = tracing::subscriber::set_default(log.clone());
            run(&backend, &log).await
        };
        let _ = std::panic::take_hook();
        let text = log.text();
        assert!(text.contains("session created"), "nothing was captured");
        assert!(cookies.len() >= 4);
        for secret in cookies.iter().flat_map(|cookie| spellings(cookie)) {
            assert!(
                !text.contains(&secret),
                "{}: {secret} in {text}",
                backend.name
            );
        }
        for value in VALUES {
            assert!(!text.contains(value), "{}: {value} in {text}", backend.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g8_secrets_are_not_in_the_store() {
    let _alone = ALONE.lock().await;
    for backend in Backend::both() {
        let client = backend.client(app(Gates::default()));
        client.get("/login/ann").await;
        let cookie = client.cookie(COOKIE).unwrap();
        let record = backend.record(&client);
        let token = Token::parse(cookie.as_bytes(), "").unwrap();
        assert!(record.secret.matches(&token.secret().hash()));
        assert_ne!(record.secret.as_bytes()[..], base64url(&cookie)[16..]);
        let json = String::from_utf8(record.data.to_json()).unwrap();
        assert!(
            spellings(&cookie)
                .iter()
                .all(|secret| !json.contains(secret))
        );
        // What a thief of the store makes of the digest opens nothing.
        let thief = client.fork();
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let bytes = [&base64url(&cookie)[..16], record.secret.as_bytes()].concat();
        let forged: String = bytes
            .chunks(3)
            .flat_map(|three| {
                let word = three
                    .iter()
                    .fold(0, |word, byte| word << 8 | usize::from(*byte));
                [18, 12, 6, 0].map(|shift| char::from(alphabet[word >> shift & 63]))
            })
            .collect();
        assert_eq!(forged[..21], cookie[..21]);
        thief.set_cookie(COOKIE, &forged);
        assert_eq!(thief.get("/who").await.text(), "nobody 0 Absent");
    }
}

#[tokio::test(start_paused = true)]
async fn g8_debug_of_what_has_the_request_does_not_show_its_cookie() {
    let _alone = ALONE.lock().await;
    let log = Log::default();
    let (sink, sink2) = (log.clone(), log.clone());
    let backend = Backend::remote();
    let layer = backend
        .layer()
        .lock_for(move |head: &RequestHead<'_>| {
            sink.add(head);
            false
        })
        .on_error(move |error, info: &RequestInfo| {
            sink2.add(error);
            sink2.add(info);
            http::Response::default()
        });
    log.add(&layer);
    let layer = layer.build().unwrap();
    log.add(&layer);
    let sink = log.clone();
    let show = async move |session: Result<Session, SessionRejection>,
                           keyed: Result<Keyed<(), Session>, SessionRejection>| {
        sink.add(&session);
        sink.add(&keyed);
    };
    let routes = app(Gates::default()).route("/show", get(show));
    let service = tower::Layer::layer(&layer, routes.clone());
    log.add(&service);
    let client: Client = tower_keep_testkit::TestClient::with_body(routes.layer(layer));
    client.get("/add").await;
    client.get("/show").await;
    // Handed over at once, the session would be opened without the store.
    common::settle().await;
    let fault = Fault::Fail(StoreErrorKind::Unsupported);
    backend
        .faults
        .set_script(Script::new().every_of(Verb::Open, fault));
    client.get("/show").await;
    let cookie = client.cookie(COOKIE).unwrap();
    let mut headers = http::HeaderMap::new();
    headers.insert("cookie", format!("{COOKIE}={cookie}").parse().unwrap());
    log.add(&candidates(&headers, COOKIE));
    let set = CookieConfig::new().build().unwrap();
    log.add(&(&set, set.set(&cookie, None).unwrap()));
    let text = log.text();
    assert!(
        text.contains("RequestHead") && text.contains("RequestInfo"),
        "{text}"
    );
    for secret in spellings(&cookie) {
        assert!(!text.contains(&secret), "{secret} in {text}");
    }
}
