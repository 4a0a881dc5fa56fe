//! Secrets in what is written down: at the level TRACE, in `Debug`, in errors and in the answers to
//! them, while every feature is used and fails in every way.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::{any, get};
use http::Request;
use serde::{Deserialize, Serialize};
use tower_keep::keys::KeyRing;
use tower_keep::{
    CsrfLayer, EagerLayer, EncryptedStore, Error, FingerprintConfig, Lottery, MemoryStore,
    MergeSession, PreviousUrlLayer, ReadSession, Session, SessionData, SessionEvent, SessionHandle,
    SessionLayer, StoreErrorKind, TempFiles, TempStorage, Transport, Typed, UserPage,
};
use tower_keep_testkit::{Fault, FaultStore, Script, TestClient, TestClock, Verb};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::common::{COOKIE, Client, Gates, app};
use crate::{bytes_of, hex};

const KEY: &str = "6b6579636176e96b6579636176e96b6579636176e96b6579636176e96b657963";
/// What an application and its visitors would not want to read in a log.
const CARD: &str = "card-4111111111111111";
const USER: &str = "user-ann@example.com";
const FLASH: &str = "flash-hunter2";
const AGENT: &str = "agent-007";
const RESET: &str = "reset-token-31337";
const FILE: &str = "upload-name-tax";
const CONTENT: &str = "upload-content-tax";
const OTHER: &str = "other-cookie-theme";
const TYPED: &str = "typed-cart-diamond";
const CANARIES: [&str; 9] = [CARD, USER, FLASH, AGENT, RESET, FILE, CONTENT, OTHER, TYPED];
const CHILD: &str = "KEEP_SECURITY_LEAKS";

/// Everything that is said, at any level, by this library.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn add(&self, what: &dyn Debug) {
        writeln!(self.0.lock().unwrap(), "{what:?}").unwrap();
    }

    fn error(&self, error: &(dyn std::error::Error + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            self.add(&format_args!("{error} {error:?}"));
            next = error.source();
        }
    }
}

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(&format_args!("{field}={value:?}"));
    }

    fn record_error(&mut self, _: &Field, error: &(dyn std::error::Error + 'static)) {
        self.error(error);
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
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
        self.add(&event.metadata().name());
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default, Serialize, Deserialize)]
struct Cart(Vec<String>);

impl SessionData for Cart {
    const KEY: &'static str = "cart";
}

async fn fill(
    State(log): State<Log>,
    session: Session,
    handle: SessionHandle,
) -> Result<String, Error> {
    session.insert("card", CARD)?;
    session.flash("note", FLASH)?;
    session.insert_for("soon", FLASH, crate::common::MINUTE)?;
    session.set_user(USER)?;
    let named = session.csrf_token_for("transfer")?;
    let form = session.csrf_token()?;
    let files = session.temp_dir().await?;
    files.write(FILE, CONTENT).await.unwrap();
    Typed::<Cart>::from_session(session.clone())?
        .0
        .push(TYPED.to_owned());
    let read: &ReadSession = &session;
    log.add(&(read, &session, &handle, &files));
    log.add(&Typed::<Cart>::from_session(session.clone())?);
    Ok(format!("{form} {named}"))
}

/// Every way to misuse what is stored, and what is said of it.
async fn misuse(
    State(log): State<Log>,
    session: Session,
    later: SessionHandle,
) -> Result<(), Error> {
    // Keys are named in errors; values are not.
    let key = "x".repeat(300);
    let unfit = std::collections::BTreeMap::from([((1, 2), CARD)]);
    for error in [
        session.get::<u64>("card").map(drop),
        session.push("card", FLASH),
        session.increment("card", 1).map(drop),
        session.insert(&*key, CARD),
        session.insert("odd", &unfit),
        session.remove::<u64>("card").map(drop),
        session.set_previous_url(format!("https://evil.test/{RESET}")),
        later.write(async |_| Ok::<_, Error>(())).await,
    ] {
        log.error(&error.unwrap_err());
    }
    let files = session.temp_dir().await?;
    for error in [
        files.write("../x", CONTENT).await,
        files.write(FILE, CONTENT.repeat(100_000)).await,
        files.read(&format!("{FILE}2")).await.map(drop),
    ] {
        log.error(&error.unwrap_err());
    }
    session.insert("big", &CARD.repeat(20_000))
}

