//! Users who are logged in when an app moves from tower-sessions to tower-keep.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use tower_keep::keys::SecretKey;
use tower_keep::{
    Clock, Error, Import, ImportError, MemoryStore, OldCookie, OldSession, OldSessions,
    ReadSession, RequestHead, Session, SessionLayer, Timestamp, UserPage,
};
use tower_keep_testkit::{TestClient, TestClock};
use tower_keep_tower_sessions::{Old14, TowerSessions14Layer, axum_login_user};
use tower_sessions::SessionManagerLayer;
use tower_sessions::cookie::Key;
use tower_sessions_core_014::SessionStore as Theirs;
use tower_sessions_memory_store::MemoryStore as OldStore;

use crate::life::{COOKIE, Client, clock};
use crate::login::{Backend, app};
use crate::rows::Rows;

pub(crate) const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

pub(crate) fn key() -> SecretKey {
    SecretKey::from_bytes([7; 32]).unwrap()
}

/// A new server, on a store of ours.
pub(crate) struct New {
    pub(crate) clock: TestClock,
    pub(crate) memory: MemoryStore,
}

impl New {
    pub(crate) fn server() -> Self {
        let clock = clock();
        let memory = MemoryStore::with_clock(usize::MAX, Arc::new(clock.clone()));
        Self { clock, memory }
    }

    /// A client of `routes` there, with this layer or what becomes of it.
    pub(crate) fn client(&self, routes: Router, old: impl OldSessions) -> Client {
        self.client_with(routes, Import::new(old, key(), self.in_a_week()))
    }

    pub(crate) fn client_with(&self, routes: Router, import: Import) -> Client {
        let layer = SessionLayer::builder(self.memory.clone())
            .clock(Arc::new(self.clock.clone()))
            .import(import);
        let routes = routes.layer(layer.build().unwrap());
        TestClient::new(routes).with_clock(self.clock.clone())
    }

    pub(crate) fn in_a_week(&self) -> Timestamp {
        self.clock.now().plus(WEEK)
    }

    /// How many sessions are alive.
    pub(crate) fn live(&self) -> usize {
        let is_live = |id| self.memory.record(id).is_some_and(|r| r.gone_at.is_none());
        self.memory
            .ids()
            .into_iter()
            .filter(|id| is_live(*id))
            .count()
    }
}

/// What a session of ours holds.
pub(crate) fn routes() -> Router {
    let show = async |session: ReadSession| {
        let n: Option<i64> = session.get("n").unwrap();
        let user = session.user();
        format!("{} {n:?}", user.as_deref().unwrap_or("nobody"))
    };
    let add = async |session: Session| session.increment("n", 1).unwrap().to_string();
    let destroy = async |session: Session| session.destroy().map(drop);
    let login = async |session: Session, Path(user): Path<String>| session.set_user(user);
    let fail = async |session: Session| {
        session.increment("n", 1).unwrap();
        StatusCode::INTERNAL_SERVER_ERROR
    };
    Router::new()
        .route("/show", get(show))
        .route("/add", get(add))
        .route("/destroy", get(destroy))
        .route("/login/{user}", get(login))
        .route("/fail", get(fail))
        .route("/about", get(async || "us"))
}

/// A row of theirs with these values, and the cookie for it.
pub(crate) async fn old_session(store: &impl Theirs, values: serde_json::Value) -> String {
    let mut record = tower_sessions_core_014::session::Record {
        id: tower_sessions_core_014::session::Id::default(),
        data: serde_json::from_value(values).unwrap(),
        expiry_date: time::OffsetDateTime::now_utc() + time::Duration::days(1),
    };
    store.create(&mut record).await.unwrap();
    record.id.to_string()
}

pub(crate) fn by_name(values: &serde_json::Map<String, serde_json::Value>) -> Option<String> {
    Some(values.get("name")?.as_str()?.to_owned())
}

