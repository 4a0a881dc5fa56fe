//! A small app with the router in it, and browsers for it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use http::header::ACCEPT;
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode};
use serde_json::Value;
use tower_keep::core::Token;
use tower_keep::{
    Error, MemoryStore, ReadSession, Session, SessionId, SessionLayer, SessionLayerBuilder,
    Sessions,
};
use tower_keep_devices::Devices;
use tower_keep_testkit::{FaultStore, TestClient, TestClock, TestResponse};

pub(crate) type Client = TestClient<Router, axum::body::Body>;

pub(crate) const FIREFOX: &str =
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
pub(crate) const SAFARI: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) \
     AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Mobile/15E148 Safari/604.1";
pub(crate) const EDGE: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
     (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36 Edg/137.0.3296.52";

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// The list's path in [`Site::new`].
pub(crate) const DEVICES: &str = "/account/devices";

/// An app over one store, by the test's clock.
pub(crate) struct Site {
    pub(crate) store: FaultStore<MemoryStore>,
    pub(crate) clock: TestClock,
    pub(crate) sessions: Sessions,
    app: Router,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(|devices| devices)
    }

    pub(crate) fn with(configure: impl FnOnce(Devices) -> Devices) -> Self {
        Self::mounted(
            |builder| builder,
            |sessions| Router::new().nest(DEVICES, configure(Devices::new(sessions)).router()),
        )
    }

    /// The layer to be configured, and the router to be put where the test wants it.
    pub(crate) fn mounted(
        layer: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder,
        mount: impl FnOnce(Sessions) -> Router,
    ) -> Self {
        let clock = TestClock::new();
        let memory = MemoryStore::with_clock(usize::MAX, Arc::new(clock.clone()));
        let store = FaultStore::new(memory);
        let builder = SessionLayer::builder(store.clone())
            .clock(Arc::new(clock.clone()))
            .client_ip(|request| {
                let address = request.headers.get("x-address")?.to_str().ok()?;
                address.parse::<IpAddr>().ok()
            });
        let layer = layer(builder).build().unwrap();
        let sessions = layer.sessions();
        let app = Router::new()
            .route("/login/{user}", post(login))
            .route(
                "/visit",
                post(async |s: Session| s.increment("visits", 1).map(drop)),
            )
            .route("/who", get(who))
            .merge(mount(sessions.clone()))
            .layer(layer);
        Self {
            store,
            clock,
            sessions,
            app,
        }
    }

    pub(crate) fn app(&self) -> Router {
        self.app.clone()
    }

    /// A browser that is logged in nowhere. It is one that sends `Sec-Fetch-Site`.
    pub(crate) fn visitor(&self, user_agent: &str) -> Client {
        TestClient::with_body(self.app.clone())
            .with_clock(self.clock.clone())
            .with_header("user-agent", user_agent)
            .with_header("sec-fetch-site", "same-origin")
    }

    /// A browser of this user, at this address.
    pub(crate) async fn browser(&self, user: &str, user_agent: &str, address: &str) -> Client {
        let client = self.visitor(user_agent).with_header("x-address", address);
        let answer = client.post(&format!("/login/{user}"), "").await;
        assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
        client
    }

    /// Ann at her desk, with her phone beside her.
    pub(crate) async fn desk_and_phone(&self) -> (Client, Client) {
        let phone = self.browser("ann", SAFARI, "2001:db8::7").await;
        self.clock.advance(30 * MINUTE);
        let desk = self.browser("ann", FIREFOX, "203.0.113.5").await;
        (desk, phone)
    }
}

async fn login(session: Session, Path(user): Path<String>) -> Result<(), Error> {
    session.set_user(user)
}

async fn who(session: ReadSession) -> String {
    session.user().as_deref().unwrap_or("nobody").to_owned()
}

pub(crate) async fn is_logged_in(client: &Client) -> bool {
    client.get("/who").await.text() != "nobody"
}

/// The id in the client's cookie.
pub(crate) fn id_of(client: &Client) -> SessionId {
    let cookie = client.cookie("__Host-id").unwrap();
    Token::parse(cookie.as_bytes(), "").unwrap().id()
}

pub(crate) async fn page(client: &Client) -> String {
    let page = client.get(DEVICES).await;
    assert_eq!(page.status(), StatusCode::OK, "{page:?}");
    page.text()
}

/// As a script or an app does it.
pub(crate) async fn json(client: &Client, method: Method, path: &str) -> (TestResponse, Value) {
    let request = Request::builder().method(method).uri(path);
    let request = request
        .header(ACCEPT, "application/json")
        .body(axum::body::Body::empty());
    let answer = client.request(request.unwrap()).await;
    assert_eq!(
        answer.header(CONTENT_TYPE),
        Some("application/json"),
        "{answer:?}"
    );
    let value = answer.json();
    (answer, value)
}

/// The value of the attribute `name` in the first tag that has `mark` in it.
pub(crate) fn attribute(html: &str, mark: &str, name: &str) -> String {
    let tag = html.split('<').find(|tag| tag.contains(mark));
    let tag = tag.unwrap_or_else(|| panic!("no {mark} in {html}"));
    let (_, value) = tag.split_once(&format!(" {name}=\"")).unwrap();
    value.split_once('"').unwrap().0.to_owned()
}

/// What a browser sends for the form with this action in the page.
pub(crate) async fn send_form(client: &Client, html: &str, action: &str) -> TestResponse {
    let form = html
        .split("<form")
        .find(|form| form.contains(&format!("action=\"{action}\"")));
    let form = form.unwrap_or_else(|| panic!("no form to {action} in {html}"));
    let token = attribute(form, "name=\"_token\"", "value");
    client.post_form(action, [("_token", token)]).await
}

pub(crate) fn end_path(id: SessionId) -> String {
    format!("{DEVICES}/{id}")
}