struct World {
    log: Log,
    client: Client,
    faults: FaultStore<MemoryStore>,
    layer: SessionLayer,
    secrets: Vec<String>,
    _dir: tempfile::TempDir,
}

impl World {
    fn new(header: bool) -> Self {
        let (log, dir) = (Log::default(), tempfile::tempdir().unwrap());
        let clock = TestClock::following_tokio();
        let memory = MemoryStore::with_clock(usize::MAX, Arc::new(clock.clone()));
        let faults = FaultStore::new(memory);
        let ring: KeyRing = KEY.parse().unwrap();
        let store = EncryptedStore::new(faults.clone(), &ring);
        log.add(&(&store, &ring));
        let sink = log.clone();
        let mut builder = SessionLayer::builder(store)
            .clock(Arc::new(clock))
            .token_keys(ring)
            .fingerprint(FingerprintConfig::new().accept_language(true))
            .temp_storage(TempStorage::new(dir.path().join("tmp")).max_bytes(100_000))
            .lottery(Lottery::new(1, 1))
            .on_event(move |event: &SessionEvent| sink.add(event));
        if header {
            builder = builder.transport(Transport::bearer());
        }
        log.add(&builder);
        let layer = builder.build().unwrap();
        let csrf = CsrfLayer::builder().require_token(true).build().unwrap();
        log.add(&(&layer, &csrf, &layer.sessions()));
        let merge = async |State(log): State<Log>, s: MergeSession| {
            log.add(&s);
            s.insert("merged", CARD)
        };
        let routes = Router::new()
            .route("/fill", get(fill))
            .route("/misuse", get(misuse))
            .route("/merge", get(merge))
            .with_state(log.clone())
            .route("/do", any(async || "done"))
            .nest_service("/files", TempFiles::new())
            .merge(app(Gates::default()))
            .layer(PreviousUrlLayer::new())
            .layer(csrf)
            .layer(EagerLayer::new());
        Self {
            client: TestClient::with_body(routes.layer(layer.clone())),
            log,
            faults,
            layer,
            secrets: Vec::new(),
            _dir: dir,
        }
    }

    /// A request with all that a browser sends; the answer's own text is not for the log, but what
    /// the library answers instead of a handler must not show anything either.
    async fn send(&mut self, method: &str, path: &str, more: &[(&str, &str)]) -> String {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "shop.example")
            .header("user-agent", AGENT)
            .header("accept-language", AGENT)
            .header("accept", "text/html")
            .header("referer", format!("https://shop.example/?{RESET}"))
            .header("cookie", {
                let own = self.client.cookie(COOKIE);
                let own = own
                    .map(|own| format!("; {COOKIE}={own}"))
                    .unwrap_or_default();
                format!("theme={OTHER}{own}")
            });
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        let answer = self
            .client
            .request(request.body(Body::empty()).unwrap())
            .await;
        if !answer.status().is_success() {
            self.log.add(&(answer.status(), answer.text()));
        }
        self.secrets.extend(self.client.cookie(COOKIE));
        if let Some(token) = answer.header("x-session-token").filter(|it| !it.is_empty()) {
            self.secrets.push(token.to_owned());
        }
        answer.text()
    }

    async fn tour(&mut self, header: bool) {
        let bearer = |world: &Self| match world.secrets.last() {
            Some(token) if header => format!("Bearer {token}"),
            _ => String::new(),
        };
        let reset = format!("/n?{RESET}");
        let tokens = self.send("GET", "/fill", &[]).await;
        let tokens: Vec<_> = tokens.split(' ').map(str::to_owned).collect();
        assert_eq!(tokens.len(), 2);
        for path in [
            &reset,
            "/merge",
            "/misuse",
            "/rotate",
            "/who",
            "/fail",
            "/files/upload-name-tax",
            "/files/x",
        ] {
            let auth = bearer(self);
            self.send("GET", path, &[("authorization", &auth)]).await;
        }
        for given in [tokens[0].as_str(), &tokens[1], "wrong-token", ""] {
            let auth = bearer(self);
            let fields = [("x-csrf-token", given), ("authorization", &auth)];
            self.send("POST", "/do", &fields).await;
        }
        self.secrets.extend(tokens);
        // As somebody else: other agent, two sessions, a cut token, a foreign origin.
        let auth = bearer(self);
        self.send(
            "GET",
            "/who",
            &[("authorization", &auth), ("user-agent", "thief")],
        )
        .await;
        let cut = self.secrets[0][..40].to_owned();
        self.send(
            "GET",
            "/who",
            &[("authorization", &format!("Bearer {cut}"))],
        )
        .await;
        let origin = format!("https://{RESET}.test");
        self.send("POST", "/do", &[("origin", &origin)]).await;
        let sessions = self.layer.sessions();
        let started = sessions.create(Some(USER), [("card", CARD)]).await.unwrap();
        self.log.add(&started);
        let page = UserPage {
            data: true,
            ..UserPage::default()
        };
        let listed = sessions.of(USER).list(page).await.unwrap();
        self.log
            .add(&(&listed, sessions.open(&cut), sessions.of(USER)));
        let foreign = sessions.of(format!("not-{USER}")).destroy(started.id).await;
        self.log.error(&foreign.unwrap_err());
        for verb in [Verb::Open, Verb::Finish, Verb::Create] {
            for kind in [
                StoreErrorKind::Unavailable,
                StoreErrorKind::Corrupt,
                StoreErrorKind::Unsupported,
                StoreErrorKind::Full,
            ] {
                for fault in [Fault::Fail(kind), Fault::Panic] {
                    self.faults.set_script(Script::new().every_of(verb, fault));
                    for path in [&reset, "/merge", "/rotate", "/fill"] {
                        let auth = bearer(self);
                        self.send("GET", path, &[("authorization", &auth)]).await;
                    }
                }
            }
        }
        self.faults.set_script(Script::new());
        let auth = bearer(self);
        self.send("GET", "/logout", &[("authorization", &auth)])
            .await;
        self.log.add(&sessions.destroy_user(USER).await.unwrap());
    }
}