#[tokio::test]
async fn f8_who_is_logged_in_stays_logged_in() {
    let old = OldStore::default();
    let before = app(Backend::default()).layer(SessionManagerLayer::new(old.clone()));
    let before = TestClient::new(before);
    before.get("/login/ann").await;
    before.get("/put/k0").await;
    assert_eq!(before.get("/me").await.text(), "1");
    let cookie = before.cookie("id").unwrap();

    let new = New::server();
    let after = app(Backend::default()).layer(TowerSessions14Layer::new().user(axum_login_user));
    let after = new.client(after, Old14::new(old.clone()).user(axum_login_user));
    after.set_cookie("id", &cookie);
    assert_eq!(after.get("/me").await.text(), "1");
    assert_eq!(after.cookie("id"), None, "it is of no use any more");
    assert!(after.cookie(COOKIE).is_some());
    assert_eq!(after.get("/keys").await.text(), "1");
    assert_eq!(after.get("/write").await.text(), "written");
    // They are over there, and known as theirs here.
    assert_eq!(before.get("/me").await.status(), 401);
    assert_eq!(new.live(), 1);
    let sessions = SessionLayer::new(new.memory.clone()).sessions();
    let listed = sessions.of("1").list(UserPage::default()).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].head().authenticated_at, None);

    after.get("/logout").await;
    assert_eq!(after.get("/me").await.status(), 401);
}

#[cfg(feature = "v15")]
#[tokio::test]
async fn f8_also_from_0_15() {
    use tower_keep_tower_sessions::Old15;
    use tower_sessions_015::{Session as TheirSession, SessionManagerLayer};
    use tower_sessions_memory_store_015::MemoryStore as OldStore;

    let old = OldStore::default();
    let write = async |session: TheirSession| session.insert("n", 4).await.unwrap();
    let before = Router::new().route("/", get(write));
    let before = TestClient::new(before.layer(SessionManagerLayer::new(old.clone())));
    before.get("/").await;

    let after = New::server().client(routes(), Old15::new(old));
    after.set_cookie("id", &before.cookie("id").unwrap());
    assert_eq!(after.get("/show").await.text(), "nobody Some(4)");
}

#[tokio::test]
async fn f8_signed_cookies_and_other_names() {
    let (old, signing) = (OldStore::default(), Key::generate());
    let layer = SessionManagerLayer::new(old.clone())
        .with_name("shop")
        .with_path("/")
        .with_domain("example.org")
        .with_signed(signing.clone());
    let put = async |session: tower_sessions::Session| session.insert("n", 5).await.unwrap();
    let before = TestClient::new(Router::new().route("/", get(put)).layer(layer));
    before.get("/").await;
    let cookie = before.cookie("shop").unwrap().replace("%3D", "=");
    let cookie = cookie.replace("%2B", "+").replace("%2F", "/");

    let new = New::server();
    let theirs = move || {
        let signing = signing.clone();
        Old14::new(old.clone())
            .name("shop")
            .domain("example.org")
            .reveal(move |value| {
                use tower_sessions::cookie::{Cookie, CookieJar};
                let mut jar = CookieJar::new();
                jar.add_original(Cookie::new("shop", value.to_owned()));
                let verified = jar.signed(&signing).get("shop")?;
                Some(verified.value().to_owned())
            })
    };
    let forged = new.client(routes(), theirs());
    let end = if cookie.starts_with('A') { "B" } else { "A" };
    forged.set_cookie("shop", &format!("{end}{}", &cookie[1..]));
    assert_eq!(forged.get("/show").await.text(), "nobody None");

    let client = new.client(routes(), theirs());
    client.set_cookie("shop", &cookie);
    let answer = client.get("/show").await;
    assert_eq!(answer.text(), "nobody Some(5)");
    let removal = "shop=; Max-Age=0; Path=/; Domain=example.org; HttpOnly";
    assert!(
        answer.set_cookies().contains(&removal.to_owned()),
        "{:?}",
        answer.set_cookies()
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

/// However many requests bring the old cookie, on however many servers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f8_each_is_imported_once() {
    let (new, old) = (New::server(), Rows::default());
    let cookie = old_session(&old, serde_json::json!({ "n": 100, "name": "ann" })).await;
    let servers: Vec<_> = (0..2)
        .map(|_| new.client(routes(), Old14::new(old.clone()).user(by_name)))
        .collect();
    let tasks: Vec<_> = (0..20)
        .map(|n: usize| {
            let browser = servers[n % 2].fork();
            browser.set_cookie("id", &cookie);
            tokio::spawn(async move {
                let n = browser.get("/add").await.text().parse::<i64>().unwrap();
                (n, browser.cookie(COOKIE).unwrap())
            })
        })
        .collect();
    let (mut counts, mut cookies) = (Vec::new(), Vec::new());
    for task in tasks {
        let (n, cookie) = task.await.unwrap();
        counts.push(n);
        cookies.push(cookie);
    }
    counts.sort_unstable();
    cookies.dedup();
    assert_eq!(counts, (101..=120).collect::<Vec<_>>());
    assert_eq!(cookies.len(), 1);
    assert_eq!(new.live(), 1);
    assert_eq!(old.all(), []);
    // What opens it does not follow from the old cookie alone.
    let other = SecretKey::from_bytes([8; 32]).unwrap();
    let import = Import::new(Old14::new(old.clone()), other, new.in_a_week());
    let stranger = new.client_with(routes(), import);
    stranger.set_cookie("id", &cookie);
    assert_eq!(stranger.get("/show").await.text(), "nobody None");
}

/// Servers that were given different keys by mistake do not import twice either.
#[tokio::test]
async fn f8_each_is_imported_once_also_under_different_keys() {
    let (new, old) = (New::server(), Rows::default());
    let cookie = old_session(&old, serde_json::json!({ "n": 1 })).await;
    let row = old.one();
    for seed in [1, 2] {
        let key = SecretKey::from_bytes([seed; 32]).unwrap();
        let import = Import::new(Old14::new(old.clone()), key, new.in_a_week());
        let client = new.client_with(routes(), import);
        client.set_cookie("id", &cookie);
        let expected = if seed == 1 {
            "nobody Some(1)"
        } else {
            "nobody None"
        };
        assert_eq!(client.get("/show").await.text(), expected);
        // As if another server had loaded it before it was ended.
        old.put(row.clone());
    }
    assert_eq!(new.memory.len(), 1);
}

#[tokio::test]
async fn f8_the_old_cookie_is_good_for_the_grace_only() {
    let (new, old) = (New::server(), Rows::default());
    let cookie = old_session(&old, serde_json::json!({ "n": 1 })).await;
    let client = new.client(routes(), Old14::new(old.clone()));
    // The first answer is lost, or is no success.
    for (path, expected) in [("/fail", ""), ("/show", "nobody Some(1)")] {
        let lost = client.fork();
        lost.set_cookie("id", &cookie);
        assert_eq!(lost.get(path).await.text(), expected);
        assert!(lost.cookie(COOKIE).is_some(), "{path}");
        new.clock.advance(Duration::from_secs(299));
    }
    client.set_cookie("id", &cookie);
    assert_eq!(client.get("/show").await.text(), "nobody Some(1)");
    new.clock.advance(Duration::from_secs(2));
    let thief = new.client(routes(), Old14::new(old.clone()));
    thief.set_cookie("id", &cookie);
    assert_eq!(thief.get("/show").await.text(), "nobody None");
    assert_eq!(thief.cookie(COOKIE), None);
    assert_eq!(thief.cookie("id"), None);
    assert_eq!(client.get("/show").await.text(), "nobody Some(1)");
}

/// Neither by the old cookie nor by what it has become.
#[tokio::test]
async fn f8_who_logs_out_or_in_is_not_brought_back() {
    for path in ["/destroy", "/login/ann"] {
        let (new, old) = (New::server(), Rows::default());
        let cookie = old_session(&old, serde_json::json!({ "n": 1 })).await;
        let client = new.client(routes(), Old14::new(old.clone()));
        client.set_cookie("id", &cookie);
        client.get("/add").await;
        let thief = client.fork();
        client.get(path).await;
        for span in [0, 60, WEEK.as_secs() - 61] {
            new.clock.advance(Duration::from_secs(span));
            let again = client.fork();
            again.clear_cookies();
            again.set_cookie("id", &cookie);
            assert_eq!(
                again.get("/show").await.text(),
                "nobody None",
                "{path} {span}"
            );
            assert_eq!(
                thief.get("/show").await.text(),
                "nobody None",
                "{path} {span}"
            );
        }
    }
}

#[tokio::test]
async fn f8_after_its_end_old_cookies_mean_nothing() {
    let (new, old) = (New::server(), Rows::default());
    let cookie = old_session(&old, serde_json::json!({ "n": 1 })).await;
    let client = new.client(routes(), Old14::new(old.clone()));
    client.set_cookie("id", &cookie);
    new.clock.advance(WEEK);
    old.calls();
    assert_eq!(client.get("/show").await.text(), "nobody None");
    assert_eq!(old.calls(), [""; 0]);
    assert_eq!(old.all().len(), 1);
    assert_eq!(client.cookie("id"), Some(cookie));
}

#[tokio::test]
async fn f8_a_request_without_a_session_imports_nothing() {
    let (new, old) = (New::server(), Rows::default());
    let cookie = old_session(&old, serde_json::json!({ "n": 1 })).await;
    let client = new.client(routes(), Old14::new(old.clone()));
    client.set_cookie("id", &cookie);
    old.calls();
    let answer = client.get("/about").await;
    assert!(answer.set_cookies().is_empty());
    assert_eq!(old.calls(), [""; 0]);
    // And one that has a session of ours has no need to.
    client.get("/show").await;
    client.set_cookie("id", &cookie);
    old.calls();
    assert_eq!(client.get("/show").await.text(), "nobody Some(1)");
    assert_eq!(old.calls(), [""; 0]);
}

/// Another library than tower-sessions, whose cookie has the name of ours.
struct Legacy;

impl OldSessions for Legacy {
    fn cookie(&self, request: &RequestHead<'_>) -> Option<OldCookie> {
        let values = tower_keep::cookie::candidates(request.headers, COOKIE);
        values.iter().next().map(OldCookie::new)
    }

    async fn load(&self, cookie: &OldCookie) -> Result<Option<OldSession>, ImportError> {
        let known = cookie.as_bytes() == b"0123456789abcdef";
        let data = serde_json::json!({ "n": 7 }).as_object().cloned();
        Ok(known.then(|| OldSession::new().data(data.unwrap()).user("eve")))
    }

    async fn end(&self, _: &OldCookie) -> Result<(), ImportError> {
        Ok(())
    }

    fn removal(&self) -> Option<axum::http::HeaderValue> {
        let removal = format!("{COOKIE}=; Max-Age=0; Path=/; Secure");
        Some(removal.parse().unwrap())
    }
}

#[tokio::test]
async fn f8_any_other_library_can_be_imported_from() -> Result<(), Error> {
    let client = New::server().client(routes(), Legacy);
    client.set_cookie(COOKIE, "0123456789abcdef");
    let answer = client.get("/show").await;
    assert_eq!(answer.text(), "eve Some(7)");
    // One cookie, set and not removed.
    assert_eq!(answer.set_cookies().len(), 1);
    assert_eq!(client.cookie(COOKIE).unwrap().len(), 64);
    assert_eq!(client.get("/add").await.text(), "8");
    Ok(())
}