/// The ways in which a token could be written down.
fn spellings(secret: &str) -> Vec<String> {
    let mut all = vec![secret.to_owned()];
    // Tokens of sessions: the second half is the secret, the rest their signature.
    if secret.len() == 88 {
        let bytes = &bytes_of(&secret[..64])[16..];
        let list = format!("{bytes:?}");
        all.extend([
            secret[22..64].to_owned(),
            secret[64..].to_owned(),
            hex(bytes),
            hex(bytes).to_uppercase(),
            list.trim_matches(['[', ']']).to_owned(),
        ]);
    }
    all
}

fn look() {
    // Waiting for a store that fails takes no time then.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    // Keeps the default hook from printing the panics that are injected.
    std::panic::set_hook(Box::new(|_| {}));
    let mut texts = Vec::new();
    for header in [false, true] {
        let _runtime = runtime.enter();
        let mut world = World::new(header);
        {
            let _logging = tracing::subscriber::set_default(world.log.clone());
            runtime.block_on(world.tour(header));
        }
        let text = world.log.0.lock().unwrap().clone();
        world.secrets.sort_unstable();
        world.secrets.dedup();
        texts.push((text, world.secrets));
    }
    let _ = std::panic::take_hook();
    for (text, secrets) in texts {
        for said in [
            "session created",
            "the store",
            "SessionLayer",
            "TempDir",
            "EncryptedStore",
        ] {
            assert!(text.contains(said), "{said} was not captured: {text}");
        }
        let tokens = secrets.iter().filter(|secret| secret.len() == 88).count();
        assert!(tokens > 4, "{secrets:?}");
        let key = [KEY.to_owned(), KEY.to_uppercase(), KEY[..32].to_owned()];
        let canaries = CANARIES.iter().map(|canary| (*canary).to_owned());
        let secrets = secrets.iter().flat_map(|secret| spellings(secret));
        for secret in secrets.chain(canaries).chain(key) {
            let Some(at) = text.find(&secret) else {
                continue;
            };
            let from = text[..at]
                .char_indices()
                .rev()
                .nth(300)
                .map_or(0, |(from, _)| from);
            panic!("{secret} in …{}", &text[from..at + secret.len()]);
        }
    }
}

/// In a process of its own: what an event is worth is remembered for a whole process when it is
/// first met, and the other tests have no subscriber.
#[test]
fn no_secret_is_in_a_log_a_debug_text_or_an_error() {
    if std::env::var_os(CHILD).is_some() {
        return look();
    }
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "leaks::no_secret_is_in_a_log_a_debug_text_or_an_error",
            "--nocapture",
        ])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    let errors = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{said}\n{errors}");
    assert!(said.contains("1 passed"), "{said}");
}
